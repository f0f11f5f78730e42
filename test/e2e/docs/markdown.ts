/** A fenced block of a document, and what the comments around it say about running it. */
export interface Block {
  readonly kind: 'block'
  readonly language: string
  readonly text: string
  /** Where the block begins, for messages. */
  readonly line: number
  /** `<!-- not run: REASON -->` stands before it. */
  readonly notRun: string | undefined
  /** `background NAME`: it goes on running under this name, as in a second terminal. */
  readonly background: string | undefined
  /** `fails N`: it ends with this exit code, on purpose. */
  readonly fails: number
  /** `again`: it is run again until its output is as shown; for what takes a moment to become true. */
  readonly again: boolean
  /** `in FOLDER`: on another machine, for which a folder stands here. */
  readonly folder: string | undefined
  /** `file NAME`: it is no command, it is written to this file. */
  readonly file: string | undefined
  /** The `output` block after it. */
  readonly output: string | undefined
}

/** `<!-- test: ctrl-c NAME -->`: ends what runs under this name, as its reader does with Ctrl-C. */
export interface CtrlC {
  readonly kind: 'ctrl-c'
  readonly name: string
  readonly line: number
}

/** `<!-- test: prints NAME -->` and an `output` block: what runs in the background shows this sooner or later. */
export interface Prints {
  readonly kind: 'prints'
  readonly name: string
  readonly output: string
  readonly line: number
}

export type Step = Block | CtrlC | Prints

const COMMENT = /^ *<!-- (test|not run): (.*?) -->$/
const FENCE = /^( *)```([a-z]*)$/

interface Marks {
  notRun?: string
  words: readonly (readonly string[])[]
}

/** The steps of a document, in order. Throws for a mark that nobody knows and a block that does not end. */
export function stepsOf(text: string): readonly Step[] {
  const lines = text.split('\n')
  const steps: Step[] = []
  let marks: Marks = { words: [] }
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    const [, sort, said = ''] = COMMENT.exec(line) ?? []
    if (sort === 'not run') marks = { ...marks, notRun: said }
    if (sort === 'test') marks = { ...marks, words: said.split(', ').map((mark) => mark.split(' ')) }
    const stopped = sort === 'test' && marks.words[0]?.[0] === 'ctrl-c' ? marks.words[0][1] : undefined
    if (stopped !== undefined) {
      steps.push({ kind: 'ctrl-c', name: stopped, line: at + 1 })
      marks = { words: [] }
    }
    const [, indent, language] = FENCE.exec(line) ?? []
    if (indent === undefined || language === undefined) continue
    const end = lines.indexOf(`${indent}\`\`\``, at + 1)
    if (end === -1) throw new Error(`line ${at + 1}: the block does not end`)
    const body = lines.slice(at + 1, end).map((inner) => inner.slice(indent.length))
    addBlock(steps, { language, text: body.join('\n'), line: at + 1 }, marks)
    marks = { words: [] }
    at = end
  }
  return steps
}

function addBlock(steps: Step[], block: Pick<Block, 'language' | 'text' | 'line'>, { notRun, words }: Marks): void {
  const { language, text, line } = block
  const valueOf = (name: string): string | undefined => words.find(([word]) => word === name)?.[1]
  const unknown = words.find(([word = '']) => !['background', 'fails', 'again', 'in', 'file', 'prints'].includes(word))
  if (unknown !== undefined) throw new Error(`line ${line}: unknown mark ${unknown.join(' ')}`)
  if (language !== 'output') {
    steps.push({
      ...block,
      kind: 'block',
      notRun,
      background: valueOf('background'),
      fails: Number(valueOf('fails') ?? 0),
      again: words.some(([word]) => word === 'again'),
      folder: valueOf('in'),
      file: valueOf('file'),
      output: undefined,
    })
    return
  }
  const name = valueOf('prints')
  if (name !== undefined) {
    steps.push({ kind: 'prints', name, output: text, line })
    return
  }
  const before = steps.at(-1)
  if (before?.kind !== 'block') throw new Error(`line ${line}: an output without the block that it is of`)
  steps[steps.length - 1] = { ...before, output: text }
}

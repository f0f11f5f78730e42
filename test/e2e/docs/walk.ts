import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually, PATIENCE_MS, progressed } from '../../helpers/patience.ts'
import type { Page } from '../../unit/docs/pages.ts'
import { stepsOf, type Block, type Step } from './markdown.ts'
import { isAsShown } from './output.ts'
import type { Ended, Terminal } from './terminal.ts'

/** What a language takes to be run in a terminal; the others are parsed by the test that has their parser. */
const COMMANDS: Readonly<Record<string, (file: string) => string>> = {
  sh: (file) => `source ${file}`,
  python: (file) => `python3 ${file}`,
}
export const isCommand = ({ language, file }: Block): boolean => language in COMMANDS || file !== undefined

/** Less than the test's own limit, so that what is missing is told before the test is ended. */
const WAIT_MS = PATIENCE_MS / 2

/** What was waited for has not come: what follows in the document would wait in vain as well. */
class NeverShown extends Error {}

/**
 * Does what a page says, in its order, and holds what happens against what it shows. Rejects with all that differs, up to
 * the first thing that does not come.
 */
export async function walk(page: Page, terminal: Terminal): Promise<void> {
  const differences: string[] = []
  for (const step of stepsOf(page.text)) {
    try {
      await take(step, terminal)
      progressed()
    } catch (error) {
      differences.push(`${page.path}:${step.line}: ${(error as Error).message}`)
      if (error instanceof NeverShown) break
    }
  }
  if (differences.length > 0) throw new Error(differences.join('\n\n'))
}

async function take(step: Step, terminal: Terminal): Promise<void> {
  if (step.kind === 'ctrl-c') return terminal.ctrlC(step.name)
  if (step.kind === 'prints') return awaitShown(step.name, step.output, terminal)
  if (step.notRun !== undefined || !isCommand(step)) return
  const text = await filledIn(step.text, terminal)
  if (step.file !== undefined) {
    await writeFile(join(await folderOf(terminal), step.file), terminal.toRun(`${text}\n`))
  } else if (step.background === undefined) {
    await runBlock(step, text, terminal)
  } else {
    await terminal.start(step.background, step.folder === undefined ? text : `cd ${step.folder} && ${text}`)
    await awaitShown(step.background, step.output ?? '... is running...', terminal)
  }
}

async function runBlock(block: Block, text: string, terminal: Terminal): Promise<void> {
  const { language, fails, output: shown } = block
  let ended: Ended = { output: '', code: 0 }
  const isRight = async (): Promise<boolean> => {
    ended = await runText(language, inFolder(block, text), terminal)
    return ended.code === fails && (shown === undefined || isAsShown(shown, ended.output))
  }
  if (block.again) {
    await eventually('what is shown', isRight, WAIT_MS).catch((error: unknown) => {
      throw new NeverShown(`shown:\n${shown}\nprinted in the end:\n${ended.output}`, { cause: error })
    })
  } else if (!(await isRight())) {
    assert.fail(`shown, with exit code ${fails}:\n${shown}\nprinted, with exit code ${ended.code}:\n${ended.output}`)
  }
}

const inFolder = ({ folder }: Block, text: string): string =>
  folder === undefined ? text : `mkdir -p ${folder} && pushd ${folder} >/dev/null\n${text}\npopd >/dev/null`

async function runText(language: string, text: string, terminal: Terminal) {
  if (language === 'sh') return terminal.run(text)
  const file = join(terminal.folder, '..', `block.${language}`)
  await writeFile(file, terminal.toRun(text))
  return terminal.run(COMMANDS[language]?.(file) ?? '')
}

async function awaitShown(name: string, shown: string, terminal: Terminal): Promise<void> {
  const isThere = (): boolean => {
    if (isAsShown(shown, terminal.shownBy(name), { anywhere: true })) return true
    if (terminal.isOver(name)) throw new Error(`${name} has ended`)
    return false
  }
  await eventually('what is shown', isThere, WAIT_MS).catch((error: unknown) => {
    throw new NeverShown(`${name} does not show\n${shown}\nIt printed:\n${terminal.shownBy(name)}`, { cause: error })
  })
}

const folderOf = async (terminal: Terminal): Promise<string> => (await terminal.run('pwd')).output.trim()

/** A reference has `<chain_id>` and an address where each reader has their own: those of the authority at port 8080. */
async function filledIn(text: string, terminal: Terminal): Promise<string> {
  if (!/<chain_id>|192\.0\.2\.1/.test(text)) return text
  const answer = await fetch(terminal.toRun('http://127.0.0.1:8080/node'))
  const { chain_id, multiaddrs } = (await answer.json()) as { chain_id: string; multiaddrs: readonly string[] }
  return text
    .replaceAll('<chain_id>', chain_id)
    .replaceAll(/\/ip4\/192\.0\.2\.1\/tcp\/4001\/p2p\/12D3KooW\.\.\./g, multiaddrs[0] ?? '')
}

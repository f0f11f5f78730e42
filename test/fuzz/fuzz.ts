import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { isSolarError } from '../../src/protocol/errors.ts'
import { inputOf, storedOf, type Decoder, type Input } from './decoder.ts'
import { planArbitrary } from './edits.ts'

/** An input that takes more of a processor is a failure: a peer that knows one sends a thousand. */
const SLOW_MS = 50
/** A slow input is run so often again, and the fastest counts: the first run compiles, and garbage is collected in any. */
const SLOW_TRIES = 4
/** A refusal quotes little of what it refuses. */
const MAX_REFUSAL_LENGTH = 4_000
/** Inputs that are changed between two looks at what they brought. */
const BATCH = 250
/** Inputs with an outcome of their own that are kept to be changed further. */
const MAX_FOUND = 400

export interface Report {
  readonly inputs: number
  /** One of the shortest inputs of each outcome. */
  readonly found: ReadonlyMap<string, Input>
  readonly slowestMs: number
}

export class FuzzFailure extends Error {
  constructor(decoder: string, reason: string, input: Input, again: string) {
    const file = join(tmpdir(), `fuzz-${decoder.replace(/[^A-Za-z0-9]+/g, '-')}.json`)
    writeFileSync(file, `${JSON.stringify(storedOf(input))}\n`)
    super(`${decoder}: ${reason}\n  input: ${file}\n  again: ${again}`)
    this.name = 'FuzzFailure'
  }
}

/**
 * Runs a decoder on inputs that are made of its seeds and of the inputs that brought something new, which is how the search gets deeper
 * than one step from a seed. Throws FuzzFailure, with the shortest input that fast-check finds.
 */
export async function fuzz(decoder: Decoder, runs: number, seed: number, corpus: readonly Input[]): Promise<Report> {
  const found = new Map<string, Input>()
  const pool: Input[] = [...decoder.seeds]
  let slowestMs = 0
  for (const input of [...decoder.seeds, ...corpus]) {
    const { outcome } = await tryInput(decoder, input)
    if (!found.has(outcome)) found.set(outcome, input)
  }
  pool.push(...corpus)
  let inputs = 0
  for (let batch = 0; inputs < runs; batch++) {
    const numRuns = Math.min(BATCH, runs - inputs)
    const fresh = new Map<string, Input>()
    const property = fc.asyncProperty(planArbitrary, async (plan) => {
      const input = inputOf(pool, plan, decoder.maxLength)
      const { outcome, ms } = await tryInput(decoder, input)
      slowestMs = Math.max(slowestMs, ms)
      const known = fresh.get(outcome) ?? found.get(outcome)
      if (known === undefined || lengthOf(input) < lengthOf(known)) fresh.set(outcome, input)
    })
    const result = await fc.check(property, { seed: seed + batch, numRuns })
    inputs += numRuns
    if (result.failed) {
      const input = inputOf(pool, result.counterexample?.[0] ?? { from: 0, other: 0, edits: [] }, decoder.maxLength)
      const reason = result.errorInstance instanceof Error ? result.errorInstance.message : 'it failed'
      throw new FuzzFailure(decoder.name, reason, input, `npm run fuzz -- --only '${decoder.name}' --seed ${seed}`)
    }
    for (const [outcome, input] of fresh) {
      if (!found.has(outcome) && found.size < MAX_FOUND) pool.push(input)
      found.set(outcome, input)
    }
  }
  return { inputs, found, slowestMs }
}

/** Lets a decoder read one input. Throws for a crash and for what takes too long. */
export async function tryInput(
  decoder: Decoder,
  input: Input,
): Promise<{ readonly outcome: string; readonly ms: number }> {
  const begun = performance.now()
  const outcome = await outcomeOf(decoder, input)
  const ms = performance.now() - begun
  if (ms <= SLOW_MS) return { outcome, ms }
  const again = await cpuMsOf(decoder, input)
  if (again > SLOW_MS) throw new Error(`it took ${again.toFixed(0)} ms of a processor, expected at most ${SLOW_MS}`)
  return { outcome, ms: again }
}

/** Of the whole process: what a decoder does in other threads counts too. */
async function cpuMsOf(decoder: Decoder, input: Input): Promise<number> {
  let least = Infinity
  for (let i = 0; i < SLOW_TRIES && least > SLOW_MS; i++) {
    const before = process.cpuUsage()
    await outcomeOf(decoder, input)
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / 1000)
  }
  return least
}

async function outcomeOf(decoder: Decoder, input: Input): Promise<string> {
  try {
    const word = await decoder.decode(input as never)
    return typeof word === 'string' ? word : 'accepted'
  } catch (error) {
    if (!decoder.isRefusal(error)) throw new Error(`it crashed: ${stackOf(error)}`, { cause: error })
    const told = isSolarError(error) ? JSON.stringify([error.message, error.fields]) : String(error)
    if (told.length > MAX_REFUSAL_LENGTH) throw new Error(`its refusal has ${told.length} characters`, { cause: error })
    return kindOf(error)
  }
}

const stackOf = (error: unknown): string =>
  error instanceof Error ? (error.stack?.slice(0, 800) ?? String(error)) : String(error)

/** What a refusal says, without the value that it quotes: two inputs that are refused by one rule are of one kind. */
function kindOf(error: unknown): string {
  if (isSolarError(error, 'malformed')) {
    const { path, expected } = error.fields as { readonly path: string; readonly expected: string }
    return `malformed ${plain(path)}: ${plain(expected)}`
  }
  return isSolarError(error) ? `${error.code} ${plain(error.message)}` : plain(String(error))
}
const plain = (text: string): string =>
  text
    .replace(/"[^"]*"/g, '""')
    .replace(/[0-9a-f]{6,}|[0-9]+/g, '0')
    .slice(0, 120)

const lengthOf = (input: Input): number =>
  'bytes' in input
    ? input.bytes.length
    : 'text' in input
      ? input.text.length
      : JSON.stringify(input.json ?? null).length

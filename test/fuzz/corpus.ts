import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inputFrom, storedOf, type Decoder, type Input } from './decoder.ts'

/** Inputs that were found: one of each outcome, the shortest, one file for each decoder. */
const FOLDER = join(import.meta.dirname, 'corpus')
/** What is longer is a real example with a small change, and those are made again in no time. */
const MAX_STORED_LENGTH = 700
const MAX_INPUTS = 16

const fileOf = ({ name }: Decoder): string => join(FOLDER, `${name.replace(/[^A-Za-z0-9.]+/g, '-')}.json`)

export function readCorpus(decoder: Decoder): readonly Input[] {
  const file = fileOf(decoder)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as unknown[]).map(inputFrom) : []
}

/** One input a line. */
export function writeCorpus(decoder: Decoder, found: readonly Input[]): void {
  const kept = found
    .map((input) => JSON.stringify(storedOf(input)))
    .filter(({ length }) => length <= MAX_STORED_LENGTH)
    .slice(0, MAX_INPUTS)
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(fileOf(decoder), `[\n${kept.join(',\n')}\n]\n`)
}

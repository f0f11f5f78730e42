import { CommanderError } from 'commander'
import { isConfigError } from '../config/errors.ts'
import type { Hash } from '../protocol/bytes.ts'
import { fileTrouble } from '../ports/file-trouble.ts'
import { isSolarError } from '../protocol/errors.ts'
import { hash32 } from '../protocol/shape.ts'
import { Interrupted } from './long-work.ts'

/** How a command ended, for shells and supervisors. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const

/** What was typed cannot be meant: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The value of --chain. Throws UsageError. */
export function chainIdOption(text: string): Hash {
  try {
    return hash32(text, 'chain')
  } catch {
    throw new UsageError(`--chain: expected a chain_id, 64 lower-case hex characters, got ${JSON.stringify(text)}`)
  }
}

/** Writes the answer of a command to standard output: lines for people, or one JSON line with --json. */
export function printResult(json: boolean, lines: readonly string[], result: object): void {
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${lines.join('\n')}\n`)
}

/** 2 for what the operator wrote, 1 for what went wrong. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof Interrupted) return error.exitCode
  return error instanceof UsageError || isConfigError(error) ? EXIT.usage : EXIT.failed
}

/** An error of the system, which tells a code and a call, in words. */
function sayError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!('syscall' in error)) return error.message
  const path = 'path' in error && typeof error.path === 'string' ? `${error.path}: ` : ''
  return `${path}${fileTrouble(error)}`
}

/** Text on one line, without what a terminal would take for a command: a server, or a file, may have chosen it. */
export const oneLine = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
    .replace(/\p{Cc}/gu, '?')

/** One clear line on standard error, JSON with --json; the stack only for who debugs. */
export function printError(error: unknown, options: { readonly json: boolean; readonly stack: boolean }): void {
  // Commander has written its line already (see program.ts).
  if (error instanceof CommanderError) return
  const message = oneLine(sayError(error))
  const code = isSolarError(error) ? error.code : error instanceof UsageError ? 'usage' : 'failed'
  process.stderr.write(options.json ? `${JSON.stringify({ error: { code, message } })}\n` : `solar-node: ${message}\n`)
  if (options.stack && error instanceof Error) process.stderr.write(`${error.stack}\n`)
}

import { errorFactory, type ErrorTable } from '../../protocol/errors.ts'

const replayErrors = {
  /** The command line asks for something that cannot be: exit code 2. */
  bad_option: (f: { name: string; value: string; expected: string }) =>
    `${f.name}: expected ${f.expected}, got ${JSON.stringify(f.value)}`,
  bad_file: (f: { file: string; reason: string }) => `${f.file}: ${f.reason}`,
  bad_rows: (f: { file: string; count: number }) =>
    `${f.file} has ${f.count} bad rows, nothing was sent. Correct them, or leave them out with --skip-bad`,
  server_gone: (f: { url: string; seconds: number; reason: string }) =>
    `${f.url} has not answered for ${f.seconds} s (${f.reason}). What it has committed stays; run the same command again to go on`,
  no_access: (f: { what: string; status: number; hint: string }) =>
    `${f.what} was refused with HTTP ${f.status}: ${f.hint}`,
  refused: (f: { what: string; status: number; code: string; detail: string }) =>
    `${f.what} was refused with HTTP ${f.status} ${f.code}: ${f.detail}`,
  bad_answer: (f: { what: string; expected: string }) =>
    `${f.what}: the answer is not that of a solar-node authority, it has no ${f.expected}`,
  /** The caller's signal ended a request; not a failure. */
  stopped: (f: { what: string }) => `${f.what} was broken off`,
} satisfies ErrorTable

export type ReplayErrorCode = keyof typeof replayErrors
export const replayError = errorFactory(replayErrors)

import { count } from '../../protocol/count-words.ts'
import { errorFactory, type ErrorTable } from '../../protocol/errors.ts'

const replayErrors = {
  /** The command line asks for something that cannot be: exit code 2. */
  bad_option: (f: { name: string; value: string; expected: string }) =>
    `${f.name}: expected ${f.expected}, got ${JSON.stringify(f.value)}`,
  bad_file: (f: { file: string; reason: string }) => `${f.file}: ${f.reason}`,
  bad_rows: (f: { files: string; count: number; first: string }) =>
    `${f.files} has ${count(f.count, 'bad row')}, nothing was sent (${f.first}). Correct them, or leave them out with --skip-bad`,
  no_readings: (f: { files: string; badRows: number }) =>
    `${f.files}: there is no reading to replay, ` +
    (f.badRows === 0 ? 'only a header line: nothing was sent' : `all rows are bad (${f.badRows}): nothing was sent`),
  /** Local times, and nobody says of which zone. */
  needs_zone: (f: { file: string; column: string }) =>
    `${f.file}: the times of ${f.column} are local, and local times need their zone: --zone, such as --zone Europe/Vienna`,
  /** The readings are kept in a file of ours while they are read. */
  no_room: (f: { folder: string; reason: string }) =>
    `the readings cannot be kept in ${f.folder} while they are read (${f.reason}). Make room there, or set TMPDIR to another folder`,
  /** Readings came after the tick of their interval. */
  closed: (f: { readings: number; intervals: number; first: string; household: string }) =>
    `${count(f.readings, 'reading')} of ${count(f.intervals, 'interval')} came too late, they never trade (the first: ${f.first} ${f.household}): ` +
    'an interval is closed once its tick has run. Give the files of all meters in one command, before the first of them is ' +
    'sent; what a late reading takes back from trades that were made is posted by --corrections',
  server_gone: (f: { url: string; seconds: number; reason: string; advice: string }) =>
    `${f.url} has not answered for ${f.seconds} s (${f.reason}). ${f.advice}`,
  /** It has never answered, and waiting would not help. */
  unreachable: (f: { url: string; reason: string; advice: string }) =>
    `${f.url} cannot be reached (${f.reason}): ${f.advice}`,
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

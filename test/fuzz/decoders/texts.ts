import { loadNodeConfig } from '../../../src/config/load.ts'
import { UsageError } from '../../../src/cli/output.ts'
import { sniffFormat } from '../../../src/cli/replay/csv-format.ts'
import { checkZone, zoneClock } from '../../../src/cli/time-zone.ts'
import { timeOption } from '../../../src/cli/trades/time-option.ts'
import { auditChainFile } from '../../../src/engine/audit-file.ts'
import { createDecimalReader, parseExactDecimal, toMicroHalfEven } from '../../../src/market/exact-decimal.ts'
import { parseIntervalStart, UTC_CLOCK } from '../../../src/market/interval-time.ts'
import { findColumns, readingParser } from '../../../src/market/readings.ts'
import { encodeRefusal, readRefusal } from '../../../src/network/refusal.ts'
import { createLogger } from '../../../src/node/logger.ts'
import { parseJsonFile, parseJsonText } from '../../../src/ports/json-file.ts'
import { decodeEvent, EVENT_NAMES } from '../../../src/web/answers.ts'
import { readPasted } from '../../../src/web/pasted.ts'
import { bytesDecoder, jsonDecoder, textDecoder, type Decoder } from '../decoder.ts'
import { acceptedBy, chains, receipts, values } from '../seeds.ts'
import { headerShape, sealedHeaderShape } from '../../../src/protocol/header.ts'
import { shownTransactionShape } from '../../../src/protocol/transaction.ts'
import { voteShape } from '../../../src/protocol/vote.ts'

const isUsage = (error: unknown): boolean => error instanceof UsageError
const NUMBERS = ['0', '12.345678', '-0.25', '+1e-3', '1,5', '1.234,5', '.5']
const TIMES = [
  '2016-08-08T00:00:00',
  '2016-08-08 00:00',
  '2016-10-30T02:30:00+02:00',
  '2016-10-30T02:30:00.500Z',
  '08.08.2016 00:00',
  '42590.5',
]
const COLUMNS = 'timestamp,household,load_kwh,pv_kwh,price_per_kwh'
const ROW = '2016-08-08T00:00:00,household-7,0.25,1.5,0.2'

const meters: readonly Decoder[] = [
  textDecoder('parseExactDecimal', NUMBERS, (text) => {
    toMicroHalfEven(parseExactDecimal(text, 'number'))
  }),
  textDecoder('decimal reader', NUMBERS, (text) => {
    const reader = createDecimalReader(true)
    for (const part of text.split(' ')) toMicroHalfEven(reader.read(part, 'number'))
  }),
  textDecoder('parseIntervalStart', TIMES, (text) => void parseIntervalStart(text, 'timestamp', UTC_CLOCK)),
  textDecoder('parseIntervalStart of a zone', TIMES, (text) => {
    parseIntervalStart(text, 'timestamp', vienna)
  }),
  textDecoder('findColumns', [COLUMNS, 'Interval start (local);Household;Load kWh'], (text) => {
    findColumns(text.split(/[,;]/))
  }),
  textDecoder('readingParser', [ROW], (text) => {
    const parse = readingParser(findColumns(COLUMNS.split(',')), createDecimalReader(true), UTC_CLOCK)
    parse(text.split(','))
  }),
  bytesDecoder('sniffFormat', [`${COLUMNS}\n${ROW}\n`, 'sep=;\na;b\n'], (bytes) => {
    const format = sniffFormat(Buffer.from(bytes))
    return typeof format === 'string' ? format : Object.values(format).slice(0, 2).join(' ')
  }),
]
const vienna = zoneClock('Europe/Vienna')

const LOG_LINES = [
  'Authorization: Bearer abcdefghijklmnopqrstuvwxyz012345',
  'postgres://user:password@db.example.org/ledger',
  'connected to /ip4/192.0.2.1/tcp/4001',
]
/** Shaped like a token, and in no input. */
const SECRET = 'ZZZZZZZZZZ-in-no-log-ZZZZZZZZZZZ'

/** The one line that the logger writes for this text, as message, as value and as name of a field. */
function logLine(text: string): string {
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    pretty: false,
    destination: { write: (line) => void lines.push(line) },
  })
  const error = new Error(text, { cause: text })
  logger.info({ text, error, [text.slice(0, 300)]: 1, tokens: text, header: `${text} Bearer ${SECRET}` }, text)
  if (lines.length !== 1) throw new Error(`${lines.length} lines`)
  return lines[0] ?? ''
}

/** As flags, and as far as they are text as variables. */
function config(settings: Readonly<Record<string, unknown>>): void {
  const { env, ...flags } = settings
  loadNodeConfig({ flags, env: typeof env === 'string' ? { SOLAR_LOG_LEVEL: env } : {} })
}

/** An exported chain of one block, with faults: what is wrong with a line is a finding, and an end of the search none. */
const chainFile = (): string => {
  const sealed = acceptedBy((value) => sealedHeaderShape(value, 'it'))[0] as object
  const [chain] = chains
  const lines = [
    { chain_id: chain?.chainId, genesis: chain?.genesis },
    { ...sealed, transactions: acceptedBy((value) => shownTransactionShape(value, 'it')).slice(0, 2), votes: [] },
    { end: { blocks: 1, final_height: null } },
  ]
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('')
}
async function* linesOf(text: string): AsyncGenerator<string> {
  for (const line of text.split('\n')) yield await Promise.resolve(line)
}

const EVENTS = [
  ...acceptedBy((value) => decodeEvent('header', JSON.stringify(value))),
  ...acceptedBy((value) => headerShape(value, 'it')).slice(0, 2),
  { header_hash: 'a'.repeat(64) },
  ...acceptedBy((value) => voteShape(value, 'it')).map((vote) => ({ vote })),
].map((value) => JSON.stringify(value))

/** Text that people, peers and programs wrote, beside the protocol. */
export const textDecoders: readonly Decoder[] = [
  ...meters,
  textDecoder(
    'timeOption',
    ['2026-06-01', '2026-06-01T14:00+02:00'],
    (text) => void timeOption('--from', text, 'Europe/Vienna'),
    {
      isRefusal: isUsage,
    },
  ),
  textDecoder('checkZone', ['Europe/Vienna', 'UTC', 'Etc/GMT+1'], (text) => void checkZone(text), {
    isRefusal: isUsage,
  }),
  textDecoder('logger', LOG_LINES, (text) => {
    const line = logLine(text)
    JSON.parse(line)
    if (line.length > 80_000) throw new Error(`a line of ${line.length} characters`)
    if (text.length < 10_000 && line.includes(SECRET)) throw new Error('a token is in the log')
    return `${line.includes('[redacted]') ? 'redacted' : 'plain'} ${line.includes('...')}`
  }),
  jsonDecoder('settings', settings(), (value) => {
    config(typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : { data: value })
  }),
  textDecoder(
    'parseJsonText',
    values.slice(0, 8).map((value) => JSON.stringify(value)),
    (text) => {
      const parsed = parseJsonText(text)
      return 'fault' in parsed ? parsed.fault : 'accepted'
    },
  ),
  bytesDecoder(
    'parseJsonFile',
    values.slice(0, 8).map((value) => JSON.stringify(value, null, 2)),
    (bytes) => {
      const parsed = parseJsonFile(bytes)
      return 'fault' in parsed ? parsed.fault : 'accepted'
    },
  ),
  jsonDecoder('readRefusal', [{ error: { code: 'not_ready', message: 'wait' } }], (value) => {
    const refusal = readRefusal(value)
    if (refusal !== undefined) encodeRefusal({ ...refusal, code: 'again' })
    return refusal?.code
  }),
  textDecoder(
    'exported chain',
    [chainFile()],
    async (text) => {
      const report = await auditChainFile({ lines: linesOf(text), chainId: undefined, onProgress: () => undefined })
      return report.findings.map(({ expected }) => expected.replace(/[0-9a-f]{6,}|[0-9]+/g, '0')).join('; ')
    },
    { cost: 4 },
  ),
  // What a person pastes into the page, whose errors are for people.
  textDecoder(
    'pasted into the page',
    [...receipts.slice(0, 2), ...acceptedBy((value) => shownTransactionShape(value, 'it')).slice(0, 4), 'trade-1'].map(
      (value) => (typeof value === 'string' ? value : JSON.stringify(value)),
    ),
    (text) => readPasted(text).kind,
    { isRefusal: (error) => error instanceof Error && !(error instanceof TypeError) && !(error instanceof RangeError) },
  ),
  textDecoder(
    'events in the page',
    EVENTS,
    (text) => {
      for (const name of EVENT_NAMES) {
        try {
          return decodeEvent(name, text).type
        } catch (error) {
          if (name === 'evidence') throw error
        }
      }
      return 'none'
    },
    { isRefusal: (error) => error instanceof SyntaxError || (error instanceof Error && error.name === 'SolarError') },
  ),
]

/** As flags and variables bring them, and as YAML does. */
function settings(): readonly unknown[] {
  const key = 'a'.repeat(64)
  return [
    {
      mode: 'authority',
      http: '127.0.0.1:8080',
      listen: ['/ip4/127.0.0.1/tcp/4001', '/dns4/example.org/tcp/4002/ws'],
      database: 'postgres://user:pass@localhost/ledger',
      tick: '300',
      finality: 'votes:2',
      seal: 'work:2',
      publicUrls: 'https://ledger.example.org',
      feedInPrice: '0.08',
      retailPrice: 0.3,
      env: 'debug',
    },
    {
      mode: 'authority',
      voters: [{ id: 'alice', public_key: key, user_id: 'user-1' }],
      validators: [{ id: 'v1', public_key: key, recovery_key: key }],
      witnesses: [{ url: 'https://w.example.org', name: 'w', public_key: key }],
      trustedProxies: '10.0.0.0/8 ::1',
      archiveAfter: '90d',
      minTradeKwh: 0.01,
    },
    { mode: 'light', peer: '/ip4/192.0.2.1/tcp/4001', chain: key, headers: 5, vote: false, staleAfter: 60 },
    { mode: 'validator', peer: ['/ip4/192.0.2.1/tcp/4001'], allowChanges: 'all', recallPeers: 1, rateLimit: '200' },
  ]
}

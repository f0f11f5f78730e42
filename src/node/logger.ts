import { WriteStream } from 'node:tty'
import { pino, type DestinationStream } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { LogLevel } from '../config/types.ts'
import { codeOf } from '../ports/file-trouble.ts'
import type { Logger } from '../ports/logger.ts'
import { isJsonObject } from '../protocol/shape.ts'

/** Names of fields that are never written, whichever room logs them. */
const SECRET_NAME =
  /(^|_|[a-z])(tokens?|secret|secret_?key|private_?key|seed|authorization|cookie|passphrase|password)$/i
/** Credentials inside text: headers and URLs. */
const SECRET_TEXT = [
  { pattern: /\b(Bearer|Solar)\s+[A-Za-z0-9._~+/=:@-]{16,}/g, replacement: '$1 [redacted]' },
  { pattern: /:\/\/([^:@/\s]*):[^@/\s]+@/g, replacement: '://$1:[redacted]@' },
]
const CENSOR = '[redacted]'
const MAX_DEPTH = 6
/** What is looked through for secrets. Nothing that is worth a line is longer, and a peer may have chosen how long it is. */
const MAX_SEARCHED = 16_384
/** What a text has in the log; so far below the limit above that no secret can be cut in two at the end of it. */
const MAX_TEXT = 2_000
/** Members of one array or object. */
const MAX_MEMBERS = 200

export interface LoggerOptions {
  readonly level: LogLevel
  /** One line an event for people; otherwise JSON lines. */
  readonly pretty: boolean
  /** Default: standard output, written before the call returns, so that the last line before an exit is not lost. */
  readonly destination?: DestinationStream
}

/** The log of a node. Secrets are taken out here, so that no room can leak one by a careless field. */
export function createLogger(options: LoggerOptions): Logger {
  const log = pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, streamOf(options))
  const write = (level: LogLevel) => (fields: object, message: string) => {
    if (!log.isLevelEnabled(level)) return
    log[level](redact(fields, options.level === 'debug', 0), oneLine(redactText(message)))
  }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

function streamOf({ pretty: forPeople, destination }: LoggerOptions): DestinationStream {
  const target = destination ?? standardOutput()
  if (!forPeople) return target
  // In this process, not a worker: a worker would lose the last lines of a process that is killed.
  // A terminal knows of NO_COLOR and TERM=dumb.
  const colorize = destination === undefined && process.stdout instanceof WriteStream && process.stdout.hasColors()
  const format = prettyFactory({ singleLine: true, errorLikeObjectKeys: [], colorize, translateTime: 'SYS:HH:MM:ss' })
  return {
    write: (line) => {
      target.write(format(line))
    },
  }
}

/**
 * Whoever ends the reader of the log (`| head -1`) wants the node to stop, as at SIGTERM. Lines that a full disk does not take are lost,
 * which is no reason to stop.
 */
function standardOutput(): DestinationStream {
  const target = pino.destination({ fd: 1, sync: true })
  let isRead = true
  target.on('error', (error: Error) => {
    if (codeOf(error) !== 'EPIPE' || !isRead) return
    isRead = false
    process.kill(process.pid, 'SIGTERM')
  })
  return target
}

/** A copy without secrets; errors become `{code, message}`, with their stack where that is asked for. */
function redact(value: unknown, withStack: boolean, depth: number): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Error) return redact(errorFields(value, withStack), withStack, depth)
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (depth > MAX_DEPTH) return '...'
  if (Array.isArray(value)) {
    const more = value.length > MAX_MEMBERS ? [`${value.length - MAX_MEMBERS} more`] : []
    return [...value.slice(0, MAX_MEMBERS).map((item) => redact(item, withStack, depth + 1)), ...more]
  }
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_MEMBERS)
      .map(([key, member]) => {
        const name = redactText(key)
        return [name, SECRET_NAME.test(name) ? CENSOR : redact(member, withStack, depth + 1)]
      }),
  )
}

function errorFields(error: Error, withStack: boolean): Record<string, unknown> {
  const { code } = error as NodeJS.ErrnoException
  return {
    ...(code === undefined ? {} : { code }),
    message: error.message,
    ...(error.cause === undefined ? {} : { cause: error.cause }),
    ...(withStack ? { stack: error.stack } : {}),
  }
}

/** What would end the line, or be a command to a terminal; JSON escapes it in the fields. */
const oneLine = (text: string): string => text.replace(/\p{Cc}/gu, '?')

/** Cut before anything is searched in it: text is as long as whoever wrote it wanted. */
function redactText(text: string): string {
  const clean = SECRET_TEXT.reduce(
    (result, { pattern, replacement }) => result.replace(pattern, replacement),
    text.slice(0, MAX_SEARCHED),
  )
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT - 3)}...` : clean
}

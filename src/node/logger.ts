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
const SECRET_TEXT = [/\b(Bearer|Solar)\s+[A-Za-z0-9._~+/=:@-]{16,}/g, /([a-z][a-z0-9+.-]*:\/\/[^:@/\s]*):[^@/\s]+@/gi]
const CENSOR = '[redacted]'
const MAX_DEPTH = 6

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
    log[level](redact(fields, options.level === 'debug', 0), redactText(message))
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
  if (Array.isArray(value)) return value.map((item) => redact(item, withStack, depth + 1))
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      SECRET_NAME.test(key) ? CENSOR : redact(member, withStack, depth + 1),
    ]),
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

function redactText(text: string): string {
  return SECRET_TEXT.reduce(
    (result, pattern) =>
      result.replace(pattern, (match: string, start: string) =>
        match.endsWith('@') ? `${start}:${CENSOR}@` : `${start} ${CENSOR}`,
      ),
    text,
  )
}

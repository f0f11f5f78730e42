/** The thread of sqlite-connection.ts: has one database open at a time, and answers in the order of the requests. */
import { parentPort } from 'node:worker_threads'
import { driverCodes } from '../failure.ts'
import type { ThreadReply, ThreadRequest } from './sqlite-connection.ts'
import { openSqliteFile, type SqliteFile, type StatementResult } from './sqlite-file.ts'

/** Rows of one message: who asks for many takes them in pieces, and does other things in between. */
const ROWS_OF_MESSAGE = 500

let file: SqliteFile | undefined
let found: StatementResult = { rows: [] }
let sent = 0

function nextRows(): ThreadReply {
  const { rows, ...result } = found
  const part = rows.slice(sent, sent + ROWS_OF_MESSAGE)
  sent += part.length
  if (sent < rows.length) return { rows: part, hasMore: true }
  found = { rows: [] }
  return { ...result, rows: part }
}

function answer(request: ThreadRequest): ThreadReply {
  switch (request.kind) {
    case 'open':
      file = openSqliteFile(request.path)
      return { rows: [] }
    case 'more':
      return nextRows()
    case 'close':
      file?.close()
      file = undefined
      return { rows: [] }
    case 'execute': {
      if (file === undefined) throw new Error('no database is open')
      found = file.execute(request.text, request.parameters)
      sent = 0
      return nextRows()
    }
  }
}

function reply(message: ThreadReply): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', (request: ThreadRequest) => {
  try {
    reply(answer(request))
  } catch (error) {
    const [code] = driverCodes(error)
    reply({ failure: error instanceof Error ? error.message : String(error), ...(code !== undefined && { code }) })
  }
})

/** The thread of sqlite-connection.ts: has one database open at a time, and answers in the order of the requests. */
import { parentPort } from 'node:worker_threads'
import { driverCodes } from '../failure.ts'
import { chunks } from './chunks.ts'
import type { ThreadReply, ThreadRequest } from './sqlite-connection.ts'
import { openSqliteFile, type SqliteFile } from './sqlite-file.ts'

/** Rows of one message: who asks for many takes them in pieces, and does other things in between. */
const ROWS_OF_MESSAGE = 500

let file: SqliteFile | undefined

function answer(request: ThreadRequest): ThreadReply {
  switch (request.kind) {
    case 'open':
      file = openSqliteFile(request.path)
      return { rows: [] }
    case 'close':
      file?.close()
      file = undefined
      return { rows: [] }
    case 'execute': {
      if (file === undefined) throw new Error('no database is open')
      const { rows, ...result } = file.execute(request.text, request.parameters)
      const last = rows.length - (rows.length % ROWS_OF_MESSAGE)
      for (const part of chunks(rows.slice(0, last), ROWS_OF_MESSAGE)) reply({ rows: part, hasMore: true })
      return { ...result, rows: rows.slice(last) }
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

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'
import { listenTo } from '../../../src/storage/sql/postgres-listen.ts'
import { eventually } from '../../helpers/network.ts'
import { spentMs } from '../../helpers/patience.ts'
import { query, tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'

const CHANNEL = 'a "channel"'
const LISTENERS = `select pid from pg_stat_activity where datname = current_database() and query like 'listen %'`

describe('listening to PostgreSQL', () => {
  let database: TempDatabase
  let stop: (() => Promise<void>) | undefined
  let calls: number
  let onCall: () => void

  before(async () => {
    database = await tempDatabase()
  })
  beforeEach(() => {
    calls = 0
    onCall = () => undefined
  })
  afterEach(async () => {
    await stop?.()
    stop = undefined
  })
  after(() => database.drop())

  const listen = (url: string) =>
    (stop = listenTo(url, CHANNEL, () => {
      calls++
      onCall()
    }))
  /** Resolves when it was called so many times in all. */
  const called = (times: number): Promise<void> =>
    new Promise((resolve) => {
      onCall = () => {
        if (calls >= times) resolve()
      }
      onCall()
    })
  const notify = () => query(database.url, `notify "a ""channel"""`)

  it('calls once it listens, and at each notification of its channel', async () => {
    listen(database.url)
    await called(1)
    await notify()
    await called(2)
    await query(database.url, 'notify another')
    await notify()
    await called(3)
    assert.equal(calls, 3)
  })

  it('listens again by itself when its connection is cut, and calls: what was told in between is lost', async () => {
    listen(database.url)
    await called(1)
    await query(database.url, `select pg_terminate_backend(pid) from (${LISTENERS}) as listeners`)
    await called(2)
    await notify()
    await called(3)
  })

  it('listens as soon as there is a server', async () => {
    const { hostname, port } = new URL(database.url)
    const away = createServer()
    away.listen(0, '127.0.0.1')
    await once(away, 'listening')
    const own = (away.address() as AddressInfo).port
    away.close()
    await once(away, 'close')
    const url = new URL(database.url)
    url.port = String(own)
    listen(url.href)

    const relay = createServer((socket) => {
      const onward = createConnection(Number(port), hostname)
      socket.pipe(onward).pipe(socket)
      for (const one of [socket, onward]) one.on('error', () => undefined)
    })
    relay.listen(own, '127.0.0.1')
    try {
      await called(1)
      await notify()
      await called(2)
    } finally {
      await stop?.()
      relay.close()
      await once(relay, 'close')
    }
  })

  it('calls no more once it has ended', async () => {
    const end = listen(database.url)
    await called(1)
    await end()
    await notify()
    await eventually('nobody listens', async () => (await query(database.url, LISTENERS)).length === 0)
    assert.equal(calls, 1)
  })

  it('ends at once although the server never answers', async () => {
    const sockets: Socket[] = []
    const silent = createServer((socket) => sockets.push(socket.on('error', () => undefined)))
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const url = new URL(database.url)
    url.port = String((silent.address() as AddressInfo).port)
    const end = listen(url.href)
    await once(silent, 'connection')
    const before = spentMs()
    await end()
    assert.ok(spentMs() - before < 2_000)
    for (const socket of sockets) socket.destroy()
    silent.close()
    await once(silent, 'close')
  })
})

import assert from 'node:assert/strict'
import { createSealClock } from '../../../src/engine/seal-clock.ts'
import { createPeers } from '../../helpers/peers.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'

const NOW = 1_767_225_600_000
const HOUR = 3_600_000
const DAY = 24 * HOUR

/** An authority's clock that can be set, among peers that say what their clocks say. */
function setUp({
  database,
  validators = false,
  lastSealedAt = null,
  named = [],
}: { database?: () => number; validators?: boolean; lastSealedAt?: number | null; named?: readonly string[] } = {}) {
  const time = createVirtualClock(NOW)
  const peers = createPeers()
  const lines: string[] = []
  const log = (_fields: object, line: string): void => void lines.push(line)
  let set = 0
  let onAsked = (): void => undefined
  const sealClock = createSealClock({
    clock: { now: () => time.now() + set, monotonic: () => time.now(), after: (ms, task) => time.after(ms, task) },
    requests: peers.of('authority'),
    namedPeers: { reached: () => new Map(named.map((name) => [`/dns4/${name}`, name])) },
    databaseTime: () => Promise.resolve(database?.()),
    hasValidators: () => validators,
    lastSealedAt,
    logger: { debug: () => undefined, info: log, warn: log, error: log },
  })
  return {
    sealClock,
    lines,
    time,
    setAhead: (ms: number) => (set = ms),
    /** Is called when a peer is asked for its time. */
    answering: (task: () => void) => (onAsked = task),
    /** A peer joins whose clock is this much ahead of the true time. */
    join: (name: string, aheadMs = 0): void => {
      peers.of(name).serve('time', () => {
        onAsked()
        return Promise.resolve({ now: time.now() + aheadMs })
      })
      peers.connect('authority', name)
    },
    silent: (name: string): void => {
      peers.of(name).serve('time', () => new Promise<object>(() => undefined))
      peers.connect('authority', name)
    },
    leave: (name: string) => peers.disconnect('authority', name),
  }
}

/** Lets what is already answered come through. */
const turns = async (): Promise<void> => {
  for (let n = 0; n < 50; n++) await Promise.resolve()
}

describe('the clock of an authority', () => {
  it('is believed while nothing speaks against it, with peers and without', async () => {
    const { sealClock, join, setAhead } = setUp({ validators: true })
    await sealClock.compare()
    assert.equal(sealClock.reason(), undefined)
    join('v1', 30_000)
    await sealClock.compare()
    setAhead(40_000)
    assert.equal(sealClock.reason(), undefined)
  })

  for (const [what, database, wanted] of [
    ['a peer', undefined, /its peer v1 says 2026-01-01T00:00:00\.000Z; .*set the clock/],
    ['the database server', () => NOW, /the database server says 2026-01-01T00:00:00\.000Z; .*set the clock/],
  ] as const) {
    it(`that is a day ahead of ${what} at the start seals nothing until it is set`, async () => {
      const { sealClock, join, setAhead, lines } = setUp(database && { database })
      join('v1')
      setAhead(DAY)
      await sealClock.compare()
      await sealClock.compare()
      assert.match(sealClock.reason() ?? '', wanted)
      assert.equal(lines.filter((line) => line.startsWith('NOT SEALING')).length, 1)
      setAhead(0)
      await sealClock.compare()
      assert.equal(sealClock.reason(), undefined)
      assert.match(lines.at(-1) ?? '', /agrees with others again/)
    })
  }

  it('that starts long after the last block waits for a validator that confirms the time, if there is any', async () => {
    const lastSealedAt = NOW - DAY
    const { sealClock, join, setAhead } = setUp({ validators: true, lastSealedAt })
    await sealClock.compare()
    assert.match(sealClock.reason() ?? '', /the last block came at 2025-12-31T00:00:00\.000Z, and no peer .*confirms/)
    setAhead(16 * 60_000 - DAY)
    await sealClock.compare()
    assert.match(sealClock.reason() ?? '', /no peer is there/, 'it may still be ahead')
    setAhead(0)
    join('v1')
    await sealClock.compare()
    assert.equal(sealClock.reason(), undefined)
    for (const alone of [
      setUp({ lastSealedAt }),
      setUp({ validators: true, lastSealedAt: NOW - 14 * 60_000 }),
      setUp({ validators: true, lastSealedAt, database: () => NOW }),
    ]) {
      await alone.sealClock.compare()
      assert.equal(alone.sealClock.reason(), undefined)
    }
  })

  it('that starts long after the last block seals nothing either while those who could confirm it are silent', async () => {
    const { sealClock, join, time, silent } = setUp({ validators: true, lastSealedAt: NOW - DAY })
    silent('v1')
    const compared = sealClock.compare()
    await turns()
    time.advance(3_000)
    await compared
    assert.match(sealClock.reason() ?? '', /no peer is there that confirms the time/)
    join('v2')
    const again = sealClock.compare()
    await turns()
    time.advance(3_000)
    await again
    assert.equal(sealClock.reason(), undefined)
  })

  it('that waits for nobody once it was believed, or was set back to just after the last block', async () => {
    const { sealClock, setAhead, time } = setUp({ validators: true, lastSealedAt: NOW })
    setAhead(DAY)
    await sealClock.compare()
    assert.match(sealClock.reason() ?? '', /no peer is there/)
    setAhead(0)
    await sealClock.compare()
    assert.equal(sealClock.reason(), undefined)
    time.advance(DAY)
    await sealClock.compare()
    assert.equal(sealClock.reason(), undefined)
  })

  it('that is behind harms nobody, nor does one peer against two that agree with this clock', async () => {
    const { sealClock, join, setAhead } = setUp()
    join('v1')
    setAhead(-DAY)
    await sealClock.compare()
    assert.equal(sealClock.reason(), undefined)
    setAhead(0)
    join('v2')
    join('liar', -DAY)
    await sealClock.compare()
    assert.equal(sealClock.reason(), undefined)
  })

  it('is judged by peers that the operator has named, where one answers, whoever else is there', async () => {
    const liars = ['mallory', 'mallet', 'trudy']
    const { sealClock, join, setAhead } = setUp({ named: ['v1'] })
    for (const name of liars) join(name, -HOUR)
    await sealClock.compare()
    assert.match(sealClock.reason() ?? '', /3 peers say/, 'nobody else is there')
    join('v1')
    await sealClock.compare()
    assert.equal(sealClock.reason(), undefined)

    setAhead(DAY)
    for (const name of liars) join(name, DAY)
    await sealClock.compare()
    assert.match(sealClock.reason() ?? '', /its peer v1 says/, 'they confirm nothing either')
  })

  it('is not asked about while it runs evenly: who connects and lies holds up nothing', async () => {
    const { sealClock, join, time } = setUp({ validators: true })
    await sealClock.compare()
    sealClock.start(() => assert.fail('nothing was wrong'))
    for (const liar of ['one', 'two', 'three']) join(liar, -DAY)
    time.advance(3_600_000)
    await turns()
    assert.equal(sealClock.reason(), undefined)
    sealClock.stop()
  })

  it('that jumps ahead is refused at once, and believed when a peer confirms it', async () => {
    const { sealClock, join, leave, setAhead, time } = setUp({ validators: true })
    const agreed = new Promise<void>((resolve) => sealClock.start(resolve))
    setAhead(DAY)
    assert.match(sealClock.reason() ?? '', /has moved 86400 s ahead at once/)
    time.advance(1_000)
    await turns()
    assert.match(sealClock.reason() ?? '', /nobody has confirmed it/)
    join('v1')
    time.advance(1_000)
    await turns()
    assert.match(sealClock.reason() ?? '', /v1 says/)
    leave('v1')
    join('v2', DAY)
    time.advance(1_000)
    await agreed
    assert.equal(sealClock.reason(), undefined)
    sealClock.stop()
  })

  it('that is set while others are asked is held against what they say with what it says then', async () => {
    for (const [before, after] of [
      [-HOUR, HOUR],
      [0, HOUR],
    ] as const) {
      const { sealClock, join, setAhead, answering } = setUp({ validators: true })
      for (const name of ['v1', 'v2', 'v3']) join(name)
      setAhead(before)
      await sealClock.compare()
      assert.equal(sealClock.reason(), undefined, 'a clock that is behind harms nobody')
      answering(() => setAhead(after))
      await sealClock.compare()
      assert.match(sealClock.reason() ?? '', /3 peers say 2026-01-01T00:00:00\.000Z/)
    }
  })

  it('that was contradicted is believed once it is set, also if who contradicted it is gone, and no sooner', async () => {
    const { sealClock, join, leave, setAhead } = setUp({ validators: true })
    join('v1')
    setAhead(DAY)
    await sealClock.compare()
    leave('v1')
    for (const ahead of [DAY, DAY / 2, 50_000]) {
      setAhead(ahead)
      await sealClock.compare()
      assert.match(sealClock.reason() ?? '', /v1 says/)
    }
    setAhead(0)
    await sealClock.compare()
    assert.equal(sealClock.reason(), undefined)
  })

  it('that jumps ahead where nobody can be asked is believed', async () => {
    const { sealClock, setAhead } = setUp()
    setAhead(DAY)
    await sealClock.compare()
    assert.equal(sealClock.reason(), undefined)
  })

  it('of a database that does not answer is waited for in bounded time, and the clock is as it was', async () => {
    const { sealClock, setAhead, time } = setUp({ database: () => assert.fail('no connection'), validators: true })
    setAhead(DAY)
    const compared = sealClock.compare()
    await turns()
    time.advance(3_000)
    await compared
    assert.match(sealClock.reason() ?? '', /has moved/)
  })
})

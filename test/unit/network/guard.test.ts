import assert from 'node:assert/strict'
import type { MultiaddrConnection, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createPeerGuard } from '../../../src/network/guard.ts'
import { createMeter } from '../../../src/network/meter.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'

/** As much of an inbound connection as the guard sees. */
class Inbound extends EventTarget {
  status = 'open'
  readonly remoteAddr
  constructor(host: string) {
    super()
    this.remoteAddr = multiaddr(`/ip4/${host}/tcp/1`)
  }
  abort(): void {
    this.status = 'aborted'
    this.dispatchEvent(new Event('close'))
  }
  asConnection = (): MultiaddrConnection => this as unknown as MultiaddrConnection
}

function guardOfTest() {
  const clock = createVirtualClock(1_000)
  let used = 0
  const guard = createPeerGuard({ places: 2_000, clock, logger: silentLogger, meter: createMeter(() => used) })
  const accepts = (from: Inbound): boolean => guard.gater.denyInboundConnection?.(from.asConnection()) === false
  return {
    clock,
    guard,
    accepts,
    use: (ms: number) => (used += ms),
    /** The peer's connection, or undefined if it gets none. */
    connect: (peer: string, host: string): Inbound | undefined => {
      const from = new Inbound(host)
      if (!accepts(from) || !guard.admitsHandshake(from.remoteAddr)) return undefined
      const id = { toString: () => peer } as PeerId
      return guard.gater.denyInboundEncryptedConnection?.(id, from.asConnection()) === false ? from : undefined
    },
  }
}
const patience = () => new AbortController().signal

describe('the guard', () => {
  for (const host of ['192.0.2.7', '127.0.0.1']) {
    it(`keeps nobody waiting for connections that say nothing, or break off a handshake, from ${host}`, async () => {
      const { guard, accepts, connect } = guardOfTest()
      for (let n = 0; n < 5_000; n++) {
        const from = new Inbound(host)
        if (accepts(from) && n % 2 === 0) guard.admitsHandshake(from.remoteAddr)
      }
      assert.ok(connect('honest', '198.51.100.1'))
      assert.equal(guard.waitMs('honest'), 0)
      await guard.turn('honest', patience())
    })
  }

  it('charges a connection that says nothing less than a handshake, which cuts strangers of its address off', () => {
    const silent = guardOfTest()
    let accepted = 0
    while (silent.accepts(new Inbound('192.0.2.7'))) accepted++
    const speaking = guardOfTest()
    let handshakes = 0
    while (
      speaking.accepts(new Inbound('192.0.2.7')) &&
      speaking.guard.admitsHandshake(new Inbound('192.0.2.7').remoteAddr)
    )
      handshakes++
    assert.ok(accepted > 5 * handshakes, `${accepted} connections, ${handshakes} handshakes`)
    assert.equal(speaking.connect('neighbour', '192.0.2.7'), undefined)
  })

  it('lets a stranger ask soon, however many ask for much at other addresses', async () => {
    const { clock, guard, connect, use } = guardOfTest()
    for (let n = 0; n < 200; n++) {
      connect(`flood ${n}`, `192.0.2.${n}`)
      const end = guard.begin(`flood ${n}`)
      use(1_000)
      end()
    }
    const floods: Promise<void>[] = []
    for (let n = 0; n < 1_000; n++) floods.push(guard.turn(`flood ${n % 200}`, patience()))
    connect('honest', '198.51.100.1')
    let isAsked = false
    void guard.turn('honest', patience()).then(() => (isAsked = true))
    for (let waited = 0; waited < 3_000; waited += 10) {
      clock.advance(10)
      await Promise.resolve()
    }
    assert.ok(isAsked)
  })

  it('lets who is known ask at once', async () => {
    const { guard, connect, use } = guardOfTest()
    connect('flood', '192.0.2.1')
    const end = guard.begin('flood')
    use(60_000)
    end()
    connect('device', '198.51.100.1')
    guard.vouch('device', 'key of a device', () => 'device')
    await guard.turn('device', patience())
  })

  it('charges who hangs up before the answer at the address from which it has asked', () => {
    for (const hangsUp of [false, true]) {
      const { guard, connect, use } = guardOfTest()
      let served = 0
      for (
        let from = connect('peer 0', '192.0.2.9');
        from !== undefined;
        from = connect(`peer ${served}`, '192.0.2.9')
      ) {
        const end = guard.begin(`peer ${served}`)
        if (hangsUp) from.abort()
        use(1_200)
        end()
        served++
      }
      assert.ok(served < 40, `${served} questions were answered, though who asked ${hangsUp ? 'hung up' : 'stayed'}`)
    }
  })

  it('gives a key one budget, however many peers show it one after another', () => {
    const { guard, connect, use } = guardOfTest()
    let spent = 0
    for (let n = 0; n < 50; n++) {
      const peer = `peer ${n}`
      connect(peer, `192.0.2.${n}`)
      guard.vouch(peer, 'one key', () => 'device')
      while (guard.waitMs(peer) === 0 && !guard.isCutOff(peer)) {
        const end = guard.begin(peer)
        use(200)
        end()
        spent += 100
      }
    }
    assert.ok(spent <= 4_100, `${spent} ms`)
  })

  it('closes all connections of a key that costs too much, and what shows it afterwards', () => {
    const { guard, connect } = guardOfTest()
    const both = ['a', 'b'].map((peer, n) => {
      const from = connect(peer, `192.0.2.${n}`)
      guard.vouch(peer, 'one key', () => 'device')
      return from
    })
    const other = connect('other', '192.0.2.3')
    guard.charge('a', { ms: 20_000 })
    assert.deepEqual(
      both.map((from) => from?.status),
      ['aborted', 'aborted'],
    )
    assert.equal(other?.status, 'open')
    guard.vouch('other', 'one key', () => 'device')
    assert.equal(other.status, 'aborted')
  })

  it('takes a few handshakes where a device is at home, once strangers there are cut off', () => {
    const { clock, guard, accepts, connect } = guardOfTest()
    connect('device', '192.0.2.9')
    guard.vouch('device', 'key', () => 'device')
    const begun = (): number => {
      let count = 0
      for (let n = 0; n < 10_000; n++) {
        const from = new Inbound('192.0.2.9')
        if (accepts(from) && guard.admitsHandshake(from.remoteAddr)) count++
      }
      return count
    }
    assert.ok(begun() < 2_000)
    assert.equal(begun(), 0)
    clock.advance(1_000)
    assert.ok(connect('device', '192.0.2.9'), 'the device comes back')
    assert.ok(begun() <= 2)
  })
})

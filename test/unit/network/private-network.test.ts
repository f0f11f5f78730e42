import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKey } from '@libp2p/pnet'
import { readSwarmKeyFile } from '../../../src/keys/swarm-key-file.ts'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import type { PeerNetwork } from '../../../src/network/peer-network.ts'
import { systemClock } from '../../../src/node/clock.ts'
import type { DialEvent } from '../../../src/ports/dial.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { CHAIN } from '../../helpers/network.ts'
import { tempDir } from '../../helpers/temp.ts'

describe('a private network', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let hub: PeerNetwork
  const networks: PeerNetwork[] = []
  const [ours, theirs] = [new Uint8Array(95), new Uint8Array(95)]
  generateKey(ours)
  generateKey(theirs)

  /** Resolves with what becomes of the first dial of `peers`. */
  async function open(swarmKey: Uint8Array | undefined, peers: readonly string[]) {
    const told = Promise.withResolvers<DialEvent>()
    const network = await createNodeNetwork({
      chainId: CHAIN,
      privateKey: new Uint8Array(randomBytes(32)),
      listen: peers.length > 0 ? [] : ['/ip4/127.0.0.1/tcp/0'],
      peers,
      swarmKey,
      hub: true,
      clock: systemClock,
      logger: silentLogger,
      onDial: (event) => told.resolve(event),
    })
    networks.push(network)
    await network.start()
    return { network, told: told.promise }
  }

  before(async () => {
    folder = await tempDir()
    hub = (await open(ours, [])).network
    hub.requests.serve('time', () => Promise.resolve({ now: 1 }))
  })
  after(async () => {
    for (const network of networks) await network.stop()
    await folder.remove()
  })

  it('answers who has its key', async () => {
    for (const address of hub.multiaddrs()) {
      const { network, told } = await open(ours, [address])
      assert.equal((await told).type, 'connected', address)
      assert.deepEqual(await network.requests.request(hub.peerId, 'time', {}), { now: 1 })
    }
  })

  for (const [who, key] of [
    ['who has another key', theirs],
    ['who has none', undefined],
  ] as const) {
    it(`lets nobody in ${who}`, async () => {
      for (const address of hub.multiaddrs()) {
        const { network, told } = await open(key, [address])
        assert.notEqual((await told).type, 'connected', address)
        assert.deepEqual(network.requests.peers(), [])
      }
    })
  }

  it('has its key in a file as libp2p writes it', async () => {
    const file = join(folder.path, 'swarm.key')
    await writeFile(file, `${Buffer.from(ours).toString()}\n`, { mode: 0o600 })
    assert.deepEqual(new Uint8Array(await readSwarmKeyFile(file)), ours)
    for (const wrong of ['', 'abc\n', `/key/swarm/psk/1.0.0/\n/base64/\n${'a'.repeat(64)}`, 'a'.repeat(64)]) {
      await writeFile(file, wrong)
      await assert.rejects(readSwarmKeyFile(file), { code: 'key_malformed' })
    }
    await writeFile(file, 'a'.repeat(5_000))
    await assert.rejects(readSwarmKeyFile(file), { code: 'key_unreadable' })
    await assert.rejects(readSwarmKeyFile(join(folder.path, 'none')), { code: 'key_unreadable' })
  })
})

import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { loadLightConfig } from '../../../src/config/load.ts'
import { createKeyFile } from '../../../src/keys/index.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { createLight, type LightNode } from '../../../src/node/light.ts'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { RequestName } from '../../../src/ports/peer-requests.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { sha256 } from '../../../src/protocol/hash.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import { decodePostedRegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import { startFullPeer, type FullPeer, type FullPeerOptions } from '../../helpers/full-peer.ts'
import { eventually, networkOptions } from '../../helpers/network.ts'
import { freePorts } from '../../helpers/processes.ts'
import { readTestKey, sealHeader, signingKeyFromSecret, signRegistryTransaction } from '../../helpers/sign-now.ts'
import { platformTick } from './platform.ts'
import { openStaleLab, type RunningAuthority, type StaleLab } from './stale-lab.ts'

const STORES = ['ledger.db', 'level'] as const
const isNotReady = (error: unknown) => isSolarError(error, 'not_ready')

describe('an authority whose databases are old, among peers that have seen more', () => {
  let lab: StaleLab
  let backup: string
  let newest: string
  let listen: string
  const peers: FullPeer[] = []
  const households: LightNode[] = []

  beforeEach(async () => {
    lab = await openStaleLab()
    const [port] = await freePorts(1)
    listen = `/ip4/127.0.0.1/tcp/${port}`
    await lab.whileRunning((node) => lab.trade(node, 3))
    backup = await lab.backup('early')
    await lab.whileRunning((node) => lab.trade(node, 5))
    newest = await lab.backup('newest')
  })
  afterEach(async () => {
    await Promise.all(households.splice(0).map((node) => node.stop()))
    await Promise.all(peers.splice(0).map((peer) => peer.stop()))
    await lab.close()
  })

  /** A peer of its own LevelDB, which is that of a data directory. */
  async function startPeer(name: string, data: string, options: FullPeerOptions = {}): Promise<FullPeer> {
    const own = join(lab.folder, name)
    for (const part of ['genesis.json', 'level']) await cp(join(data, part), join(own, part), { recursive: true })
    const peer = await startFullPeer(name, own, options)
    peers.push(peer)
    return peer
  }
  const isUpToDate = async ({ ledger }: RunningAuthority) => {
    const { tip_height } = await ledger.latestHeaders(1)
    return tip_height === lab.answers.length - 1
  }
  const readiness = async ({ url }: RunningAuthority): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${url}/ready`)
    return { status: response.status, text: await response.text() }
  }

  /** The chain is as it was answered, and goes on. */
  async function goesOn(node: RunningAuthority): Promise<void> {
    await eventually('the database is up to date', () => isUpToDate(node))
    await eventually('it is ready', async () => (await readiness(node)).status === 200)
    await lab.checkChain(node)
    await lab.trade(node, 1)
    assert.equal(lab.answers.at(-1)?.height, lab.answers.length - 1)
  }

  it('does not seal before a peer has given it the blocks back, and then on top of them', async () => {
    await lab.putBack(backup, ...STORES)
    await lab.whileRunning(async (node) => {
      await assert.rejects(node.ledger.acceptTick(platformTick('new', 0)), isNotReady)
      assert.equal((await readiness(node)).status, 503)
      const peer = await startPeer('full', newest, { peers: [node.address] })
      await goesOn(node)
      assert.deepEqual(peer.asked, [3, 4, 5, 6, 7])
    })
    await lab.audit()
    await lab.whileRunning((node) => lab.checkChain(node))
  })

  it('hears from a peer that it is behind although no store of its own says so', async () => {
    await lab.putBack(backup, ...STORES)
    await lab.lose('high-water')
    const { address } = await startPeer('full', newest)
    await lab.whileRunning(goesOn, { peer: [address] })
    await lab.audit()
    assert.ok(
      lab.log.some((line) => /^NOT SEALING: a peer has block 7 \([0-9a-f]{64}\) sealed by authority/.test(line)),
    )
  })

  it('without any store gets the whole chain', async () => {
    await lab.lose(...STORES)
    const { address } = await startPeer('full', newest)
    await lab.whileRunning(goesOn, { peer: [address] })
    await lab.audit()
  })

  it('is not waited for by an authority whose peer is away', async () => {
    const { address } = await startPeer('away', newest)
    await peers.pop()?.stop()
    await lab.whileRunning(goesOn, { peer: [address] })
    await lab.audit()
  })

  it('seals no height that a household has seen sealed, and says so, though nobody has the blocks', async () => {
    await lab.putBack(newest, ...STORES)
    const watch = async (node: RunningAuthority) => {
      const flags = { data: join(lab.folder, 'household'), peer: [node.address], vote: false }
      const household = createLight(loadLightConfig({ flags, env: {} }), { logger: silentLogger })
      households.push(household)
      await household.start()
      await eventually('the household has the tip', () => household.status().tip?.height === 7)
    }
    await lab.whileRunning(watch, { listen: [listen] })
    await lab.putBack(backup, ...STORES)
    await lab.lose('high-water')
    const before = await lab.blocksInSql()
    await lab.whileRunning(
      async (node) => {
        await eventually('it is not ready', async () => (await readiness(node)).status === 503)
        assert.match(
          (await readiness(node)).text,
          /a peer has block 7 .* sealed by authority, this database ends at block 2/,
        )
        await assert.rejects(node.ledger.acceptTick(platformTick('new', 0)), isNotReady)
      },
      { listen: [listen] },
    )
    assert.deepEqual(await lab.blocksInSql(), before)
  })

  it('believes no block that is not the sealed one, and goes on with the next peer', async () => {
    await lab.putBack(backup, ...STORES)
    const forge: FullPeerOptions['show'] = (block) => ({
      ...block,
      transactions: block.transactions.map((tx) => (tx.kind === 'trade' ? { ...tx, to_user_id: 'mallory' } : tx)),
    })
    await lab.whileRunning(async (node) => {
      const liar = await startPeer('liar', newest, { peers: [node.address], show: forge })
      await eventually('the reason is told', async () => (await readiness(node)).text.includes('wrong_merkle_root'))
      const silent = await startPeer('silent', newest, { peers: [node.address], show: () => undefined })
      await eventually('the next reason is told', async () => (await readiness(node)).text.includes('unknown_block'))
      assert.deepEqual([liar.asked.length > 0, silent.asked.length > 0, await isUpToDate(node)], [true, true, false])
      await startPeer('full', newest, { peers: [node.address] })
      await goesOn(node)
    })
  })

  it('is not stopped by a stranger who makes up blocks', async () => {
    const key = signingKeyFromSecret(sha256('a stranger'))
    await lab.whileRunning(async (node) => {
      const { chainId } = node.ledger
      const { header } = (await node.ledger.latestHeaders(1)).headers[0]!
      const made = (height: number) => {
        const prev_hash = height === header.height + 1 ? hashHeader(header) : header.prev_hash
        // Only a block that changes the registry may have a seal that is not known yet.
        return sealHeader({ ...header, height, prev_hash, tx_count: 1, registry_root: header.merkle_root }, key)
      }
      const stranger = await createNodeNetwork(networkOptions('stranger', { chainId, peers: [node.address] }))
      const asked = new Set<string>()
      const serve = (name: RequestName, answer: (params: Record<string, number>) => object) =>
        stranger.requests.serve(name, (params) => {
          asked.add(name)
          return Promise.resolve(answer(params as Record<string, number>))
        })
      const tip = { height: 1_000, header_hash: hashHeader(made(1_000).header) }
      serve('status', () => ({ mode: 'validator', chain_id: chainId, tip, final_height: null }))
      serve('headers', ({ from_height = 0 }) => ({ headers: [made(from_height)] }))
      serve('registry', () => ({ height: 1_000, entry: null }))
      // Nothing is signed about a block that nobody has sealed.
      serve('block', () => assert.fail('a made-up block is asked for'))
      await stranger.start()
      try {
        await eventually('it was asked for all that it claims to have', () => asked.size === 3)
        await goesOn(node)
        assert.deepEqual([...asked].sort(), ['headers', 'registry', 'status'])
      } finally {
        await stranger.stop()
      }
    })
    await lab.audit()
  })

  it('gets blocks with the key that it has now, though its database knows the one before', async () => {
    const next = await createKeyFile(join(lab.data, 'authority-2.key'), { randomBytes: systemRandomBytes })
    const key = await readTestKey(join(lab.data, 'authority.key'))
    await lab.whileRunning(async (node) => {
      const body = { kind: 'registry', id: 'new-key', action: 'rotate', subject_id: 'authority' } as const
      const rotation = { ...body, public_key: next.publicKey, timestamp: Date.now(), nonce: 'ab'.repeat(16) }
      const signed = signRegistryTransaction(rotation, node.ledger.chainId, key)
      await node.ledger.register(decodePostedRegistryTransaction(signed))
      await node.ledger.acceptTick(platformTick('after', 0))
    })
    const { address } = await startPeer('full', lab.data)
    await lab.putBack(backup, ...STORES)
    await lab.whileRunning(
      async ({ ledger }) => {
        await eventually('the database is up to date', async () => (await ledger.latestHeaders(1)).tip_height === 9)
        const answer = await ledger.acceptTick(platformTick('after', 1))
        assert.equal(answer.height, 10)
        assert.equal(ledger.activeEntry('authority')?.public_key, next.publicKey)
      },
      { peer: [address] },
    )
  })

  describe('and whose key has sealed on both', () => {
    beforeEach(async () => {
      await lab.putBack(backup, ...STORES)
      await lab.lose('high-water')
      lab.ticks.length = lab.answers.length = 3
    })

    async function isRefused(reason: RegExp): Promise<void> {
      const { address } = await startPeer('full', newest)
      await lab.whileRunning(
        async (node) => {
          await eventually('the reason is told', async () => reason.test((await readiness(node)).text))
          await assert.rejects(node.ledger.acceptTick(platformTick('new', 0)), isNotReady)
          assert.equal(await isUpToDate(node), true)
        },
        { peer: [address] },
      )
    }

    it('does not go on below what a peer has', async () => {
      await lab.whileRunning((node) => lab.trade(node, 1))
      await isRefused(/a peer has block 7 .* this database ends at block 3: restoring; .*wrong_parent/)
    })

    for (const [where, blocks] of [
      ['at the height that a peer has', 5],
      ['above what a peer has', 8],
    ] as const) {
      it(`has the evidence of it ${where}`, async () => {
        await lab.whileRunning((node) => lab.trade(node, blocks))
        const { address } = await startPeer('full', newest)
        await lab.whileRunning(
          async (node) => {
            await eventually('it is listed', async () => (await node.ledger.evidence(1)).length === 1)
            assert.ok(lab.log.some((line) => line.startsWith('a peer has another block 7 sealed by authority')))
          },
          { peer: [address] },
        )
      })
    }
  })
})

import assert from 'node:assert/strict'
import { copyFile, cp, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { createKeyFile, createSignerKeyFile, loadKeyFile } from '../../../src/keys/key-file.ts'
import { createAuthority, type AuthorityNode } from '../../../src/node/authority.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { createSignerProcess } from '../../../src/node/signer.ts'
import { createSignerClient } from '../../../src/node/signer-client.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import {
  decodePostedRegistryTransaction,
  signRegistryTransaction,
  type RegistryTransaction,
} from '../../../src/protocol/registry-transaction.ts'
import { signingBytes, type SigningKey } from '../../../src/protocol/signature.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import { eventually } from '../../helpers/network.ts'
import { tempDir } from '../../helpers/temp.ts'
import { sealTick } from '../../helpers/validator-network.ts'

describe('an authority whose key is lost, and whose recovery words are at hand', () => {
  let temporary: Awaited<ReturnType<typeof tempDir>>
  let chainId: string
  let recovery: SigningKey
  const running: { stop: () => Promise<unknown> }[] = []
  const file = (name: string) => join(temporary.path, name)
  const data = (name: string) => join(temporary.path, 'data', name)

  beforeEach(async () => {
    temporary = await tempDir()
    const node = await start()
    await sealTick({ node }, 't0', Date.now())
    await node.stop()
    recovery = await loadKeyFile(data('recovery-phrase.txt'))
    await rename(data('authority.key'), file('old.key'))
    await createKeyFile(file('new.key'), { randomBytes: systemRandomBytes })
  })
  afterEach(async () => {
    for (const part of running.splice(0).toReversed()) await part.stop()
    await temporary.remove()
  })

  async function start(more: object = {}): Promise<AuthorityNode> {
    const flags = { data: data(''), http: '127.0.0.1:0', tick: 'off', listen: ['/ip4/127.0.0.1/tcp/0'], ...more }
    const node = createAuthority(loadAuthorityConfig({ flags, env: {} }), { logger: silentLogger })
    chainId = (await node.start()).chainId
    running.push(node)
    return node
  }
  async function recoveryWith(key: string, nonce = 'cd'.repeat(16)): Promise<RegistryTransaction> {
    const { publicKey } = await loadKeyFile(file(key))
    const body = {
      kind: 'registry',
      id: 'recover-1',
      action: 'recover',
      subject_id: 'authority',
      public_key: publicKey,
    } as const
    const tx = await signRegistryTransaction({ ...body, timestamp: Date.now(), nonce }, chainId, recovery)
    return decodePostedRegistryTransaction(tx)
  }
  async function recover(node: AuthorityNode, nonce?: string, key = 'new.key'): Promise<number | null> {
    await node.ledger.register(await recoveryWith(key, nonce), undefined)
    return await tip(node)
  }
  const tip = async (node: AuthorityNode) => (await node.ledger.latestHeaders(1)).tip_height

  /** The node's part of a signer that has the first key. */
  const nameOldKey = async () =>
    createSignerKeyFile(data('authority.key'), (await loadKeyFile(file('old.key'))).publicKey)

  async function startSigner(names: readonly string[], folder = 'signer') {
    await mkdir(file(folder), { mode: 0o700 })
    const address = { kind: 'unix', path: file('s.sock') } as const
    const keys = await Promise.all(names.map((name) => loadKeyFile(file(name))))
    const options = { chainId, keys, dataDirectory: file(folder), address, socketMode: 0o600 }
    const signer = createSignerProcess(
      { ...options, token: undefined, allowRegistry: false, signedUpTo: undefined },
      silentLogger,
    )
    await signer.start()
    running.push(signer)
    return { signer, keys, url: `unix:${address.path}`, client: createSignerClient({ address, token: undefined }) }
  }
  const header = (height: number) => ({
    ...{ version: 1, chain_id: chainId, height, prev_hash: 'ab'.repeat(32), merkle_root: 'ab'.repeat(32), tx_count: 1 },
    ...{
      history_root: 'ab'.repeat(32),
      registry_root: 'ab'.repeat(32),
      timestamp: Date.now(),
      nonce: 0,
      difficulty: 0,
    },
    miner_id: 'authority',
  })
  /** Seals, starts again, and seals: all by the new key. */
  async function goesOn(node: AuthorityNode, more: object = {}): Promise<void> {
    await sealTick({ node }, 't1', Date.now())
    await node.stop()
    const again = await start(more)
    await sealTick({ node: again }, 't2', Date.now())
    assert.equal(await tip(again), 3)
  }

  it('recovers it where the old key file is there as well', async () => {
    await copyFile(file('old.key'), data('authority.key'))
    await copyFile(file('new.key'), data('authority-2.key'))
    const node = await start()
    assert.equal(await recover(node), 1)
    await goesOn(node)
  })

  it('recovers it where the key file is gone and a new key is in its place', async () => {
    await assert.rejects(start(), (error) => isSolarError(error, 'data_directory_incomplete'))
    await copyFile(file('new.key'), data('authority.key'))
    const node = await start()
    await assert.rejects(sealTick({ node }, 't1', Date.now()), /the registry has the key/)
    assert.equal(await recover(node), 1)
    await goesOn(node)
  })

  it('recovers it where nothing is left but the genesis, the words, and the blocks that somebody has in level/', async () => {
    await rename(data(''), file('gone'))
    await mkdir(data(''), { mode: 0o700 })
    await copyFile(join(file('gone'), 'genesis.json'), data('genesis.json'))
    await cp(join(file('gone'), 'level'), data('level'), { recursive: true })
    await copyFile(file('new.key'), data('authority.key'))
    const node = await start()
    assert.equal(await recover(node), 1)
    await goesOn(node)
  })

  it('recovers it with a signer that has the new key alone: the machine with the old one is lost', async () => {
    const { url } = await startSigner(['new.key'])
    const node = await start({ signer: url })
    assert.equal(await recover(node), 1)
    await goesOn(node, { signer: url })
  })

  it('recovers it where a thief has asked the signer for a height far above', async () => {
    await nameOldKey()
    const { url, client, keys } = await startSigner(['old.key', 'new.key'])
    await client.sign(keys[0]!.publicKey, signingBytes('header', chainId, header(1_000_000)))
    const node = await start({ signer: url })
    await assert.rejects(sealTick({ node }, 't1', Date.now()), /the signer has block 1000000/)
    assert.equal(await recover(node), 1)
    await goesOn(node, { signer: url })
  })

  it('seals nothing on a backup of before the recovery, though the signer has the first key as well', async () => {
    await nameOldKey()
    const { url } = await startSigner(['old.key', 'new.key'])
    await cp(data(''), file('backup'), { recursive: true })
    const node = await start({ signer: url })
    assert.equal(await recover(node), 1)
    await node.stop()
    await rename(data(''), file('lost'))
    await rename(file('backup'), data(''))
    const back = await start({ signer: url })
    await assert.rejects(sealTick({ node: back }, 't1', Date.now()), /the signer has block 1 .* sealed by authority/)
    assert.equal(await tip(back), 0)
  })

  it('refuses it where the thief has had a block of that height signed by the new key as well', async () => {
    await nameOldKey()
    const { url, client, keys } = await startSigner(['old.key', 'new.key'])
    await client.sign(keys[1]!.publicKey, signingBytes('header', chainId, header(1)))
    const node = await start({ signer: url })
    await assert.rejects(recover(node), /the signer refuses block 1: this key has sealed block 1 /)
    await assert.rejects(recover(node, 'ef'.repeat(16)), /the signer refuses block 1/)
    assert.equal(await tip(node), 0)
  })

  it('starts all the same where that one waits, and takes a recovery with another key', async () => {
    await nameOldKey()
    await createKeyFile(file('third.key'), { randomBytes: systemRandomBytes })
    const { url, client, keys } = await startSigner(['old.key', 'new.key', 'third.key'])
    await client.sign(keys[1]!.publicKey, signingBytes('header', chainId, header(1)))
    const node = await start({ signer: url })
    await assert.rejects(recover(node), /the signer refuses block 1/)
    await node.stop()
    const again = await start({ signer: url })
    await assert.rejects(sealTick({ node: again }, 't1', Date.now()), /the signer refuses block 1/)
    assert.equal(await recover(again, 'ef'.repeat(16), 'third.key'), 1)
    await goesOn(again, { signer: url })
  })

  for (const keysAre of ['in files', 'in a signer'] as const) {
    it(`seals it at the next start where the node was killed right after it was committed, with keys ${keysAre}`, async () => {
      const recovery = await recoveryWith('new.key')
      const { tick_id, timestamp } = recovery
      const tx_hash = hashTransaction(recovery)
      const tick = {
        tick_id,
        timestamp,
        transactions: [recovery],
        tx_hashes: [tx_hash],
        content_hash: tx_hash,
        fills: [],
      }
      const store = await openSqlite(data('ledger.db'))
      const parent = (await store.lastBlock())?.block_hash ?? null
      await store.commitTick({ ...tick, source: 'registry', parent, recovers: 'authority' })
      await store.close()
      let more = {}
      if (keysAre === 'in files') await copyFile(file('new.key'), data('authority.key'))
      else more = { signer: (await startSigner(['new.key'])).url }
      const node = await start(more)
      assert.equal(await tip(node), 1)
      await goesOn(node, more)
    })
  }

  it('recovers it where the node runs on, and a new signer has the new key alone', async () => {
    await nameOldKey()
    const { url, signer } = await startSigner(['old.key'])
    const node = await start({ signer: url })
    await signer.stop()
    await startSigner(['new.key'], 'signer-2')
    await eventually('the new signer is known', () =>
      recover(node).then(
        () => true,
        (error: unknown) => {
          assert.ok(isSolarError(error, 'not_ready'), String(error))
          return false
        },
      ),
    )
    await goesOn(node, { signer: url })
  })
})

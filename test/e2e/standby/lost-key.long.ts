import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { createKeyFile, loadKeyFile } from '../../../src/keys/key-file.ts'
import { createAuthority, type AuthorityNode } from '../../../src/node/authority.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import {
  countersign,
  decodePostedRegistryTransaction,
  signRegistryTransaction,
  type RegistryTransaction,
} from '../../../src/protocol/registry-transaction.ts'
import type { SigningKey } from '../../../src/protocol/signature.ts'
import { namedKey } from '../../helpers/branches.ts'
import { eventually } from '../../helpers/network.ts'
import { tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'
import { tempDir } from '../../helpers/temp.ts'
import { sealTick } from '../../helpers/validator-network.ts'
import { leaderSessions } from './sessions.ts'

describe('an authority on PostgreSQL whose key is not here', () => {
  let temporary: Awaited<ReturnType<typeof tempDir>>
  let database: TempDatabase
  let chainId: string
  let recovery: SigningKey
  const running = new Set<AuthorityNode>()
  const file = (node: string, name: string) => join(temporary.path, node, name)

  beforeEach(async () => {
    temporary = await tempDir()
    database = await tempDatabase()
    await stop(await start('first'))
    recovery = await loadKeyFile(file('first', 'recovery-phrase.txt'))
    await mkdir(join(temporary.path, 'second'), { mode: 0o700 })
    await copyFile(file('first', 'genesis.json'), file('second', 'genesis.json'))
    await createKeyFile(file('second', 'authority.key'), { randomBytes: systemRandomBytes })
  })
  afterEach(async () => {
    for (const node of running) await stop(node)
    await database.drop()
    await temporary.remove()
  })

  async function start(name: string): Promise<AuthorityNode> {
    const flags = { data: join(temporary.path, name), http: '127.0.0.1:0', tick: 'off', database: database.url }
    const config = loadAuthorityConfig({ flags: { ...flags, listen: ['/ip4/127.0.0.1/tcp/0'] }, env: {} })
    const node = createAuthority(config, { logger: silentLogger })
    chainId = (await node.start()).chainId
    running.add(node)
    return node
  }
  async function stop(node: AuthorityNode): Promise<void> {
    running.delete(node)
    await node.stop()
  }
  async function change(key: SigningKey, action: object, nonce = 'cd'): Promise<RegistryTransaction> {
    const body = { kind: 'registry', id: `change-${nonce}`, subject_id: 'authority', ...action } as const
    const signed = { ...body, timestamp: Date.now(), nonce: nonce.repeat(16) }
    return decodePostedRegistryTransaction(await signRegistryTransaction(signed as never, chainId, key))
  }
  const recoveryWith = async (node: string, nonce?: string): Promise<RegistryTransaction> => {
    const { publicKey } = await loadKeyFile(file(node, 'authority.key'))
    return await change(recovery, { action: 'recover', public_key: publicKey }, nonce)
  }
  const notLeading = (error: unknown): boolean => isSolarError(error, 'not_leading')
  const nobodyLeads = () =>
    eventually('nobody leads', async () => (await leaderSessions(database.url, 'holds')).length === 0)
  const seals = (node: AuthorityNode, id: string, height: number) =>
    eventually(`tick ${id} is sealed`, async () => {
      const answer = await sealTick({ node }, id, Date.now()).catch((error: unknown) => {
        assert.ok(notLeading(error), String(error))
      })
      if (answer !== undefined) assert.equal(answer.height, height)
      return answer !== undefined
    })

  it('takes no lead where the one that has it stops, which seals again once it is back', async () => {
    const first = await start('first')
    await seals(first, 't0', 0)
    await stop(first)
    // Whoever starts has asked for the lead once by then.
    const second = await start('second')
    assert.deepEqual(await leaderSessions(database.url, 'holds'), [])
    await assert.rejects(sealTick({ node: second }, 't1', Date.now()), notLeading)
    await seals(await start('first'), 't1', 1)
  })

  it('leads for its own recovery where nobody else does, and from then on', async () => {
    const [first, second] = [await start('first'), await start('second')]
    await seals(first, 't0', 0)
    await assert.rejects(second.ledger.register(await recoveryWith('second'), undefined), notLeading)
    await stop(first)
    await nobodyLeads()
    const forged = { ...(await recoveryWith('second')), signature: 'ab'.repeat(64) }
    await assert.rejects(second.ledger.register(forged, undefined), notLeading)
    await eventually('the recovery is sealed', async () => {
      const error: unknown = await second.ledger.register(await recoveryWith('second'), undefined).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      assert.ok(error === undefined || notLeading(error), String(error))
      return error === undefined
    })
    await seals(second, 't1', 2)
    const back = await start('first')
    await stop(second)
    await nobodyLeads()
    await assert.rejects(sealTick({ node: back }, 't2', Date.now()), notLeading)
    await seals(await start('second'), 't2', 3)
  })

  it('comes back by its recovery where a thief of its key has enrolled another one, which revoked it', async () => {
    const first = await start('first')
    await seals(first, 't0', 0)
    const [own, thief] = [await loadKeyFile(file('first', 'authority.key')), namedKey('thief')]
    const entry = { action: 'enrol', role: 'authority', subject_id: 'thief', public_key: thief.publicKey } as const
    const nonce = 'ab'.repeat(16)
    const body = { kind: 'registry', id: 'change-thief', ...entry, timestamp: Date.now(), nonce } as const
    const signed = await signRegistryTransaction(body, chainId, thief)
    assert.ok(signed.action === 'enrol')
    const enrolment = await countersign(signed, 'authority', chainId, own)
    await first.ledger.register(decodePostedRegistryTransaction(enrolment), undefined)
    await first.ledger.register(await change(thief, { action: 'revoke' }, 'ef'), undefined)
    await nobodyLeads()
    const { publicKey } = await createKeyFile(file('first', 'authority-2.key'), { randomBytes: systemRandomBytes })
    await first.ledger.register(await change(recovery, { action: 'recover', public_key: publicKey }), undefined)
    await seals(first, 't1', 4)
  })
})

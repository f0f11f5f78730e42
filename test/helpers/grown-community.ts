import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { loadValidatorConfig } from '../../src/config/load.ts'
import { createKeyFile } from '../../src/keys/key-file.ts'
import { DATA_FILES } from '../../src/node/data-directory.ts'
import { createValidatorNode } from '../../src/node/validator.ts'
import type { PlatformRow } from '../../src/ports/ledger.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import type { RegistryTransactionBody } from '../../src/protocol/registry-transaction.ts'
import { signingKeyFromSecret, signVote, type TestKey } from './sign-now.ts'
import { signedChange } from './signed-change.ts'
import { startCommunity, type Community, type CommunityOptions } from './community.ts'

/** A summer morning, long ago: no page may go by the clock on the wall. */
export const MORNING = Date.UTC(2021, 5, 21, 8)
const INTERVAL_MS = 15 * 60_000
export const HOUSEHOLDS = ['casa-aurora', 'casa-brisa', 'casa-cedro'] as const

type Fields<T> = T extends unknown ? Omit<T, 'kind' | 'id' | 'timestamp' | 'nonce'> : never

/** A community whose blocks a test makes one by one, as a platform, an operator and households would. */
export interface Street {
  readonly community: Community
  /** Seals `trades` trades as the next block; `rows` instead of them. Gives back its hash and height. */
  readonly seal: (trades: number, rows?: readonly PlatformRow[]) => Promise<SealedBlock>
  /** A change of the registry, signed by the key of `signer`, in a block of its own. */
  readonly change: (signer: string, fields: Fields<RegistryTransactionBody>) => Promise<void>
  /** Gives an id another key, which it signs and votes with from then on. */
  readonly newKey: (id: string) => TestKey
  readonly ack: (block: SealedBlock, ...voters: readonly string[]) => Promise<void>
  /**
   * A real validator, which follows the authority, with the key that `newKey` made for this id: blocks are given to the registered
   * alone. Gives back the address of its page.
   */
  startValidator(id: string): Promise<{ readonly url: string }>
  stop(): Promise<void>
}

export interface SealedBlock {
  readonly height: number
  readonly hash: string
  readonly txHashes: readonly string[]
  readonly ids: readonly string[]
}

export async function startStreet(options: Partial<CommunityOptions> = {}): Promise<Street> {
  const community = await startCommunity({ voters: HOUSEHOLDS, ...options })
  const { chainId } = community
  const secrets = new Map([...community.keys].map(([id, { secret }]) => [id, secret]))
  const others: { stop(): Promise<void> }[] = []
  let ticks = 0
  const keyOf = (id: string): TestKey => {
    const secret = secrets.get(id)
    assert.ok(secret, `${id} has no key`)
    return signingKeyFromSecret(secret)
  }

  function newKey(id: string): TestKey {
    secrets.set(id, new Uint8Array(randomBytes(32)))
    return keyOf(id)
  }

  async function post(path: string, body: unknown, role?: 'operator'): Promise<void> {
    const { status, body: answer } = await community.call('POST', path, { body, ...(role && { role }) })
    assert.ok(status < 300, `${path} answered ${status}: ${JSON.stringify(answer)}`)
  }

  return {
    community,
    newKey,
    async seal(trades, rows) {
      const tick = ticks++
      const timestamp = MORNING + tick * INTERVAL_MS
      const transactions = rows ?? Array.from({ length: trades }, (_, row) => tradeOf(tick, row, timestamp))
      const answer = await community.authority.ledger.acceptTick({ tick_id: `tick-${tick}`, timestamp, transactions })
      return {
        height: answer.height ?? -1,
        hash: answer.block_hash ?? '',
        txHashes: answer.transactions.map(({ tx_hash }) => tx_hash),
        ids: answer.transactions.map(({ id }) => id),
      }
    },
    async change(signer, fields) {
      const timestamp = MORNING + ticks * INTERVAL_MS
      const nonce = createHash('sha256').update(`${signer} ${ticks} ${fields.action}`).digest('hex').slice(0, 32)
      const body = { kind: 'registry' as const, id: `change-${nonce.slice(0, 8)}`, timestamp, nonce, ...fields }
      await post(
        '/registry/',
        signedChange(body, chainId, keyOf(signer), { id: 'authority', key: keyOf('authority') }),
        'operator',
      )
    },
    async ack({ hash, height }, ...voters) {
      for (const voter_id of voters) {
        const body = { chain_id: chainId, header_hash: hash, height, voter_id, decision: 'ack' as const }
        await post(`/blocks/${hash}/vote/`, signVote(body, keyOf(voter_id)))
      }
    },
    async startValidator(id) {
      const data = community.folderOf(id)
      const secret = secrets.get(id) ?? new Uint8Array(randomBytes(32))
      await mkdir(data, { recursive: true, mode: 0o700 })
      await createKeyFile(join(data, DATA_FILES.validatorKey), { randomBytes: () => secret })
      const flags = {
        data,
        chain: chainId,
        peer: [community.addressOf('tcp')],
        listen: ['/ip4/127.0.0.1/tcp/0'],
        http: '127.0.0.1:0',
      }
      const node = createValidatorNode(loadValidatorConfig({ flags, env: {} }), { logger: silentLogger })
      await node.start()
      others.push(node)
      const { httpUrl } = await node.joined
      return { url: httpUrl ?? '' }
    },
    async stop() {
      for (const other of others) await other.stop()
      await community.stop()
    },
  }
}

function tradeOf(tick: number, row: number, timestamp: number): PlatformRow {
  const kwh = 10 + ((tick * 7 + row * 3) % 40)
  const from = HOUSEHOLDS[(tick + row) % 3] ?? HOUSEHOLDS[0]
  const to = HOUSEHOLDS[(tick + row + 1) % 3] ?? HOUSEHOLDS[1]
  const decimal = (micro: number) => String(micro / 100)
  return {
    kind: 'trade',
    id: `trade-${tick}-${row}`,
    from_user_id: from,
    to_user_id: to,
    kwh: decimal(kwh * 5),
    price_per_kwh: '0.2',
    total_amount: decimal(kwh),
    timestamp,
  }
}

/** What happened in a community that grew, as far as tests name it. */
export interface GrownStreet extends Street {
  /** In the first block, which is older than what a page holds. */
  readonly oldest: SealedBlock
  readonly corrected: { readonly id: string; readonly hash: string }
  readonly redacted: { readonly id: string; readonly hash: string }
  /** Blocks 0 to `authority` are final by the authority, up to `votes` by two households, the others by two validators. */
  readonly policies: { readonly authority: number; readonly votes: number }
  readonly tip: SealedBlock
}

/**
 * A community that began with three households under the authority's word and grew: a household came, one changed its key, one left,
 * households came to decide, then validators.
 *
 * @param early blocks before the first change
 */
export async function growStreet(early: number): Promise<GrownStreet> {
  const street = await startStreet()
  const { seal, change, ack, newKey, community } = street
  const oldest = await seal(3)
  const corrected = { id: oldest.ids[1] ?? '', hash: oldest.txHashes[1] ?? '' }
  const redacted = { id: oldest.ids[2] ?? '', hash: oldest.txHashes[2] ?? '' }
  const timestamp = MORNING + INTERVAL_MS
  const correction = {
    kind: 'correction',
    id: 'correction-1',
    corrects: corrected.id,
    reason: 'late meter reading',
  } as const
  await seal(0, [{ ...correction, kwh_delta: '-0.05', amount_delta: '-0.01', timestamp }])
  for (let block = 2; block < early; block += 1) await seal(1 + (block % 4))
  const enrol = (id: string, role: 'voter' | 'validator') => {
    const { publicKey } = newKey(id)
    return change(id, { action: 'enrol', subject_id: id, role, public_key: publicKey })
  }
  // A rotation is signed by the old key.
  const old = street.newKey('spare')
  await change('casa-brisa', { action: 'rotate', subject_id: 'casa-brisa', public_key: old.publicKey })
  await change('authority', { action: 'revoke', subject_id: 'casa-cedro' })
  await change('authority', { action: 'policy', subject_id: 'authority', finality: { policy: 'votes', threshold: 2 } })
  const authority = (await community.authority.ledger.latestHeaders(1)).tip_height ?? -1
  // Of those who confirm the block after next one alone counts for this one: the other is not there yet.
  await seal(1)
  await enrol('casa-delta', 'voter')
  const first = await seal(2)
  await ack(first, 'casa-aurora', 'casa-delta')
  await seal(1)
  const second = await seal(2)
  await ack(second, 'casa-aurora', 'casa-delta')
  await enrol('validator-1', 'validator')
  await enrol('validator-2', 'validator')
  await change('authority', {
    action: 'policy',
    subject_id: 'authority',
    finality: { policy: 'validators', threshold: 2 },
  })
  const votes = (await community.authority.ledger.latestHeaders(1)).tip_height ?? -1
  const third = await seal(2)
  await ack(third, 'casa-aurora', 'casa-delta')
  await seal(3)
  const tip = await seal(2)
  await ack(tip, 'validator-1', 'validator-2')
  const { status } = await community.call('POST', `/transactions/${redacted.id}/redact`, {
    body: { redacted_by: 'operator', reason: 'asked for by the household' },
    role: 'operator',
  })
  assert.equal(status, 200)
  return { ...street, oldest, corrected, redacted, policies: { authority, votes }, tip }
}

import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient, Decrypter } from 'age-encryption'
import Libsql from 'libsql'
import { SignJWT } from 'jose'
import { createKeyFile, readKeyFile, type KeyMaterial } from '../../../src/keys/key-file.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { DATA_FILES } from '../../../src/node/data-directory.ts'
import { decryptPayload, encryptPayload } from '../../../src/payload/payload.ts'
import type { Logger } from '../../../src/ports/logger.ts'
import { base64ToBytes } from '../../../src/protocol/base64.ts'
import { bytesToUtf8 } from '../../../src/protocol/bytes.ts'
import { readTestKey, signingKeyFromSecret, signRegistryTransaction } from '../../helpers/sign-now.ts'
import { eventually } from '../../helpers/network.ts'
import { sqlitePlatform } from '../../helpers/platform-database.ts'
import {
  createValidatorNetwork,
  type RunningAuthority,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'
import { askOverHttp, curiousPeer, readFolder, Seen, type PeerIdentity, type Targets } from './seen.ts'

const [ANNA, BERT, CORA] = ['household-anna-7391', 'household-bert-7392', 'household-cora-7393'] as const
const USERS = [ANNA, BERT, CORA] as const
const SECRET_WORDS = 'contract 4711: Annagasse 3, door 9'
const JWT = { secret: 'a shared secret of more than 32 bytes', issuer: 'https://login.example.org/', audience: 'solar' }

interface Member {
  readonly user: string
  readonly pseudonym: string
  readonly device: PeerIdentity
  readonly key: KeyMaterial
}

describe('what each role sees of a pseudonymous ledger with payloads', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let targets: Targets
  let payload: string
  let auditorKey: string
  const members = new Map<string, Member>()
  const logged = new Seen('the log of the authority')
  const events = new Seen('who listens to /events')
  const gossip = new Seen('who listens to gossip')
  const peers: { readonly stop: () => Promise<void> }[] = []
  const streaming = new AbortController()

  const member = (user: string): Member => members.get(user)!
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const platform = () => bearer(authority.token('platform'))

  async function call(path: string, body?: object, headers = platform()): Promise<Record<string, unknown>> {
    const response = await fetch(`${authority.url}${path}`, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
    })
    const text = await response.text()
    assert.ok(response.ok, `${path}: ${text}`)
    return JSON.parse(text) as Record<string, unknown>
  }

  async function enrol(user: string): Promise<Member> {
    const { pseudonym } = (await call(`/users/${user}/pseudonym`)) as { pseudonym: string }
    const folder = join(network.folder, pseudonym)
    await mkdir(folder, { mode: 0o700 })
    const key = await createKeyFile(join(folder, DATA_FILES.voterKey), { randomBytes: systemRandomBytes })
    const device = { id: `${pseudonym}.phone`, key: signingKeyFromSecret(key.secret) }
    const body = {
      ...({ kind: 'registry', action: 'enrol', role: 'voter', subject_id: device.id } as const),
      ...{ public_key: key.publicKey, id: randomBytes(8).toString('hex'), nonce: randomBytes(16).toString('hex') },
      timestamp: Date.now(),
    }
    const transaction = signRegistryTransaction(body, network.chainId, device.key)
    await call('/registry/', { transaction, user_id: user })
    return { user, pseudonym, device, key }
  }

  const tradeRow = (id: string, from_user_id: string, to_user_id: string, timestamp: number) => ({
    ...{ id, from_user_id, to_user_id, timestamp },
    ...{ kwh: '1.5', price_per_kwh: '0.2', total_amount: '0.3' },
  })

  /** Trades by every way in: posted, by the outbox, by orders; and a correction. */
  async function trade(): Promise<void> {
    const recipients: string[] = []
    for (const user of [ANNA, BERT]) {
      const { recipients: own, payload_recipients } = (await call(`/users/${user}/recipients`)) as {
        recipients: { recipient: string }[]
        payload_recipients: string[]
      }
      recipients.push(...own.map(({ recipient }) => recipient), ...payload_recipients)
    }
    payload = await encryptPayload(SECRET_WORDS, [...new Set(recipients)])
    const timestamp = Date.now()
    const rows = [
      { ...tradeRow('trade-1', ANNA, BERT, timestamp), payload },
      tradeRow('trade-2', CORA, ANNA, timestamp),
    ]
    await call('/ticks/', { tick_id: 'tick-1', timestamp, transactions: rows })
    const fix = { kind: 'correction', id: 'fix-1', corrects: 'trade-1', kwh_delta: '-0.5', amount_delta: '-0.1' }
    const transactions = [{ ...fix, reason: 'late meter reading', timestamp }]
    await call('/ticks/', { tick_id: 'tick-2', timestamp, transactions })
    for (const [order_id, user_id, side] of [
      ['order-1', ANNA, 'sell'],
      ['order-2', CORA, 'buy'],
    ])
      await call('/orders/', { order_id, user_id, side, kwh: '2', price_per_kwh: '0.25', timestamp })
    const ran = await call('/ticks/run/', { tick_id: 'tick-3' }, bearer(authority.token('operator')))
    assert.equal((ran.transactions as object[]).length, 1)
    // The node is in this process: while that waits for the lock, the node does not give it up.
    const database = sqlitePlatform(join(network.folder, 'authority', 'ledger.db'), 10)
    const ticks = [
      { tick_id: 'tick-4', timestamp, transactions: [tradeRow('trade-4', BERT, CORA, timestamp)] },
      { tick_id: 'tick-5', timestamp, transactions: [tradeRow('trade-5', BERT, 'no id of anybody', timestamp)] },
    ]
    const isWritten = (): Promise<boolean> =>
      database.write(...ticks).then(
        () => true,
        (error: unknown) => {
          assert.match(String(error), /database is locked/)
          return false
        },
      )
    try {
      await eventually('the platform has written into the outbox', isWritten)
      await eventually('the outbox is empty', async () => {
        const rows = await database.rows()
        return rows.every(({ done_at, error_code }) => done_at !== null || error_code !== null)
      })
      // The row is the platform's own, and names whom it names until it is mended or deleted.
      await database.execute('delete from ledger_outbox where error_code is not null')
    } finally {
      await database.close()
    }
  }

  before(async () => {
    auditorKey = await generateX25519Identity()
    network = await createValidatorNetwork({ finality: 'validators:1', validators: ['v1'] })
    const secretFile = join(network.folder, 'jwt.secret')
    await writeFile(secretFile, JWT.secret, { mode: 0o600 })
    const note = (fields: object, message: string): void => logged.add(`${message} ${JSON.stringify(fields)}`)
    const logger: Logger = { debug: note, info: note, warn: note, error: note }
    authority = await network.startAuthority(
      'authority',
      { logger },
      {
        ...{ privacy: 'pseudonymous', payload_recipients: await identityToRecipient(auditorKey), outbox_poll: 0.1 },
        ...{ jwt_secret_file: secretFile, jwt_issuer: JWT.issuer, jwt_audience: JWT.audience },
      },
    )
    const validator = await network.startValidator('v1', [authority.address])
    targets = {
      ...{ chainId: network.chainId, servers: [authority.address, validator.address] },
      ...{ blocks: [], txIds: ['trade-1', 'trade-2', 'fix-1', 'tick-3.0', 'trade-4'] },
    }
    void listen(`${authority.url}/events`, events, streaming.signal)
    for (const user of USERS) members.set(user, await enrol(user))
    peers.push(await curiousPeer(gossip, targets))
    const { pseudonym } = member(BERT)
    const household = await network.startHousehold(pseudonym, [authority.address])
    await eventually('the household is live', () => household.node.status().state === 'live')
    await trade()
    const { ledger } = validator
    await eventually('the validator has all blocks, and all are final', async () => {
      const [tip] = (await authority.node.ledger.latestHeaders(1)).headers
      const [copy] = (await ledger.latestHeaders(1)).headers
      return tip?.header_hash === copy?.header_hash && tip?.status === 'final' && tip.header.height === 6
    })
    await eventually('the household has proved its trades', () =>
      household.events.some((event) => JSON.stringify(event).includes('trade-4')),
    )
    const { headers } = await ledger.headers(0, 100)
    const blocks = headers.map(({ header, header_hash }) => ({ height: header.height, block_hash: header_hash }))
    targets = { ...targets, blocks }
  })
  after(async () => {
    streaming.abort()
    await Promise.all(peers.map((peer) => peer.stop()))
    await network.stop()
  })

  async function asPeer(who: string, identity?: PeerIdentity): Promise<Seen> {
    const seen = new Seen(who)
    const peer = await curiousPeer(seen, targets, identity)
    try {
      await peer.askForAll(targets)
    } finally {
      await peer.stop()
    }
    return seen
  }

  async function overHttp(who: string, headers: Record<string, string>, users: readonly string[]): Promise<Seen> {
    const seen = new Seen(who)
    const hashes = targets.blocks.map(({ block_hash }) => block_hash)
    const fill = { block_hash: hashes, id: targets.txIds, order_id: ['order-1', 'order-2'], user_id: users }
    await askOverHttp(seen, authority.url, headers, fill)
    return seen
  }

  const pseudonyms = () => USERS.map((user) => member(user).pseudonym)

  it('a stranger sees neither users nor payloads: over libp2p, over HTTP, and in what is streamed', async () => {
    const peer = await asPeer('a peer without a key')
    peer.mustHave('merkle_proof', 'forbidden')
    peer.mustLack(...USERS, payload, SECRET_WORDS)
    const web = await overHttp('HTTP without a token', {}, pseudonyms())
    web.mustHave('merkle_root', 'missing_credential')
    web.mustLack(...USERS, payload, SECRET_WORDS)
    events.mustHave('event: header', 'event: final')
    gossip.mustHave('merkle_root', 'decision')
    for (const seen of [events, gossip]) seen.mustLack(...USERS, payload, SECRET_WORDS)
  })

  it('a party sees its trades with their payload, and opens it with the key of its device', async () => {
    const { device, key, pseudonym } = member(BERT)
    const seen = await asPeer('the buyer', device)
    seen.mustHave(pseudonym, member(ANNA).pseudonym, payload)
    seen.mustLack(...USERS, SECRET_WORDS)
    assert.equal(bytesToUtf8(await decryptPayload(payload, key.secret)), SECRET_WORDS)
  })

  it('another household sees its own trades, and nothing of that of others', async () => {
    const { device, key } = member(CORA)
    const seen = await asPeer('a neighbour', device)
    seen.mustHave('trade-2', 'trade-4', member(CORA).pseudonym)
    seen.mustLack(...USERS, payload, SECRET_WORDS)
    await assert.rejects(decryptPayload(payload, key.secret), /encrypted for this key/)
  })

  it('a validator sees every trade by pseudonyms, and payloads that it cannot open', async () => {
    const file = join(network.folder, 'v1', DATA_FILES.validatorKey)
    const seen = await asPeer('the validator', { id: 'v1', key: await readTestKey(file) })
    seen.mustHave(...pseudonyms(), payload)
    seen.mustLack(...USERS, SECRET_WORDS)
    await assert.rejects(decryptPayload(payload, (await readKeyFile(file)).secret), /encrypted for this key/)
  })

  it('an auditor sees every trade by pseudonyms, and opens each payload with the key of its own', async () => {
    const tokens = JSON.parse(await readFile(join(network.folder, 'authority', DATA_FILES.tokens), 'utf8')) as {
      auditor: string
    }
    const seen = await overHttp('the auditor', bearer(tokens.auditor), pseudonyms())
    seen.mustHave(...pseudonyms(), payload)
    seen.mustLack(...USERS, SECRET_WORDS)
    const decrypter = new Decrypter()
    decrypter.addIdentity(auditorKey)
    assert.equal(await decrypter.decrypt(base64ToBytes(payload), 'text'), SECRET_WORDS)
  })

  it('a user of the platform sees the own trades and no other user by name', async () => {
    const jwtOf = (user: string) =>
      new SignJWT({ sub: user, iss: JWT.issuer, aud: JWT.audience })
        .setProtectedHeader({ alg: 'HS256' })
        .setExpirationTime('5m')
        .sign(new TextEncoder().encode(JWT.secret))
    const anna = await overHttp('a user of the platform', bearer(await jwtOf(ANNA)), [ANNA])
    anna.mustHave(member(ANNA).pseudonym, payload, 'trade-2')
    anna.mustLack(BERT, CORA, SECRET_WORDS)
    const cora = await overHttp('another user of the platform', bearer(await jwtOf(CORA)), [CORA])
    cora.mustHave(member(CORA).pseudonym, 'trade-4')
    cora.mustLack(ANNA, BERT, payload, SECRET_WORDS)
  })

  it('the platform sees who its users are, and no word of a payload', async () => {
    const seen = await overHttp('the platform', platform(), USERS)
    seen.mustHave(...USERS, ...pseudonyms(), payload)
    seen.mustLack(SECRET_WORDS)
  })

  it('logs and metrics name nobody', async () => {
    logged.mustHave('parked', 'sealed')
    logged.mustLack(...USERS, 'no id of anybody', payload, SECRET_WORDS)
    const metrics = new Seen('the metrics')
    metrics.add(await (await fetch(`${authority.url}/metrics`)).text())
    metrics.mustHave('solar_height')
    metrics.mustLack(...USERS)
  })

  it('one table says who is who: nothing else on any disk does', async () => {
    const disk = new Seen('the disks of validator and households')
    for (const folder of ['v1', member(BERT).pseudonym]) await readFolder(disk, join(network.folder, folder))
    const own = new Seen('what the authority keeps beside SQL')
    await readFolder(own, join(network.folder, 'authority'), ['ledger.db', 'ledger.db-wal', 'ledger.db-shm'])
    for (const seen of [disk, own]) seen.mustLack(...USERS, SECRET_WORDS)
    const database = new Libsql(join(network.folder, 'authority', 'ledger.db'), { timeout: 5_000 })
    try {
      const tables = database.prepare("select name from sqlite_master where type = 'table'").all() as { name: string }[]
      for (const { name } of tables) {
        const seen = new Seen(`the table ${name}`)
        seen.add(database.prepare(`select * from "${name}"`).all())
        if (name === 'pseudonyms') seen.mustHave(...USERS)
        else seen.mustLack(...USERS, SECRET_WORDS)
      }
    } finally {
      database.close()
    }
  })
})

/** Hears a stream of events until it is aborted. */
async function listen(url: string, seen: Seen, signal: AbortSignal): Promise<void> {
  try {
    const response = await fetch(url, { signal })
    for await (const chunk of response.body ?? []) seen.add(Buffer.from(chunk as Uint8Array).toString('utf8'))
  } catch (error) {
    if (!signal.aborted) seen.add(`it broke off: ${String(error)}`)
  }
}

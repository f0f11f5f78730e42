import assert from 'node:assert/strict'
import { join } from 'node:path'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { readKeyFile } from '../../../src/keys/key-file.ts'
import { DATA_FILES } from '../../../src/node/data-directory.ts'
import { REQUEST_LIMIT_MS } from '../../../src/network/limits.ts'
import type { RequestName } from '../../../src/ports/peer-requests.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { canonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { hashHeader, type Header, type SealedHeader } from '../../../src/protocol/header.ts'
import { EMPTY_MERKLE_ROOT } from '../../../src/protocol/merkle.ts'
import { eventually } from '../../helpers/network.ts'
import { spentMs } from '../../helpers/patience.ts'
import { readTestKey, sealHeader, signingKeyFromSecret } from '../../helpers/sign-now.ts'
import {
  createValidatorNetwork,
  sealTick,
  type RunningAuthority,
  type RunningValidator,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'
import { startHostilePeer, type HostilePeer, type Lie } from '../main-job/hostile.ts'

interface Sealed {
  header: Header
  signature: string
}
type Page = Sealed & { transactions: Record<string, unknown>[]; next_index: number | null }

const OTHER_HASH = '5a'.repeat(32)
const FAR = 1_000_000_000
const nobody = signingKeyFromSecret(systemRandomBytes(32))

/** A header that hangs together with nothing, of a block without transactions. */
const madeUp = (like: Header, height: number, key = nobody): SealedHeader =>
  sealHeader({ ...like, height, prev_hash: OTHER_HASH, merkle_root: EMPTY_MERKLE_ROOT, tx_count: 0 }, key)

/** What a validator asks its peers for, once it knows its chain. */
const ASKED = ['status', 'headers', 'block', 'votes', 'evidence', 'registry'] as const
const silence = (): Promise<never> => new Promise(() => undefined)

describe('a validator with lying peers beside an honest one', () => {
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let v2: RunningValidator
  let template: Header
  let ticks = 0
  let alarms: string[]
  const liars: HostilePeer[] = []

  beforeEach(async () => {
    alarms = []
    ticks = 0
    network = await createValidatorNetwork({ finality: 'validators:2', validators: ['v1', 'v2', 'v3'] })
    authority = await network.startAuthority()
    v2 = await network.startValidator('v2', [authority.address])
    for (let n = 0; n < 8; n++) await seal()
    const { headers } = await authority.node.ledger.latestHeaders(1)
    template = headers[0]!.header
  })
  afterEach(async () => {
    await Promise.all(liars.splice(0).map((liar) => liar.stop()))
    await network.stop()
  })

  const seal = () => sealTick(authority, `t${ticks++}`)

  async function startLiar(name: string): Promise<HostilePeer> {
    const honest = {
      chainId: network.chainId,
      addressOf: () => authority.address,
      keyOf: (id: string) => readTestKey(join(network.folder, id, DATA_FILES.validatorKey)),
    }
    const liar = await startHostilePeer(honest, ['block', 'evidence'], name)
    liars.push(liar)
    return liar
  }

  /** Its peers are all liars and, after them, the authority. */
  async function startV1(): Promise<RunningValidator> {
    const error = (fields: object): number => alarms.push(String((fields as { code?: unknown }).code))
    const logger = { ...silentLogger, error: (fields: object) => void error(fields) }
    const peers = [...liars.map(({ address }) => address), authority.address]
    return await network.startValidator('v1', peers, {}, { logger })
  }

  /** A new block reaches it, it co-signs, and the block becomes final: that takes both of the two that run. */
  async function follows(validator: RunningValidator): Promise<void> {
    const { block_hash } = await seal()
    await eventually('the block is final', async () => {
      const { status } = await validator.ledger.blockStatus(block_hash).catch(() => ({ status: 'unknown' }))
      return status === 'final'
    })
  }

  type Lies = Readonly<Partial<Record<RequestName, (answer: never, params: never) => unknown>>>
  /** Lies about some answers; everything else is passed on as it is. */
  const about =
    (lies: Lies): Lie =>
    async (name, answer, params) => {
      const told = await lies[name]?.(answer as never, params as never)
      return (told ?? answer) as Record<string, unknown>
    }

  /** A chain of its own, far longer than the real one, of which it shows as many headers as are asked for. */
  const endless = {
    status: () => ({
      mode: 'validator',
      chain_id: network.chainId,
      tip: { height: FAR, header_hash: OTHER_HASH },
      final_height: null,
    }),
    headers: (_answer: unknown, { from_height, count }: { from_height: number; count: number }) => ({
      headers: Array.from({ length: Math.min(count, 512) }, (_, n) => madeUp(template, from_height + n)),
    }),
  }
  const emptyBlock = (_answer: unknown, { block_hash }: { block_hash: string }) => {
    const sealed = [...Array(40).keys()].map((height) => madeUp(template, height))
    const asked = sealed.find(({ header }) => hashHeader(header) === block_hash)
    return asked && { ...asked, transactions: [], next_index: null }
  }

  const redacted = (page: Page) => ({ ...page, transactions: [{ kind: 'redacted', tx_hash: OTHER_HASH }] })
  const many = ({ transactions }: Page, count: number) => Array.from({ length: count }, () => transactions[0])
  const shifted = (told: object) => ({
    headers: (told as { headers: Sealed[] }).headers.map(({ header }) => madeUp(template, header.height + 3)),
  })
  const forged = ({ votes }: { votes: unknown[] }) => ({
    votes: (votes as { vote: object; entry: object }[]).map(({ vote, entry }) => ({
      vote: { ...vote, voter_id: 'v2', signature: 'ab'.repeat(64) },
      entry,
    })),
  })

  const LIES: Readonly<Record<string, Lies>> = {
    'other energy in a block': { block: (page: Page) => void (page.transactions[0]!.kwh = '9') },
    'no transactions in a block': { block: (page: Page) => ({ ...page, transactions: [] }) },
    'the block of another header': { block: (page: Page) => ({ ...page, ...madeUp(page.header, 7) }) },
    'a redacted transaction': { block: redacted },
    'a giant page': { block: (page: Page) => ({ ...page, transactions: many(page, 8_000) }) },
    'pages without end': { block: (page: Page) => ({ ...page, transactions: [], next_index: 1 }) },
    'endless headers': endless,
    'endless headers of blocks that nobody sealed': { ...endless, block: emptyBlock },
    'a tip far above its headers': { status: endless.status },
    'headers of other heights': { headers: shifted },
    'fewer headers than it has': { headers: () => ({ headers: [] }) },
    'a tip that it does not have': { status: () => ({ ...endless.status(), tip: { height: 0, header_hash: OTHER_HASH } }) }, // prettier-ignore
    'votes of others with broken signatures': { votes: forged },
    'what is no answer': Object.fromEntries(ASKED.map((name) => [name, () => ({ nonsense: true })])),
    silence: Object.fromEntries(ASKED.map((name) => [name, silence])),
  }

  it(`syncs with the honest one and goes on with it among peers that show it ${Object.keys(LIES).join('; ')}`, async () => {
    const asked = new Map<string, Set<string>>()
    for (const [name, lies] of Object.entries(LIES)) {
      const requests = new Set<string>()
      asked.set(name, requests)
      const lie = about(lies)
      const liar = await startLiar(name)
      liar.tell((request, answer, params) => {
        requests.add(request)
        return lie(request, answer, params)
      })
    }
    const v1 = await startV1()
    for (const [name, lies] of Object.entries(LIES)) {
      await eventually(`it is shown ${name}`, () => Object.keys(lies).some((request) => asked.get(name)?.has(request)))
    }
    for (let n = 0; n < 5; n++) await follows(v1)
    assert.deepEqual(alarms, [])
    const begun = spentMs()
    await v1.node.stop()
    assert.ok(spentMs() - begun < REQUEST_LIMIT_MS, 'no silent peer holds it up')
  })

  it('takes a block from others at once if who told of it first is silent', async () => {
    const liar = await startLiar('silent')
    // Faster than anybody who checks a block before passing its header on.
    liar.network.gossip.subscribe('headers', () => Promise.resolve('accept'))
    const v1 = await network.startValidator('v1', [liar.address, v2.address])
    await follows(v1)
    await eventually('the liar hears of it', () => liar.network.listeners('headers') >= 2)
    liar.tell(silence)
    for (let n = 0; n < 3; n++) {
      const begun = spentMs()
      await follows(v1)
      const took = spentMs() - begun
      assert.ok(took < REQUEST_LIMIT_MS, `it took ${took} ms`)
    }
  })

  it('is alarmed when another block is said to be final where it has a final one, and keeps what it has', async () => {
    const liar = await startLiar('twin')
    const v1 = await startV1()
    await follows(v1)
    const { headers } = await v1.ledger.latestHeaders(1)
    const [{ header, header_hash }] = headers as [(typeof headers)[number]]
    const key = await readKeyFile(join(network.folder, 'authority', 'authority.key'))
    const twin = sealHeader({ ...header, merkle_root: OTHER_HASH }, signingKeyFromSecret(key.secret))
    const at = { height: header.height, header_hash: hashHeader(twin.header) }
    liar.tell(
      about({
        status: (told: object) => ({ ...told, tip: at, final_height: header.height }),
        headers: () => ({ headers: [twin] }),
      }),
    )
    // A header that it does not know makes it ask who sent it.
    const bait = canonicalBytes(madeUp(header, header.height + 1))
    await eventually('it hears of it', async () => (await liar.network.gossip.publish('headers', bait)) > 0)
    await eventually('it is alarmed', () => alarms.includes('conflicting_final'))
    assert.equal((await v1.ledger.blockStatus(header_hash)).status, 'final')
    assert.equal((await v1.ledger.evidence(1))[0]?.kind, 'double-seal')
    await follows(v1)
  })
})

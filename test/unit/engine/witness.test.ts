import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createCheckpoints } from '../../../src/engine/checkpoints.ts'
import { createWitness } from '../../../src/engine/witness.ts'
import { createWitnessSubmitter } from '../../../src/engine/witness-submitter.ts'
import { createApp } from '../../../src/http/app.ts'
import { createMetrics } from '../../../src/http/metrics.ts'
import { witnessCalls } from '../../../src/http/routes/witness.ts'
import { sendCheckpoint } from '../../../src/node/witness-transport.ts'
import { systemClock } from '../../../src/node/clock.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { WitnessStore } from '../../../src/ports/witness.ts'
import { verifyCheckpoint } from '../../../src/protocol/checkpoint.ts'
import { parseNote, type NoteKey } from '../../../src/protocol/note.ts'
import { formatAddCheckpoint } from '../../../src/protocol/witness.ts'
import { openWitnessStore } from '../../../src/storage/level/witness-store.ts'
import { eventually } from '../../helpers/network.ts'
import { tempDir } from '../../helpers/temp.ts'
import { createTestChain, entryOf, genesisOf, namedKey, type TestChain } from '../../helpers/test-chain.ts'

const GENESIS = genesisOf({ policy: 'authority' }, entryOf('authority', 'authority'))
const WITNESS: NoteKey = { name: 'witness.example/w', public_key: namedKey('witness').publicKey, type: 'cosignature' }
const PATIENCE_MS = 20_000

describe('a witness over HTTP', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let store: WitnessStore
  let made: TestChain
  let url: string
  let close: () => Promise<void>
  /** What it has said of refusals. */
  let told: { readonly origin: string }[]

  async function listen(kept: WitnessStore = store): Promise<void> {
    const witness = createWitness({
      name: () => WITNESS.name,
      key: namedKey('witness'),
      store: kept,
      logKeys: (origin) => (origin === GENESIS.origin ? [namedKey('authority').publicKey] : undefined),
      clock: systemClock,
      logger: { ...silentLogger, warn: (fields) => void told.push(fields as { readonly origin: string }) },
    })
    const { app, addCalls } = await createApp({ metrics: createMetrics(), clock: systemClock, logger: silentLogger })
    addCalls(witnessCalls(witness))
    await app.listen({ host: '127.0.0.1', port: 0 })
    url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/`
    close = () => app.close()
  }

  beforeEach(async () => {
    folder = await tempDir()
    store = await openWitnessStore(join(folder.path, 'witness'))
    made = await createTestChain(GENESIS)
    told = []
    await listen()
  })
  afterEach(async () => {
    await close()
    await store.close()
    await folder.remove()
  })

  const checkpointsOf = ({ chain, finalHeight }: TestChain) =>
    createCheckpoints({ chain, finalHeight, minerId: 'authority', keyOf: () => Promise.resolve(namedKey('authority')) })
  async function bodyOf(oldSize: number, of = made): Promise<string> {
    const { note, size } = await checkpointsOf(of).signed()
    const proof = oldSize > 0 && oldSize < size ? (await of.chain.consistency(oldSize, size)).path : []
    return formatAddCheckpoint({ oldSize, proof, note })
  }

  it('cosigns what extends what it cosigned before, also after a restart', async () => {
    for (let size = 1; size < 6; size++) {
      await made.trade()
      const { status, body, contentType } = await sendCheckpoint(url, await bodyOf(size - 1))
      assert.equal(status, 200)
      assert.match(contentType, /^text\/plain/)
      const { note } = await checkpointsOf(made).published()
      const verdict = verifyCheckpoint(note + body, GENESIS.origin, namedKey('authority').publicKey, [WITNESS])
      assert.ok(verdict.ok && verdict.witnesses.length === 1)
      if (size !== 3) continue
      await store.close()
      store = await openWitnessStore(join(folder.path, 'witness'))
      await close()
      await listen()
    }
    assert.equal((await store.last(GENESIS.origin))?.size, 5)
  })

  it('quotes of an origin that it does not know no more than 200 characters', async () => {
    await made.trade()
    const note = (await checkpointsOf(made).signed()).note
    const origin = `log.example/${'\u2028x'.repeat(10_000)}`
    const body = formatAddCheckpoint({
      oldSize: 0,
      proof: [],
      note: { ...note, text: note.text.replace(/^[^\n]*/, origin) },
    })
    const { status, body: answer } = await sendCheckpoint(url, body)
    assert.equal(status, 404)
    assert.match(answer, /^the origin log\.example\/[?x]{185}\.\.\. is not known here\n$/)
    const [fields] = told
    assert.deepEqual([told.length, fields?.origin.length], [1, 200])
  })

  it('refuses as tlog-witness says, and names the size that it has', async () => {
    await made.trade()
    await made.trade()
    assert.equal((await sendCheckpoint(url, await bodyOf(0))).status, 200)
    await made.trade()
    const stale = await sendCheckpoint(url, await bodyOf(1))
    assert.deepEqual([stale.status, stale.contentType, stale.body], [409, 'text/x.tlog.size', '2\n'])
    const foreign = await createTestChain({ ...GENESIS, origin: 'elsewhere.example' })
    await foreign.trade()
    assert.equal((await sendCheckpoint(url, await bodyOf(0, foreign))).status, 404)
    assert.equal((await sendCheckpoint(url, 'old x\n')).status, 400)
    const spoiled = (await bodyOf(2)).replace(/^\u2014 (\S+) ..../m, '\u2014 $1 AAAA')
    assert.equal((await sendCheckpoint(url, spoiled)).status, 403)
    const [first = '', ...lines] = (await bodyOf(2)).split('\n')
    const wrongProof = [first, ...lines.slice(1)].join('\n')
    assert.equal((await sendCheckpoint(url, wrongProof)).status, 422)
    assert.equal((await store.last(GENESIS.origin))?.size, 2)
  })

  it('never cosigns two histories of one size', async () => {
    const fork = await createTestChain(GENESIS)
    await made.trade(1)
    await fork.trade(2)
    assert.equal((await sendCheckpoint(url, await bodyOf(0))).status, 200)
    const answers = await Promise.all([
      sendCheckpoint(url, await bodyOf(1, fork)),
      sendCheckpoint(url, await bodyOf(1)),
    ])
    assert.deepEqual(
      answers.map(({ status }) => status),
      [409, 200],
    )
  })

  it('signs nothing that is not durable', async () => {
    await made.trade()
    await close()
    await listen({ ...store, put: () => Promise.reject(new Error('disk full')) })
    const { status, body } = await sendCheckpoint(url, await bodyOf(0))
    assert.equal(status, 500)
    assert.doesNotMatch(body, /\u2014 /)
  })

  it('gets the newest checkpoint from a log that starts, grows and finds it gone for a while', async () => {
    const checkpoints = checkpointsOf(made)
    const cosigned = async (): Promise<number> => {
      const { note, size } = await checkpoints.published()
      return parseNote(note).signatures.length > 1 ? size : 0
    }
    const submit = (address: string, key = WITNESS.public_key) =>
      createWitnessSubmitter({
        chain: made.chain,
        checkpoints,
        witnesses: [{ url: address, name: WITNESS.name, public_key: key }],
        send: sendCheckpoint,
        clock: systemClock,
        logger: silentLogger,
      })
    const untilCosigned = async (size: number) => {
      let seen = 0
      await eventually(
        `size ${size} is cosigned`,
        () => {
          void cosigned().then((now) => (seen = now))
          return seen === size
        },
        PATIENCE_MS,
      )
    }
    const first = submit(url)
    first.wake()
    await made.trade()
    await made.trade()
    first.wake()
    await untilCosigned(2)
    await first.stop()

    // Another life knows nothing of the witness: it learns the size by the refusal.
    await made.trade()
    const second = submit(url)
    second.wake()
    await untilCosigned(3)
    await made.trade()
    assert.equal(await cosigned(), 0)
    second.wake()
    await untilCosigned(4)
    await second.stop()

    await made.trade()
    const wrongKey = submit(url, namedKey('stranger').publicKey)
    wrongKey.wake()
    let kept = 0
    await eventually(
      'the witness has answered',
      () => {
        void store.last(GENESIS.origin).then((tree) => (kept = tree?.size ?? 0))
        return kept === 5
      },
      PATIENCE_MS,
    )
    await wrongKey.stop()
    assert.equal(await cosigned(), 0)
  })
})

describe('checkpoints of a chain', () => {
  it('are not there before the first final header', async () => {
    const made = await createTestChain(
      genesisOf({ policy: 'votes', threshold: 1 }, entryOf('authority', 'authority'), entryOf('alice', 'voter')),
    )
    const { chain, finalHeight } = made
    const keyOf = () => Promise.resolve(namedKey('authority'))
    const checkpoints = createCheckpoints({ chain, finalHeight, minerId: 'authority', keyOf })
    await assert.rejects(checkpoints.published(), { code: 'no_final_header' })
    await made.trade()
    await made.trade()
    await assert.rejects(checkpoints.published(), { code: 'no_final_header' })
    await made.ack('alice', 0)
    const { size, note } = await checkpoints.published()
    assert.equal(size, 1)
    assert.equal(note.split('\n')[1], '1')
  })
})

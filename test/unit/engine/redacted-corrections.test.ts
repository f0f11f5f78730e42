import assert from 'node:assert/strict'
import { createCredentialSigner } from '../../../src/engine/credential-signer.ts'
import { createReplicaRedactor } from '../../../src/engine/redactor.ts'
import { createReplicaSync, type ReplicaSync } from '../../../src/engine/replica-sync.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { unknownRedaction, type Redaction } from '../../../src/protocol/redaction.ts'
import { hashTransaction, type Transaction } from '../../../src/protocol/transaction.ts'
import { correction, createStreet, namedKey, trade, type Branch } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { ledgerOf, NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

const street = createStreet({ finality: { policy: 'validators', threshold: 1 }, validators: ['v1'] })
const first = street.start.grow('t0')
/** A correction of the only trade, 2.5 kWh for 0.5, by these. */
const fix = (id: string, kwh: string, amount = '0') => [
  correction(`tick of ${id}`.replaceAll(' ', '-'), id, 't0.1', kwh, amount),
]
const chain = first.add(fix('f1', '-1')).grow('t2')
const corrected = chain.add(fix('f2', '-1.5')).grow('t4')
const erasure = { tx_id: 't0.1', redacted_by: 'mia', reason: 'erasure' }

describe('a replica that has redacted a trade', () => {
  let folders: Awaited<ReturnType<typeof replicaFolder>>[]
  let peers: Peers
  let node: TestReplica
  let sync: ReplicaSync

  beforeEach(async () => {
    folders = []
    peers = createPeers()
    await open()
  })
  afterEach(async () => {
    for (const folder of folders) await folder.remove()
  })

  /** An empty replica that answers under a name, or `me`, who asks the others. */
  async function newReplica(name: string): Promise<TestReplica> {
    const folder = await replicaFolder(street)
    folders.push(folder)
    const replica = await folder.open()
    serveReplica(replica, peers.of(name))
    if (name !== 'me') peers.connect('me', name)
    return replica
  }

  async function open(): Promise<void> {
    node = await newReplica('me')
    const key = namedKey('v1')
    sync = createReplicaSync({
      ...node,
      store: node.store.chain,
      votes: node.store.finality,
      counter: node.votes,
      requests: peers.of('me'),
      logger: silentLogger,
      sign: createCredentialSigner({
        chainId: street.chainId,
        requests: peers.of('me'),
        voterId: () => 'v1',
        key: () => Promise.resolve(key),
        clock: { ...node.clock, now: () => NOW },
        randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      }),
      onAlarm: (code, reason) => assert.fail(`${code}: ${reason}`),
    })
  }

  async function peerWith(name: string, branch: Branch): Promise<TestReplica> {
    const peer = await newReplica(name)
    await peer.acceptAll(branch)
    return peer
  }

  const makeFinal = (replica: TestReplica, branch: Branch) => replica.cast(street.vote('v1', branch.tip))
  const redactorOf = (replica: TestReplica) =>
    createReplicaRedactor({ ...replica, blocks: replica.store.chain, logger: silentLogger })

  /** It follows `whole`, calls the chain so far final, and removes the trade with its correction. */
  async function redactHere(): Promise<TestReplica> {
    const whole = await peerWith('whole', chain)
    await sync.syncWith('whole')
    await makeFinal(node, chain)
    await redactorOf(node).redact(erasure)
    return whole
  }
  const bodiesAt = async (height: number) => (await node.chain.blockAt(height)).transactions.map(({ kind }) => kind)

  it('checks a later correction by what a peer shows, to the last digit, and keeps nothing of it', async () => {
    const whole = await redactHere()
    await whole.acceptAll(corrected)
    await sync.syncWith('whole')
    assert.deepEqual(node.tip(), corrected.tip)
    assert.deepEqual(
      [await bodiesAt(0), await bodiesAt(1), await bodiesAt(3)],
      [['redacted'], ['redacted'], ['correction']],
    )
    assert.deepEqual(
      (await node.store.chain.redactions(0)).map(({ tx_id }) => tx_id),
      ['t0.1', 'f1'],
    )

    const tooMuch = corrected.add(fix('f3', '-0.000001'))
    serveBlocksOf('liar', tooMuch, whole)
    await assert.rejects(sync.syncWith('liar'), /bad_correction.*the energy of t0.1 would fall below 0 kWh/)
    assert.deepEqual(node.tip(), corrected.tip)
  })

  /** A peer with a block on top that no honest node takes; of the rest it knows what `other` does. */
  function serveBlocksOf(name: string, branch: Branch, other: TestReplica): void {
    const { header, signature, transactions } = branch.blocks.at(-1)!
    const served = peers.of(name)
    serveReplica(other, served)
    peers.connect('me', name)
    const tip = { height: header.height, header_hash: branch.tip.hash }
    const status = { mode: 'validator', chain_id: street.chainId, final_height: null, tip }
    served.serve('status', () => Promise.resolve(status))
    served.serve('headers', (params) => {
      const { from_height, count } = params as { from_height: number; count: number }
      const headers = branch.blocks.slice(from_height, from_height + count)
      return Promise.resolve({
        headers: headers.map((block) => ({ header: block.header, signature: block.signature })),
      })
    })
    served.serve('block', (params) =>
      (params as { block_hash: string }).block_hash === branch.tip.hash
        ? Promise.resolve({ header, signature, transactions, next_index: null })
        : Promise.reject(new Error('not asked for in this test')),
    )
  }

  it('asks each peer for the bodies, and the one that tells of the block need not have them', async () => {
    await redactHere()
    const hider = await peerWith('hider', corrected)
    await hider.store.chain.redact([record(first.blocks[0]!.transactions[0]!, 0, 't0.1')])
    await sync.syncWith('hider')
    assert.deepEqual(node.tip(), corrected.tip)
  })

  const record = (tx: Transaction, height: number, tx_id: string | null): Redaction => ({
    ...unknownRedaction(hashTransaction(tx), height),
    tx_id,
  })

  it('takes the block without check once it is proven final, where nobody has the bodies', async () => {
    const whole = await redactHere()
    await whole.acceptAll(corrected)
    await whole.store.chain.redact([record(first.blocks[0]!.transactions[0]!, 0, 't0.1')])
    await assert.rejects(
      sync.syncWith('whole'),
      /corrects_redacted.*f2 corrects t0.1.*no peer shows it, and the block is not proven/,
    )
    assert.deepEqual(node.tip(), chain.tip)
    await makeFinal(whole, corrected)
    await sync.syncWith('whole')
    assert.deepEqual([node.tip(), node.finalizer.finalHeight], [corrected.tip, corrected.tip.height])
  })

  it('does the same where the trade came without a body, and nobody here knows its id', async () => {
    const whole = await peerWith('whole', chain)
    await whole.store.chain.redact([
      record(first.blocks[0]!.transactions[0]!, 0, null),
      record(chain.blocks[1]!.transactions[0]!, 1, null),
    ])
    await makeFinal(whole, chain)
    await sync.syncWith('whole')
    assert.deepEqual([node.tip(), await bodiesAt(0)], [chain.tip, ['redacted']])
    const other = await peerWith('other', corrected)
    await assert.rejects(sync.syncWith('other'), /corrects_redacted/)
    await makeFinal(other, corrected)
    await sync.syncWith('other')
    assert.deepEqual(node.tip(), corrected.tip)
  })

  it('says so where a correction without a body may be what a sum lacks, and takes the block once it is final', async () => {
    const raised = first.add(fix('f1', '5'))
    const lowered = raised.add(fix('f2', '-6'))
    const kept = await peerWith('kept', first)
    await sync.syncWith('kept')
    peers.disconnect('me', 'kept')
    const whole = await peerWith('whole', lowered)
    await makeFinal(whole, raised)
    await whole.store.chain.redact([
      record(first.blocks[0]!.transactions[0]!, 0, 't0.1'),
      record(raised.blocks[1]!.transactions[0]!, 1, 'f1'),
    ])
    await assert.rejects(sync.syncWith('whole'), /corrects_redacted.*the energy of t0.1 would fall below 0 kWh/)
    assert.deepEqual([node.tip(), await bodiesAt(0), await bodiesAt(1)], [raised.tip, ['trade'], ['redacted']])
    await makeFinal(whole, lowered)
    await sync.syncWith('whole')
    assert.deepEqual([node.tip(), node.finalizer.finalHeight], [lowered.tip, 2])
    assert.deepEqual(kept.tip(), first.tip)
  })

  it('gives receipts up to the block before a correction that it lacks, or may lack', async () => {
    // A block that came without a body of which nobody here knows what it was: it may correct what is older.
    const later = first.grow('t1').add(fix('f1', '-1')).grow('t9')
    const whole = await peerWith('whole', later)
    await whole.cast(street.vote('v1', { hash: hashHeader(later.blocks[1]!.header), height: 1 }))
    await makeFinal(whole, later)
    await whole.store.chain.redact([record(later.blocks[2]!.transactions[0]!, 2, null)])
    await sync.syncWith('whole')
    assert.deepEqual([node.finalizer.finalHeight, await bodiesAt(2)], [3, ['redacted']])
    const receipt = (id: string) => ledgerOf(node).receipt(id)
    const older = await receipt('t0.1')
    assert.deepEqual([older.header.height, older.anchor?.header.height, older.corrections], [0, 1, undefined])
    const verdict = verifyReceipt(JSON.parse(JSON.stringify(older)), street.chainId)
    assert.equal(verdict.ok && verdict.status, 'final')
    const [newest] = (await node.chain.blockAt(3)).transactions
    assert.ok(newest?.kind === 'trade')
    assert.equal((await receipt(newest.id)).header.height, 3)
  })

  it('does so for a correction that it has removed itself', async () => {
    const other = await peerWith('other', chain)
    await makeFinal(other, chain)
    await other.store.chain.redact([record(chain.blocks[1]!.transactions[0]!, 1, 'f1')])
    const { header, anchor } = await ledgerOf(other).receipt('t0.1')
    assert.deepEqual([header.height, anchor], [0, undefined])
  })

  it('gives one of a trade whose own block came without another body: no correction is in the block of its trade', async () => {
    const both = street.start.add([trade('t1', 'a'), trade('t1', 'b')])
    const other = await peerWith('other', both)
    await makeFinal(other, both)
    await other.store.chain.redact([record(both.blocks[0]!.transactions[1]!, 0, null)])
    assert.equal((await ledgerOf(other).receipt('a')).transaction.id, 'a')
  })

  it('takes the id and the tick of what it removed again in a block that is proven final, and in no other', async () => {
    await redactHere()
    const repeats = [[trade('new', 't0.1')], [trade('t0', 'fresh')]]
    let known = chain
    for (const [at, transactions] of repeats.entries()) {
      const grown = known.add(transactions)
      // It came after the removal: nothing tells it what the hashes stand for.
      const name = `later-${at}`
      const later = await newReplica(name)
      for (const [height, block] of grown.blocks.entries()) {
        const hidden = block.transactions.map((tx) => ({ kind: 'redacted' as const, tx_hash: hashTransaction(tx) }))
        const shown = height < 2 ? { ...block, transactions: hidden } : block
        assert.equal(await later.replica.accept(shown, { shown: [], isFinal: height < 2 }), 'on_chain')
      }
      await assert.rejects(sync.syncWith(name), /repeats_redacted.*is on the chain already.*not proven/)
      assert.deepEqual(node.tip(), known.tip)
      await makeFinal(later, grown)
      await sync.syncWith(name)
      assert.deepEqual([node.tip(), node.finalizer.finalHeight], [grown.tip, grown.tip.height])
      known = grown
    }
    const again = known.add([trade('newer', 't0.1')])
    await node.replica.accept(again.blocks.at(-1)!, { shown: [], isFinal: true }).then((accepted) => {
      assert.ok(typeof accepted === 'object')
      assert.equal(accepted.refused, 'duplicate_transaction', 'now it has a body of that id')
    })
  })

  it('leaves a branch that is not final for one with removed bodies, once that is proven final', async () => {
    const left = first.grow('left-1', 'left-2')
    const wrong = await peerWith('wrong', left)
    await sync.syncWith('wrong')
    peers.disconnect('me', 'wrong')
    const other = first.grow('other-1').add(fix('f1', '-1')).grow('other-3')
    const whole = await peerWith('whole', other)
    await whole.store.chain.redact([
      record(first.blocks[0]!.transactions[0]!, 0, 't0.1'),
      record(other.blocks[1]!.transactions[0]!, 1, 'other-1.1'),
      record(other.blocks[2]!.transactions[0]!, 2, 'f1'),
    ])
    await assert.rejects(sync.syncWith('whole'), /redacted.*not proven to be final/)
    assert.deepEqual(node.tip(), left.tip)
    await makeFinal(whole, other)
    await sync.syncWith('whole')
    assert.deepEqual([node.tip(), node.finalizer.finalHeight], [other.tip, 3])
    assert.deepEqual([await bodiesAt(0), await bodiesAt(1), await bodiesAt(2)], [['trade'], ['redacted'], ['redacted']])
    assert.deepEqual(wrong.tip(), left.tip)
  })

  it('removes the corrections that came since when it is asked again, and still counts them', async () => {
    const whole = await redactHere()
    await whole.acceptAll(corrected)
    await sync.syncWith('whole')
    await assert.rejects(redactorOf(node).redact(erasure), /f2.*its block is not final yet/)
    await makeFinal(node, corrected)
    const records = await redactorOf(node).redact({ ...erasure, reason: 'the rest' })
    assert.deepEqual(
      records.map(({ tx_id, reason }) => [tx_id, reason]),
      [
        ['t0.1', 'erasure'],
        ['f2', 'the rest'],
      ],
    )
    assert.deepEqual(await bodiesAt(3), ['redacted'])
    assert.deepEqual((await redactorOf(node).redact(erasure)).length, 1)
    const more = corrected.add(fix('f4', '1')).add(fix('f5', '-1'))
    await whole.acceptAll(more)
    await sync.syncWith('whole')
    assert.deepEqual(node.tip(), more.tip)
  })

  it('removes the corrections of a trade that came without a body', async () => {
    const whole = await peerWith('whole', chain)
    await whole.store.chain.redact([record(first.blocks[0]!.transactions[0]!, 0, null)])
    await makeFinal(whole, chain)
    await sync.syncWith('whole')
    assert.deepEqual(
      (await redactorOf(node).redact(erasure)).map(({ tx_id }) => tx_id),
      ['f1'],
    )
    assert.deepEqual([await bodiesAt(0), await bodiesAt(1)], [['redacted'], ['redacted']])
    await assert.rejects(redactorOf(node).redact({ ...erasure, tx_id: 'nowhere' }), /nowhere/)
  })
})

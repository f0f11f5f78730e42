import assert from 'node:assert/strict'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { hashHeader } from '../../../src/protocol/header.ts'
import { MemoryTree, historyLeaf } from '../../../src/protocol/history.ts'
import { REGISTRY_VALIDITY_MS } from '../../../src/protocol/limits.ts'
import {
  decodePostedRegistryTransaction,
  type RegistryTransaction,
} from '../../../src/protocol/registry-transaction.ts'
import type { Vote } from '../../../src/protocol/vote.ts'
import {
  correction,
  createStreet,
  namedKey,
  numbersOf,
  STREET_TIME,
  trade,
  type Branch,
  type Street,
} from '../../helpers/branches.ts'
import { sealHeader, signRegistryTransaction } from '../../helpers/sign-now.ts'
import { replicaFolder, type TestReplica } from './replica-harness.ts'

const VALIDATORS = ['v1', 'v2', 'v3', 'v4']
const street = createStreet({
  finality: { policy: 'validators', threshold: 3 },
  validators: VALIDATORS,
  voters: ['ann'],
})
const byAuthority = createStreet()
let folder: Awaited<ReturnType<typeof replicaFolder>>
let node: TestReplica
const start = async (on: Street = street): Promise<void> => {
  folder = await replicaFolder(on)
  node = await folder.open()
}

/** Two branches of one length after a common block; `low` ends in the lower hash. */
function rivals(base: Branch, length = 1): { low: Branch; high: Branch } {
  const names = (letter: string) => Array.from({ length }, (_, n) => `${letter}${base.size + n}`)
  const [one, other] = [base.grow(...names('a')), base.grow(...names('b'))]
  return one.tip.hash < other.tip.hash ? { low: one, high: other } : { low: other, high: one }
}

/** Everything that the chain answers about itself is that of this branch and of no other. */
async function assertChainIs({ blocks, at, size, tip }: Branch): Promise<void> {
  const { chain, store } = node
  assert.deepEqual(node.tip(), tip)
  const headers = await chain.headers(0, size + 10)
  assert.deepEqual(
    headers.map(({ hash }) => hash),
    blocks.map((_, height) => at(height).hash),
  )
  const tree = new MemoryTree(blocks.map((_, height) => historyLeaf(at(height).hash)))
  assert.equal(chain.historyRoot, tree.root())
  if (size > 0) assert.deepEqual(await chain.inclusion(0, size), tree.inclusion(0, size))
  for (const [height, block] of blocks.entries()) {
    assert.deepEqual(await chain.blockAt(height), block)
    for (const [index, { id }] of block.transactions.entries()) {
      assert.deepEqual(await store.chain.locate({ tx_id: id }), { height, index })
    }
  }
}

describe('a replica', () => {
  afterEach(() => folder.remove())

  it('takes blocks that go on from its tip, each once, and tells of each tip', async () => {
    await start()
    const chain = street.start.grow('t0', 't1', 't2')
    for (const block of chain.blocks) assert.equal(await node.accept(block), 'on_chain')
    assert.deepEqual(node.tips, [chain.at(0), chain.at(1), chain.at(2)])
    await assertChainIs(chain)
    for (const block of chain.blocks) assert.equal(await node.accept(block), 'known')
    assert.equal(await node.accept(chain.grow('t3', 't4').blocks[4]!), 'unknown_parent')
    assert.equal(node.tips.length, 3)
  })

  it('refuses what breaks a rule, with the code of the rule', async () => {
    await start()
    const base = street.start.grow('t0', 't1')
    await node.acceptAll(base)
    const good = base.grow('t2').blocks[2]!
    const resealed = (change: object, key = 'authority') => ({
      ...good,
      ...sealHeader({ ...good.header, ...change }, namedKey(key)),
    })
    const cases: readonly (readonly [string, typeof good])[] = [
      ['bad_seal', resealed({}, 'ann')],
      ['unknown_sealer', resealed({ miner_id: 'v1' }, 'v1')],
      ['wrong_timestamp', resealed({ timestamp: STREET_TIME - 1 })],
      ['from_the_future', resealed({ timestamp: STREET_TIME + 7_200_000 })],
      ['wrong_history', resealed({ history_root: good.header.merkle_root })],
      ['wrong_registry', resealed({ registry_root: good.header.merkle_root })],
      ['wrong_tx_count', { ...good, transactions: [] }],
      ['wrong_merkle_root', { ...good, transactions: [trade('t2', 'other')] }],
      ['wrong_height', resealed({ height: 3 })],
      ['duplicate_transaction', base.add([trade('t2', 't0.1')]).blocks[2]!],
      ['tick_sealed_twice', base.add([trade('t1', 'new')]).blocks[2]!],
      ['bad_correction', base.add([correction('t2', 'fix', 'nowhere')]).blocks[2]!],
    ]
    for (const [code, block] of cases) assert.equal(await node.accept(block), code)
    await assertChainIs(base)
    assert.equal(await node.accept(good), 'on_chain')
  })

  it('takes a change of the registry up to 24 hours after it was signed, and not a millisecond later', async () => {
    await start()
    const base = street.start.grow('t0', 't1')
    await node.acceptAll(base)
    const change = enrolmentSigned(STREET_TIME - REGISTRY_VALIDITY_MS + 2_000)
    assert.equal(
      await node.accept(base.add([change], { timestamp: STREET_TIME + 2_001 }).blocks[2]!),
      'bad_transaction',
    )
    assert.equal(await node.accept(base.add([change], { timestamp: STREET_TIME + 2_000 }).blocks[2]!), 'on_chain')
  })

  function enrolmentSigned(timestamp: number): RegistryTransaction {
    const key = namedKey('house-9')
    const body = { kind: 'registry', id: 'enrol-9', action: 'enrol', subject_id: 'house-9', role: 'voter' } as const
    const dated = { ...body, public_key: key.publicKey, timestamp, nonce: 'ab'.repeat(16) }
    return decodePostedRegistryTransaction(signRegistryTransaction(dated, street.chainId, key))
  }

  it('keeps a valid block beside the chain, and checks it by the transactions of its own branch', async () => {
    await start()
    const base = street.start.grow('t0')
    const chain = base.grow('t1', 't2', 't3')
    await node.acceptAll(chain)
    // The same tick and trades may be sealed on the other branch.
    const branch = base.grow('t2').add([correction('x2', 'fix', 't2.1')])
    assert.equal(await node.accept(branch.blocks[1]!), 'beside')
    assert.equal(await node.accept(branch.blocks[2]!), 'beside')
    assert.equal(await node.accept(branch.blocks[2]!), 'known')
    assert.equal(await node.accept(branch.add([trade('x3', 'fix')]).blocks[3]!), 'duplicate_transaction')
    assert.equal(await node.accept(branch.grow('t2').blocks[3]!), 'tick_sealed_twice')
    await assertChainIs(chain)
    assert.deepEqual(await node.store.chain.besideChain(branch.tip.hash), branch.blocks[2]!)
    assert.ok(await node.replica.knows(branch.at(1).hash))
    assert.equal(await node.replica.hashAt(branch.tip, 1), branch.at(1).hash)
    assert.equal(await node.replica.hashAt(branch.tip, 0), base.at(0).hash)
    assert.equal(await node.replica.hashAt(branch.tip, 3), undefined)
    assert.equal(await node.replica.hashAt({ hash: 'f'.repeat(64), height: 9 }, 1), undefined)
  })

  it('follows the longer branch while no acks tell them apart', async () => {
    await start()
    const base = street.start.grow('t0')
    const short = base.grow('a1')
    const long = base.grow('b1', 'b2')
    await node.acceptAll(short)
    await node.acceptAll(long)
    await assertChainIs(long)
    assert.deepEqual(node.tips.at(-1), long.tip)
    assert.deepEqual(await node.store.chain.besideChain(short.tip.hash), short.blocks[1]!)
    await node.acceptAll(short.grow('a2', 'a3'))
    await assertChainIs(short.grow('a2', 'a3'))
  })

  it('follows the lower hash of two of one length, whichever came first', async () => {
    for (const order of ['low first', 'high first']) {
      await start()
      const { low, high } = rivals(street.start.grow('t0'))
      for (const branch of order === 'low first' ? [low, high] : [high, low]) await node.acceptAll(branch)
      await assertChainIs(low)
      if (order === 'low first') await folder.remove()
    }
  })

  it('follows acks against length and hash, and goes back when others weigh more', async () => {
    await start()
    const base = street.start.grow('t0')
    const { low, high } = rivals(base, 3)
    await node.acceptAll(low)
    await node.acceptAll(high)
    await node.cast(street.vote('v1', high.at(1)))
    await assertChainIs(high)
    await node.cast(street.vote('v2', low.at(1)), street.vote('v3', low.at(2)))
    await assertChainIs(low)
    await node.cast(street.vote('v1', high.at(2)), street.vote('v1', high.at(3)))
    await assertChainIs(low)
  })

  it('gives no weight to rejects, to households, or to validators that only a branch has enrolled', async () => {
    await start()
    const base = street.start.grow('t0')
    const own = namedKey('v9')
    const enrol = { action: 'enrol', subject_id: 'v9', role: 'validator', public_key: own.publicKey } as const
    const packed = base.add([street.change('enrol-v9', own, enrol)]).grow('a2')
    const plain = base.grow('b1', 'b2', 'b3')
    await node.acceptAll(packed)
    await node.acceptAll(plain)
    await node.cast(
      street.vote('v9', packed.at(2)),
      street.vote('ann', packed.at(2)),
      street.vote('v1', packed.at(2), 'reject'),
    )
    await assertChainIs(plain)
  })

  it('makes final what has its quorum on the branch that it moves to, and tells so once', async () => {
    await start()
    const base = street.start.grow('t0')
    const { low, high } = rivals(base, 2)
    await node.acceptAll(low)
    await node.acceptAll(high)
    await node.cast(...['v1', 'v2', 'v3'].map((id) => street.vote(id, high.at(2))))
    await assertChainIs(high)
    assert.equal(node.finalizer.finalHeight, 2)
    const finals = node.events.flatMap((event) => (event.type === 'final' ? [event.header_hash] : []))
    assert.deepEqual(
      finals,
      [0, 1, 2].map((height) => high.at(height).hash),
    )
  })

  it('never leaves what is final: other branches are refused, dropped, and alarmed about if they have a quorum', async () => {
    await start()
    const base = street.start.grow('t0')
    const { low, high } = rivals(base, 2)
    await node.acceptAll(low)
    await node.acceptAll(high.grow())
    await node.cast(...['v1', 'v2', 'v3'].map((id) => street.vote(id, low.at(1))))
    assert.equal(node.finalizer.finalHeight, 1)
    await assertChainIs(low)
    const longer = high.grow('c3', 'c4', 'c5')
    assert.equal(await node.accept(longer.blocks[3]!), 'unknown_parent', 'its branch is forgotten')
    assert.equal(await node.accept(...longer.blocks), 'unknown_parent')
    assert.equal(await node.accept(base.grow('d1').blocks[1]!), 'conflicts_with_final')
    assert.deepEqual(
      await node.store.chain.besideChain(high.at(1).hash),
      high.blocks[1]!,
      'kept, to be shown as orphaned',
    )
    await assertChainIs(low)
    assert.deepEqual(node.alarms, [])
    for (const restart of [false, true]) {
      if (restart) node = await folder.open()
      // Who acked it must be able to tell that another branch is final.
      assert.equal(await node.replica.hashAt(high.tip, 1), high.at(1).hash)
      assert.equal(await node.replica.hashAt(high.tip, 0), low.at(0).hash)
    }
  })

  it('alarms when a branch below its last final block has a quorum as well', async () => {
    await start()
    const { low, high } = rivals(street.start.grow('t0'), 2)
    await node.acceptAll(low)
    await node.acceptAll(high)
    // v1 and v2 have two faces; v3 and v4 are honest, and each saw one side.
    await node.cast(
      ...['v1', 'v2', 'v4'].map((id) => street.vote(id, high.at(1))),
      ...['v1', 'v2', 'v3'].map((id) => street.vote(id, low.at(2))),
    )
    assert.equal(node.finalizer.finalHeight, 2)
    await assertChainIs(low)
    assert.deepEqual(node.alarms, ['conflicting_final'])
  })

  it('counts both acks of a double voter, each on its own branch, and has evidence of them', async () => {
    await start()
    const { low, high } = rivals(street.start.grow('t0'))
    await node.acceptAll(low)
    await node.acceptAll(high)
    const accused = new Promise<string>((resolve) =>
      node.hub.subscribe((event) => {
        if (event.type === 'evidence' && event.evidence.kind === 'double-vote') resolve(event.evidence.proof.entry.id)
      }),
    )
    await node.cast(street.vote('v1', high.tip))
    await node.cast(street.vote('v2', low.tip), street.vote('v3', low.tip))
    await assertChainIs(low)
    await assert.rejects(node.cast(street.vote('v1', low.tip)), (error) => isSolarError(error, 'vote_conflict'))
    assert.equal(node.finalizer.finalHeight, 1, 'whichever of the two acks came first')
    const heard = node.events.flatMap((event) => (event.type === 'vote' ? [event.vote] : []))
    assert.deepEqual(heard.at(-1), street.vote('v1', low.tip))
    assert.equal(await accused, 'v1')
  })

  it('chooses anew when its move has made a block final: acks up to that block weigh no more', async () => {
    await start()
    const base = street.start.grow('t0')
    const { low, high } = rivals(base)
    await node.acceptAll(low)
    await node.acceptAll(high)
    // Each of the four is on one side; v2 and v4 had acked what both sides share.
    const acks = [
      ...['v2', 'v4'].map((id) => street.vote(id, base.tip)),
      ...['v1', 'v3'].map((id) => street.vote(id, high.tip)),
    ]
    await Promise.all(
      [...acks, ...['v2', 'v4'].map((id) => street.vote(id, low.tip))].map((vote) => node.votes.cast(vote)),
    )
    await node.replica.reconsider()
    assert.equal(node.finalizer.finalHeight, 0)
    await assertChainIs(low)
  })

  it('leaves no block that became final while it weighed another branch', async () => {
    const { low, high } = rivals(street.start.grow('t0'))
    folder = await replicaFolder(street)
    // v1 has two faces. Its other ack and that of v4 come when the acks of the chain have been looked at.
    let late: readonly Vote[] = []
    node = await folder.open(async (hash) => {
      const cast = hash === high.tip.hash ? late : []
      late = late.slice(cast.length)
      await Promise.allSettled(cast.map((vote) => node.votes.cast(vote)))
    })
    await node.acceptAll(low)
    await node.acceptAll(high)
    await Promise.all(['v1', 'v2'].map((id) => node.votes.cast(street.vote(id, high.tip))))
    await node.votes.cast(street.vote('v3', low.tip))
    late = ['v1', 'v4'].map((id) => street.vote(id, low.tip))
    await node.replica.reconsider()
    assert.deepEqual(late, [])
    assert.equal(node.finalizer.finalHeight, 1)
    await assertChainIs(low)
    await node.acceptAll(low.grow('t2'))
    await assertChainIs(low.grow('t2'))
  })

  it('changes nothing while somebody looks at several things', async () => {
    await start()
    const base = street.start.grow('t0')
    const [short, long] = [base.grow('a1'), base.grow('b1', 'b2')]
    await node.acceptAll(short)
    const looking = node.replica.look(async () => {
      const seen = new Set<string>()
      for (let times = 0; times < 200; times++) seen.add((await node.chain.headers(1, 1))[0]!.hash)
      return [...seen]
    })
    const accepting = node.acceptAll(long)
    assert.deepEqual(await looking, [short.tip.hash])
    await accepting
    await assertChainIs(long)
  })

  it('finds evidence in two seals of one height, wherever the blocks are', async () => {
    await start()
    const base = street.start.grow('t0')
    const { low, high } = rivals(base)
    await node.acceptAll(low)
    assert.deepEqual(await node.evidence.list(10), [])
    await node.acceptAll(high)
    const [evidence] = await node.evidence.list(10)
    assert.equal(evidence?.kind, 'double-seal')
    const third = base.grow('c1')
    await node.replica.watch(third.blocks[1]!)
    assert.equal((await node.evidence.list(10)).length, 1, 'one piece for a height and signer')
    await node.replica.watch(low.blocks[1]!)
    const forged = { ...third.blocks[1]!, signature: low.blocks[1]!.signature }
    const chain = low.grow('t2')
    await node.acceptAll(chain)
    await node.replica.watch({ ...forged, header: { ...forged.header, height: 2 } })
    assert.equal((await node.evidence.list(10)).length, 1)
  })

  it('stays with the first seen where the authority alone decides, however long another is', async () => {
    await start(byAuthority)
    const base = byAuthority.start.grow('t0')
    const first = base.grow('a1')
    await node.acceptAll(first)
    assert.equal(node.finalizer.finalHeight, 1)
    const other = base.grow('b1', 'b2', 'b3')
    assert.equal(await node.accept(other.blocks[1]!), 'conflicts_with_final')
    assert.equal(await node.accept(other.blocks[2]!), 'unknown_parent')
    await assertChainIs(first)
    assert.equal((await node.evidence.list(1))[0]?.kind, 'double-seal')
  })

  it('goes on after a restart: the chain, what is final and the evidence are there, branches are taken again', async () => {
    await start()
    const base = street.start.grow('t0')
    const { low, high } = rivals(base, 2)
    await node.acceptAll(low)
    await node.acceptAll(high)
    await node.cast(street.vote('v1', high.at(1)), ...['v1', 'v2', 'v3'].map((id) => street.vote(id, base.at(0))))
    await assertChainIs(high)
    node = await folder.open()
    await assertChainIs(high)
    assert.equal(node.finalizer.finalHeight, 0)
    assert.equal((await node.evidence.list(5)).length, 2)
    assert.equal(await node.replica.knows(low.at(1).hash), false)
    assert.deepEqual(await node.store.chain.besideChain(low.at(1).hash), low.blocks[1]!)
    assert.equal(await node.acceptAll(low), 'beside')
    await node.cast(street.vote('v2', low.at(1)), street.vote('v3', low.at(1)))
    await assertChainIs(low)
  })

  it('takes up a branch again that it kept before a restart, whole, unless a block beside it is final', async () => {
    await start()
    const base = street.start.grow('t0')
    const { low, high } = rivals(base, 2)
    await node.acceptAll(low)
    await node.acceptAll(high)
    node = await folder.open()
    await node.replica.recall(high.tip.hash)
    for (const height of [1, 2]) assert.ok(await node.replica.knows(high.at(height).hash))
    await assertChainIs(low)
    await node.replica.recall(low.tip.hash)
    await node.replica.recall('f'.repeat(64))
    await node.cast(...['v1', 'v2', 'v3'].map((id) => street.vote(id, low.at(1))))
    node = await folder.open()
    await node.replica.recall(high.tip.hash)
    assert.equal(await node.replica.knows(high.at(1).hash), false)
    await assertChainIs(low)
  })

  it('goes on after a kill in the middle of moving to another branch', async () => {
    await start()
    const base = street.start.grow('t0')
    const { low, high } = rivals(base, 3)
    await node.acceptAll(low)
    await node.store.chain.rewind(1)
    node = await folder.open()
    await assertChainIs(base)
    await node.acceptAll(high)
    await node.acceptAll(low)
    await assertChainIs(low)
  })

  it('counts acks that came while their block was beside the chain', async () => {
    await start()
    const base = street.start.grow('t0')
    const { low, high } = rivals(base, 1)
    await node.acceptAll(low)
    await node.acceptAll(high)
    await Promise.all(['v1', 'v2', 'v3'].map((id) => node.votes.cast(street.vote(id, high.tip))))
    assert.equal(node.finalizer.finalHeight, -1)
    await node.replica.reconsider()
    await assertChainIs(high)
    assert.equal(node.finalizer.finalHeight, 1)
    assert.equal(hashHeader(high.blocks[1]!.header), node.tip().hash)
  })

  it('ends on the branch that the rule names, in whatever order blocks and acks come', async () => {
    for (let seed = 0; seed < 6; seed++) {
      const random = numbersOf(`forks ${seed}`)
      const branches = [street.start.grow('t0')]
      for (let n = 0; n < 10; n++) branches.push(branches[random(branches.length)]!.grow(`${seed}-${n}`))
      const acks = ['v1', 'v2'].flatMap((id) =>
        [...new Map(branches.map((branch) => [`${branch.tip.height} ${random(2)}`, branch])).values()]
          .filter((branch, index, all) => all.findIndex(({ tip }) => tip.height === branch.tip.height) === index)
          .filter(() => random(3) > 0)
          .map((branch) => street.vote(id, branch.tip)),
      )
      const expected = chosenOf(branches, acks)
      for (const order of ['one', 'other']) {
        await folder.remove()
        await start()
        const shuffle = numbersOf(`${order} ${seed}`)
        const waiting = [...branches]
        while (waiting.length > 0) {
          const [next] = waiting.splice(shuffle(waiting.length), 1)
          await node.acceptAll(next!)
          for (const ack of acks.filter(({ header_hash }) =>
            next!.blocks.some((b) => hashHeader(b.header) === header_hash),
          )) {
            if (shuffle(2) === 0) await node.cast(ack)
          }
        }
        await node.cast(...acks)
        assert.deepEqual(node.tip(), expected.tip, `seed ${seed}, ${order}`)
        await assertChainIs(expected)
      }
    }
  })
})

/** Most voters, then longest, then lowest hash. */
function chosenOf(branches: readonly Branch[], acks: readonly Vote[]): Branch {
  const weightOf = ({ size, at }: Branch): number => {
    const hashes = new Set(Array.from({ length: size }, (_, height) => at(height).hash))
    return new Set(acks.filter((ack) => hashes.has(ack.header_hash)).map(({ voter_id }) => voter_id)).size
  }
  return branches.toSorted(
    (a, b) => weightOf(b) - weightOf(a) || b.size - a.size || (a.tip.hash < b.tip.hash ? -1 : 1),
  )[0]!
}

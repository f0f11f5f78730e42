import { createVoter, pointOf, type AckView, type Voter, type VoterParts } from '../../../src/engine/voter.ts'
import type { LightStore } from '../../../src/ports/light-store.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { OWN_VOTES_KEPT } from '../../../src/ports/voter-store.ts'
import { parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { invalid, VALID, type Verdict } from '../../../src/protocol/errors.ts'
import type { BlockPoint } from '../../../src/protocol/finality.ts'
import { hashHeader, type SealedHeader } from '../../../src/protocol/header.ts'
import { verifyVote, voteShape, type Vote } from '../../../src/protocol/vote.ts'
import { createStreet, namedKey, type Branch } from '../../helpers/branches.ts'
import { createPeers, createTestGossip, type Peers, type TestGossip } from '../../helpers/peers.ts'
import { tempLightStore, type OpenedStore } from '../../helpers/stores.ts'
import assert from 'node:assert/strict'

const street = createStreet({ voters: ['ann'] })
const key = namedKey('ann')
const base = street.start.grow('t0', 't1', 't2')
const other = base.grow('x3', 'x4', 'x5')
const chain = base.grow('t3', 't4', 't5', 't6')

describe('a voter', () => {
  let opened: OpenedStore<LightStore>
  let peers: Peers
  let gossip: TestGossip
  let voter: Voter
  let known: Branch[]
  let lastFinal: BlockPoint | null
  let unallowedChange: BlockPoint | null
  /** What the check of a block says, by its hash; VALID where nothing is said. */
  let checks: Map<string, Verdict>
  let accused: string | undefined
  let votes: Vote[]
  let alarms: string[]
  /** What happened, in order. */
  let order: string[]
  let identity: { id: string; key: typeof key } | undefined

  beforeEach(async () => {
    opened = await tempLightStore()
    peers = createPeers()
    gossip = createTestGossip()
    known = [chain, other]
    lastFinal = unallowedChange = null
    accused = undefined
    checks = new Map()
    votes = []
    alarms = []
    order = []
    identity = { id: 'ann', key }
    voter = makeVoter(opened.store)
  })
  afterEach(() => opened.cleanup())

  function viewOf(): Promise<AckView> {
    const hashAt: AckView['hashAt'] = (point, height) => {
      if (height > point.height) return undefined
      return known.find((branch) => branch.at(point.height).hash === point.hash)?.at(height).hash
    }
    return Promise.resolve({ lastFinal, unallowedChange, hashAt })
  }

  function makeVoter(store: LightStore, changes: Partial<VoterParts> = {}): Voter {
    return createVoter({
      chainId: street.chainId,
      store: {
        ...store,
        async putVote(vote) {
          await store.putVote(vote)
          order.push(`durable ${vote.height}`)
        },
      },
      requests: peers.of('me'),
      gossip: {
        ...gossip,
        async publish(topic, payload) {
          order.push(`sent ${voteShape(parseCanonicalBytes(payload), 'vote').height}`)
          return await gossip.publish(topic, payload)
        },
      },
      logger: silentLogger,
      key,
      viewOf,
      finalHeight: () => lastFinal?.height ?? -1,
      check: ({ header }) => Promise.resolve(checks.get(hashHeader(header)) ?? VALID),
      isAccused: ({ header }) => header.miner_id === accused,
      onVote: (vote) => votes.push(vote),
      onAlarm: (code) => alarms.push(code),
      ...changes,
    })
  }
  const sealed = (branch: Branch, height: number): SealedHeader => {
    const { header, signature } = branch.blocks[height]!
    return { header, signature }
  }
  const consider = async (branch: Branch, ...heights: number[]): Promise<void> => {
    for (const height of heights) await voter.consider(sealed(branch, height), () => Promise.resolve(identity))
  }
  const acked = () => votes.filter(({ decision }) => decision === 'ack').map(({ height }) => height)
  const reject = (branch: Branch, height: number) =>
    checks.set(branch.at(height).hash, invalid('wrong_merkle_root', 'not its trades'))

  it('acks what extends its last ack, over any number of blocks, with its own key', async () => {
    await consider(chain, 0, 1, 4)
    assert.deepEqual(acked(), [0, 1, 4])
    for (const vote of votes) {
      const target = { hash: chain.at(vote.height).hash, height: vote.height }
      const entry = street.start.state.registries[0].registry.active('ann')
      assert.ok(verifyVote(vote, street.chainId, target, entry).ok)
    }
    assert.deepEqual(await opened.store.lastVote(), votes.at(-1))
  })

  it('stores and sends no ack for which evidence has come while a signer took its time', async () => {
    const sign: typeof key.sign = (message) => {
      accused = 'authority'
      return key.sign(message)
    }
    voter = makeVoter(opened.store, { key: { ...key, sign } })
    await consider(chain, 0)
    assert.deepEqual(order, [])
    assert.equal(await opened.store.lastVote(), undefined)
  })

  it('stores and sends no ack beside what has become final while the block was checked or signed', async () => {
    const sign: typeof key.sign = (message) => {
      lastFinal = other.at(4)
      return key.sign(message)
    }
    voter = makeVoter(opened.store, { key: { ...key, sign } })
    await consider(chain, 5)
    assert.deepEqual(order, [])
    assert.equal(await opened.store.lastVote(), undefined)
    await consider(other, 5)
    assert.deepEqual(acked(), [5])
  })

  it('says why it does not vote where the signer refuses, and votes once it signs again', async () => {
    const said: string[] = []
    const failures = [
      ledgerError('already_signed', { reason: 'another block 0 was acked' }),
      ledgerError('not_ready', { reason: 'the signer does not answer' }),
    ]
    const sign: typeof key.sign = async (message) => {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      return await key.sign(message)
    }
    const logger = { ...silentLogger, warn: (_: object, line: string) => void said.push(line) }
    voter = makeVoter(opened.store, { key: { ...key, sign }, logger })
    await consider(chain, 0, 0)
    assert.deepEqual(said, [
      'not voting on block 0: another block 0 was acked',
      'not voting on block 0: not ready: the signer does not answer',
    ])
    await consider(chain, 0)
    assert.deepEqual(acked(), [0])
  })

  it('is bound by an ack that its signer has signed, whatever its store knows, before it acks anything', async () => {
    const signedBefore = street.vote('ann', other.at(4))
    voter = makeVoter(opened.store, { signedBefore })
    await consider(chain, 5)
    assert.deepEqual(acked(), [])
    assert.deepEqual(await opened.store.lastVote(), signedBefore)
    await consider(other, 5)
    assert.deepEqual(acked(), [5])
    // At the next start it is nothing new, and it may be below what was acked since.
    let reminders = 0
    const onForgotten = () => {
      reminders++
      return Promise.resolve()
    }
    voter = makeVoter(opened.store, { signedBefore, onForgotten })
    await voter.alone(() => Promise.resolve())
    assert.equal(reminders, 0)
    assert.equal((await opened.store.lastVote())?.height, 5)
  })

  it('is bound by the ack that its signer shows as it refuses another one, and acks nothing above that other one', async () => {
    const acks = street.vote('ann', other.at(4))
    const refusals = [ledgerError('already_signed', { reason: 'another block 4 was acked', acked: acks })]
    const sign: typeof key.sign = async (message) => {
      const refusal = refusals.pop()
      if (refusal !== undefined) throw refusal
      return await key.sign(message)
    }
    const reminders: (Vote | undefined)[] = []
    const onForgotten = async () => void reminders.push(await opened.store.lastVote())
    voter = makeVoter(opened.store, { key: { ...key, sign }, onForgotten })
    // Both are in its lane already.
    await Promise.all([consider(chain, 4), consider(chain, 5)])
    assert.deepEqual([acked(), reminders], [[], [acks]])
    assert.equal(await opened.store.hasForgotten(), true)
  })

  it('considers nothing while something is done alone, and that waits for the block in hand', async () => {
    let answer = (): void => undefined
    voter = makeVoter(opened.store, {
      check: async ({ header }) => {
        if (header.height === 0) await new Promise<void>((resolve) => (answer = resolve))
        return VALID
      },
    })
    const first = consider(chain, 0)
    const learnt = voter.alone(async () => {
      order.push('alone')
      await opened.store.putForgotten([street.vote('ann', other.at(4))])
    })
    const second = consider(chain, 5)
    while (order.length === 0 && votes.length === 0) {
      answer()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all([first, learnt, second])
    assert.deepEqual(order, ['durable 0', 'sent 0', 'alone'])
    assert.deepEqual(acked(), [0], 'what was learnt forbids the other')
  })

  it('is not held up by a peer to which it sends its last vote again, and which is silent', async () => {
    await consider(chain, 0)
    peers.of('silent').serve('vote', () => new Promise<object>(() => undefined))
    peers.connect('me', 'silent')
    void voter.resend('silent')
    await consider(chain, 1)
    assert.deepEqual(acked(), [0, 1])
  })

  it('acks a height once: the same block again is silence, another block is refused', async () => {
    await consider(chain, 3, 3)
    await consider(other, 3)
    assert.deepEqual(
      votes.map(({ header_hash }) => header_hash),
      [chain.at(3).hash],
    )
    // Set free by a final block of the other branch, it still acks no second block of a height.
    lastFinal = other.at(4)
    await consider(other, 3)
    assert.equal(votes.length, 1)
    await consider(other, 5)
    assert.deepEqual(acked(), [3, 5])
  })

  it('acks nothing beside its last ack, and nothing below it', async () => {
    await consider(chain, 4)
    await consider(other, 5)
    await consider(chain, 2)
    assert.deepEqual(acked(), [4])
    await consider(chain, 5)
    assert.deepEqual(acked(), [4, 5])
  })

  it('acks nothing that it cannot tell the ancestors of', async () => {
    await consider(chain, 3)
    known = [other]
    await consider(chain, 4)
    assert.deepEqual(acked(), [3])
  })

  it('is set free by a final block that conflicts with its last ack, by no other', async () => {
    await consider(chain, 4)
    lastFinal = base.at(2)
    await consider(other, 5)
    assert.deepEqual(acked(), [4], 'that block is on both branches')
    lastFinal = other.at(3)
    await consider(chain, 5)
    assert.deepEqual(acked(), [4], 'its own branch is given up')
    await consider(other, 5)
    assert.deepEqual(acked(), [4, 5])
  })

  it('acks no change that is not allowed, nor what is above it', async () => {
    unallowedChange = chain.at(1)
    await consider(chain, 1, 2)
    assert.deepEqual(votes, [])
    unallowedChange = null
    await consider(chain, 2)
    assert.deepEqual(acked(), [2])
  })

  it('votes for no block of a sealer that there is evidence against', async () => {
    accused = 'authority'
    await consider(chain, 0)
    accused = 'somebody else'
    await consider(chain, 1)
    assert.deepEqual(acked(), [1])
  })

  it('acks nothing once evidence has come, though the block was in hand before', async () => {
    const check = () => {
      accused = 'authority'
      return Promise.resolve(VALID)
    }
    voter = makeVoter(opened.store, { check })
    await consider(chain, 0)
    assert.deepEqual(votes, [])
  })

  it('does not vote while its key is not registered', async () => {
    identity = undefined
    await consider(chain, 0)
    assert.deepEqual(votes, [])
    identity = { id: 'ann', key }
    await consider(chain, 1)
    assert.deepEqual(acked(), [1])
  })

  it('rejects a block that fails its check, alarms, and acks nothing above it', async () => {
    await consider(chain, 1)
    reject(chain, 2)
    await consider(chain, 2, 3, 4)
    assert.deepEqual(
      votes.map(({ height, decision }) => `${decision} ${height}`),
      ['ack 1', 'reject 2'],
    )
    assert.deepEqual(alarms, ['wrong_merkle_root'])
    voter = makeVoter(await opened.reopen())
    await consider(chain, 5)
    assert.equal(votes.length, 2, 'it remembers over a restart')
  })

  it('acks again once the rejected block has passed its check after all, and on branches without it', async () => {
    reject(chain, 3)
    await consider(chain, 3)
    await consider(other, 4)
    assert.deepEqual(acked(), [4], 'the rejected block is beside that branch')
    checks.clear()
    lastFinal = chain.at(5)
    await consider(chain, 6)
    assert.deepEqual(acked(), [4, 6])
    assert.deepEqual(await opened.store.rejected(), [])
  })

  it('acks nothing above a block that nobody answers about, until it has passed its check, over a restart', async () => {
    const silent = new Set([chain.at(2).hash])
    const check: VoterParts['check'] = ({ header }) =>
      silent.has(hashHeader(header)) ? Promise.reject(new Error('nobody answers')) : Promise.resolve(VALID)
    voter = makeVoter(opened.store, { check })
    await consider(chain, 1, 2, 3)
    assert.deepEqual(acked(), [1], 'an ack of block 3 would count for block 2')
    voter = makeVoter(await opened.reopen(), { check })
    await consider(chain, 4)
    assert.deepEqual(acked(), [1])
    await consider(other, 4)
    assert.deepEqual(acked(), [1], 'it is part of that branch as well')
    silent.clear()
    await consider(chain, 5)
    assert.deepEqual(acked(), [1, 5])
    assert.ok(
      votes.every(({ decision }) => decision === 'ack'),
      'silence is no reason to reject',
    )
  })

  it('remembers a block also where it was not known who it is or what it has acked', async () => {
    voter = makeVoter(opened.store)
    await voter.consider(sealed(chain, 1), () => Promise.reject(new Error('nobody answers')))
    checks.set(chain.at(1).hash, invalid('wrong_merkle_root', 'not its trades'))
    await consider(chain, 2)
    assert.deepEqual(acked(), [], 'block 1 has not passed')
    checks.clear()
    await consider(chain, 3)
    assert.deepEqual(acked(), [3])
  })

  it('acks nothing while it cannot tell whether a rejected block is below', async () => {
    reject(other, 3)
    await consider(other, 3)
    known = [chain]
    await consider(chain, 4)
    assert.deepEqual(acked(), [4], 'another block is at that height')
    known = []
    await consider(chain, 5)
    assert.deepEqual(acked(), [4])
  })

  describe('that checks blocks one by one', () => {
    let asked: number[]
    let silent: Set<number>
    const below: VoterParts['ancestorsOf'] = async function* ({ header }, above) {
      for (let height = header.height - 1; height > above; height--) yield await Promise.resolve(sealed(chain, height))
    }
    const makeWalking = (store: LightStore, changes: Partial<VoterParts> = {}): Voter =>
      makeVoter(store, {
        check({ header }) {
          asked.push(header.height)
          if (silent.has(header.height)) return Promise.reject(new Error('nobody answers'))
          return Promise.resolve(checks.get(hashHeader(header)) ?? VALID)
        },
        ancestorsOf: below,
        ...changes,
      })

    beforeEach(() => {
      asked = []
      silent = new Set()
      voter = makeWalking(opened.store)
    })

    it('checks what it never looked at, above its last ack, before an ack counts for it', async () => {
      await consider(chain, 1)
      await consider(chain, 4)
      assert.deepEqual(asked, [1, 0, 4, 3, 2])
      assert.deepEqual(acked(), [1, 4])
    })

    it('checks nothing again that is final, was acked, or passed in this life', async () => {
      lastFinal = chain.at(1)
      silent.add(4)
      await consider(chain, 3, 4, 5)
      assert.deepEqual(acked(), [3])
      assert.deepEqual(asked, [3, 2, 4, 5, 4])
      silent.clear()
      await consider(chain, 5, 6)
      assert.deepEqual(acked(), [3, 5, 6])
      assert.deepEqual(asked.slice(5), [5, 4, 6], 'block 4 passes once')
    })

    it('remembers a block below that nobody answers about, and acks above it once it has passed', async () => {
      silent.add(2)
      await consider(chain, 4)
      assert.deepEqual([acked(), await opened.store.rejected()], [[], [sealed(chain, 2)]])
      const store = await opened.reopen()
      voter = makeWalking(store)
      await consider(chain, 5)
      assert.deepEqual(acked(), [])
      silent.clear()
      await consider(chain, 6)
      assert.deepEqual(acked(), [6])
      assert.deepEqual(await store.rejected(), [])
    })

    it('rejects a block below that fails its check, and alarms', async () => {
      reject(chain, 2)
      await consider(chain, 3)
      assert.deepEqual(
        votes.map(({ height, decision }) => `${decision} ${height}`),
        ['reject 2'],
      )
      assert.deepEqual(alarms, ['wrong_merkle_root'])
    })

    it('checks what the rule kept it from considering, and what it was not registered for as far as a peer knew', async () => {
      unallowedChange = chain.at(1)
      await consider(chain, 1)
      unallowedChange = null
      identity = undefined
      await consider(chain, 2)
      identity = { id: 'ann', key }
      reject(chain, 1)
      await consider(chain, 3)
      assert.deepEqual(acked(), [])
    })

    it('checks nothing below the block that gave it its key: there its ack counts for nothing', async () => {
      await voter.consider(sealed(chain, 5), () => Promise.resolve({ id: 'ann', key, sinceHeight: 4 }))
      assert.deepEqual(asked, [5, 4])
      assert.deepEqual(acked(), [5])
    })

    it('acks nothing where nobody shows what is below', async () => {
      voter = makeWalking(opened.store, {
        // eslint-disable-next-line require-yield
        ancestorsOf: async function* () {
          await Promise.reject(new Error('nobody shows it'))
        },
      })
      await consider(chain, 2)
      assert.deepEqual(votes, [])
    })

    it('looks on the other branch at what is there, where a final block has set it free', async () => {
      await consider(chain, 0, 4)
      lastFinal = other.at(3)
      asked = []
      voter = makeWalking(opened.store, {
        ancestorsOf: async function* ({ header }, above) {
          for (let at = header.height - 1; at > above; at--) yield await Promise.resolve(sealed(other, at))
        },
      })
      await consider(other, 5)
      assert.deepEqual(asked, [5, 4])
    })
  })

  it('makes each ack durable before it sends it', async () => {
    await consider(chain, 0, 1)
    assert.deepEqual(order, ['durable 0', 'sent 0', 'durable 1', 'sent 1'])
  })

  it('sends nothing that could not be made durable, and votes on the next block', async () => {
    let failures = 1
    voter = makeVoter({
      ...opened.store,
      async putVote(vote) {
        if (failures-- > 0) throw new Error('the disk is full')
        await opened.store.putVote(vote)
      },
    })
    await consider(chain, 0)
    assert.deepEqual([votes, gossip.published], [[], []])
    await consider(chain, 1)
    assert.deepEqual(acked(), [1])
  })

  it('remembers its acks over a restart, and sends the last again with the same bytes', async () => {
    await consider(chain, 3)
    voter = makeVoter(await opened.reopen())
    await consider(other, 4)
    await consider(chain, 3)
    assert.deepEqual(acked(), [3])
    const taken: unknown[] = []
    peers.of('authority').serve('vote', (params) => {
      taken.push(params)
      return Promise.resolve({ header_hash: chain.at(3).hash, status: 'proposed' })
    })
    peers.connect('me', 'authority')
    await voter.resend('authority')
    assert.deepEqual(taken, [{ vote: votes[0] }])
    assert.deepEqual(voteShape(parseCanonicalBytes(gossip.published[0]!.payload), 'vote'), votes[0])
  })

  it('delivers its vote to each peer while nobody hears gossip, and takes no harm from one that refuses', async () => {
    gossip.listeners = 0
    const taken: string[] = []
    for (const name of ['one', 'two', 'deaf']) peers.connect('me', name)
    for (const name of ['one', 'two']) {
      peers.of(name).serve('vote', () => {
        taken.push(name)
        return Promise.resolve({ header_hash: chain.at(0).hash, status: 'proposed' })
      })
    }
    await consider(chain, 0)
    assert.deepEqual(taken, ['one', 'two'])
    assert.deepEqual(acked(), [0])
  })

  it('does not vote when a question fails, and votes once it is answered', async () => {
    let failing = true
    voter = makeVoter(opened.store, {
      check: () => (failing ? Promise.reject(new Error('nobody answers')) : Promise.resolve(VALID)),
    })
    await consider(chain, 0)
    assert.deepEqual([votes, alarms], [[], []])
    failing = false
    await consider(chain, 0)
    assert.deepEqual(acked(), [0])
  })

  it('says whether it has decided, or may decide otherwise another time', async () => {
    const find = () => Promise.resolve(identity)
    const failing = makeVoter(opened.store, { check: () => Promise.reject(new Error('nobody answers')) })
    assert.equal(await failing.consider(sealed(chain, 0), find), false)
    assert.equal(await voter.consider(sealed(chain, 0), () => Promise.resolve(undefined)), true)
    for (const again of ['at first', 'again']) assert.equal(await voter.consider(sealed(chain, 4), find), true, again)
    assert.equal(await voter.consider(sealed(other, 5), find), false, 'a final block may set it free')
    reject(chain, 5)
    const before = votes.length
    for (const again of ['at first', 'again']) {
      assert.equal(await voter.consider(sealed(chain, 5), find), false, `${again}: a peer may have lied`)
    }
    assert.deepEqual(await opened.store.rejected(), [sealed(chain, 5)])
    assert.equal(votes.length, before + 1)
    accused = 'authority'
    assert.equal(await voter.consider(sealed(chain, 5), find), true)
  })

  it('acks no height that is so far below its last that it may have forgotten what it acked there', async () => {
    const high = { ...street.vote('ann', { hash: 'f'.repeat(64), height: OWN_VOTES_KEPT + 3 }) }
    await opened.store.putVote(high)
    lastFinal = chain.at(5)
    known = [chain]
    await consider(chain, 3)
    assert.deepEqual(votes, [])
  })

  it('takes blocks one at a time, in the order of the calls', async () => {
    const asked: number[] = []
    let release = (): void => undefined
    let reached = (): void => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const first = new Promise<void>((resolve) => (reached = resolve))
    voter = makeVoter(opened.store, {
      check: async ({ header }) => {
        asked.push(header.height)
        reached()
        if (header.height === 0) await held
        return VALID
      },
    })
    const all = consider(chain, 0)
    const next = voter.consider(sealed(chain, 1), () => Promise.resolve(identity))
    await first
    assert.deepEqual(asked, [0])
    release()
    await Promise.all([all, next, voter.idle()])
    assert.deepEqual(acked(), [0, 1])
    assert.deepEqual(pointOf(sealed(chain, 1)), chain.at(1))
  })
})

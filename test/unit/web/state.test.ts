import assert from 'node:assert/strict'
import { decodeEvent } from '../../../src/web/answers.ts'
import { bodyOf, contentWords } from '../../../src/web/bodies.ts'
import { genesisBook } from '../../../src/web/registry-book.ts'
import {
  initialState,
  MAX_BLOCKS,
  reduce,
  runOf,
  shownBlock,
  tally,
  transactionsIn,
  type Action,
  type PageState,
} from '../../../src/web/state.ts'
import { makeDoubleVote } from '../../../src/protocol/evidence.ts'
import type { Summary } from '../../../src/web/summary.ts'
import { verdictOf } from '../../../src/web/view/verdict.ts'
import { smallChain } from './small-chain.ts'

const AT = 1_760_000_900_000
const EMPTY = initialState(genesisBook(smallChain().genesis))
const play = (actions: readonly Action[], start: PageState = EMPTY) => actions.reduce(reduce, start)
const header = (listed: ReturnType<ReturnType<typeof smallChain>['seal']>): Action => ({
  type: 'event',
  event: { type: 'header', listed },
  at: AT,
})
const vote = (cast: ReturnType<ReturnType<typeof smallChain>['vote']>): Action => ({
  type: 'event',
  event: { type: 'vote', vote: cast.vote },
  at: AT,
})

const VERDICT_PARTS = {
  summary: { failures: [], waiting: 0, votesToCome: 0, undecided: 0, checkedBlocks: 1, checkedVotes: 0 },
  lastVisit: null,
  node: { mode: 'authority' },
  trust: { kind: 'first-use' },
  context: { chainId: 'aa'.repeat(32) },
} as const

describe('web page state', () => {
  it('adds a sealed block, shows it, and tells of it', () => {
    const chain = smallChain()
    const block = chain.seal(3, AT)
    const state = play([header(block)])
    assert.equal(shownBlock(state)?.header.height, 0)
    assert.deepEqual(
      state.feed.map(({ text }) => text),
      ['authority sealed block 0 with 3 transactions.'],
    )
  })

  it('stays with a selected block when newer ones come, until told to follow again', () => {
    const chain = smallChain()
    const first = chain.seal(1, AT)
    const state = play([header(first), { type: 'select', hash: first.header_hash }, header(chain.seal(1, AT))])
    assert.equal(shownBlock(state)?.header.height, 0)
    assert.equal(shownBlock(reduce(state, { type: 'select', hash: null }))?.header.height, 1)
  })

  it('gathers the votes on a block in one line and counts each voter once', () => {
    const chain = smallChain()
    const block = chain.seal(1, AT)
    const ash = chain.vote(block, 'house-ash')
    const state = play([header(block), vote(ash), vote(chain.vote(block, 'house-elm')), vote(ash)])
    assert.deepEqual(tally(state.blocks[0]!), { ack: ['house-ash', 'house-elm'], reject: [] })
    assert.equal(state.feed[0]?.text, 'house-ash and house-elm verified block 0 and confirmed it.')
    assert.equal(state.feed.length, 2)
  })

  it('keeps rejections apart', () => {
    const chain = smallChain()
    const block = chain.seal(1, AT)
    const state = play([header(block), vote(chain.vote(block, 'house-elm', 'reject'))])
    assert.equal(state.feed[0]?.text, 'house-elm rejected block 0.')
    assert.deepEqual(tally(state.blocks[0]!).reject, ['house-elm'])
  })

  it('does not count a vote that failed its check', () => {
    const chain = smallChain()
    const block = chain.seal(1, AT)
    const cast = chain.vote(block, 'house-ash')
    const finding = { outcome: 'fail', reason: 'forged', role: null, checkedWith: 0 } as const
    const state = play([
      header(block),
      vote(cast),
      {
        type: 'checked',
        findings: [{ of: 'vote', hash: block.header_hash, signature: cast.vote.signature, finding }],
      },
    ])
    assert.deepEqual(tally(state.blocks[0]!).ack, [])
  })

  it('marks a block final once, and final stays final', () => {
    const chain = smallChain()
    const block = { ...chain.seal(1, AT), status: 'proposed' } as const
    const final: Action = {
      type: 'event',
      event: { type: 'final', header_hash: block.header_hash },
      at: AT,
    }
    const state = play([header(block), final, final, { type: 'snapshot', headers: [block], at: AT }])
    assert.equal(state.blocks[0]?.status, 'final')
    assert.equal(state.feed.filter(({ kind }) => kind === 'final').length, 1)
  })

  it('keeps a header that the node no longer lists', () => {
    const first = smallChain().seal(1, AT)
    const other = smallChain().seal(2, AT)
    const state = play([header(first), { type: 'snapshot', headers: [other], at: AT }])
    assert.deepEqual(new Set(state.blocks.map(({ hash }) => hash)), new Set([first.header_hash, other.header_hash]))
  })

  it('keeps the newest hundred blocks', () => {
    const chain = smallChain()
    const state = play(Array.from({ length: MAX_BLOCKS + 3 }, () => header(chain.seal(1, AT))))
    assert.deepEqual([state.blocks.length, state.blocks[0]?.header.height], [MAX_BLOCKS, 3])
  })

  it('asks for votes again that may have come while it was not connected', () => {
    const chain = smallChain()
    const first = chain.seal(1, AT)
    const state = play([header(first)])
    assert.equal(state.blocks[0]?.votesLoaded, true)
    const after = play([{ type: 'snapshot', headers: [first, chain.seal(1, AT)], at: AT }], state)
    assert.deepEqual(
      after.blocks.map(({ votesLoaded }) => votesLoaded),
      [false, false],
    )
  })

  it('tells of a lost connection and of its return, not of the first one', () => {
    const say = (connection: PageState['connection'], at: number): Action => ({ type: 'connection', connection, at })
    assert.deepEqual(play([say('live', 1)]).feed, [])
    const state = play([say('live', 1), say('reconnecting', 2), say('reconnecting', 3), say('live', 4)])
    assert.deepEqual(
      state.feed.map(({ text }) => text),
      ['Connected again.', 'The node does not answer. Trying again by itself.'],
    )
  })

  it('does not take a change of the registry for trades', () => {
    const chain = smallChain()
    const state = play([header(chain.seal(1, AT)), header(chain.enrol('house-fir', 'voter', AT))])
    assert.deepEqual(state.blocks.map(transactionsIn), [1, 0])
  })

  it('holds an older stretch beside the newest blocks, and lets it go', () => {
    const chain = smallChain()
    const listed = Array.from({ length: MAX_BLOCKS + 30 }, () => chain.seal(1, AT))
    const newest = play([{ type: 'snapshot', headers: listed.slice(-MAX_BLOCKS), at: AT }])
    const both = reduce(newest, { type: 'older', headers: listed.slice(2, 12) })
    assert.deepEqual([both.blocks.length, both.blocks[0]?.header.height], [MAX_BLOCKS + 10, 2])
    assert.deepEqual(
      runOf(both, both.blocks[3]).map(({ header: { height } }) => height),
      Array.from({ length: 10 }, (_, index) => index + 2),
    )
    assert.equal(reduce(both, { type: 'newest' }).blocks[0]?.header.height, 30)
  })

  it('takes a block that the newest headers pass over for replaced, unless it was final', () => {
    const left = smallChain().seal(1, AT)
    const kept = smallChain().seal(2, AT)
    const proposed = { ...left, status: 'proposed' } as const
    const after = (first: typeof left) =>
      play([header(first), { type: 'snapshot', headers: [kept], at: AT }]).blocks.find(
        ({ hash }) => hash === left.header_hash,
      )?.status
    assert.deepEqual([after(proposed), after(left)], ['orphaned', 'final'])
  })

  it('tells of evidence once, and that is what the page says first', () => {
    const chain = smallChain()
    const one = chain.vote(chain.seal(1, AT), 'house-ash')
    const other = chain.vote({ ...chain.seal(2, AT), header_hash: 'ab'.repeat(32) }, 'house-ash')
    const proof = { entry: one.entry, registry_proof: null, header: null }
    const evidence = makeDoubleVote(one.vote, { ...other.vote, height: one.vote.height }, proof)
    const told: Action = { type: 'evidence', evidence: [evidence], at: AT }
    const state = play([told, { ...told, evidence: [structuredClone(evidence)] }])
    assert.deepEqual(
      state.feed.map(({ text }) => text),
      ['house-ash confirmed two blocks of height 0.'],
    )
    const { outcome, title } = verdictOf({ ...VERDICT_PARTS, state })
    assert.deepEqual([outcome, title], ['fail', 'There is evidence of misbehaviour'])
  })

  it('is green only once all was told and checked, and says what it waits for', () => {
    const chain = smallChain()
    const state = play([header(chain.seal(1, AT))], initialState(genesisBook(chain.genesis)))
    const said = (changes: Partial<Summary>, told: PageState = state) => {
      const summary = { ...VERDICT_PARTS.summary, ...changes }
      const { outcome, detail } = verdictOf({ ...VERDICT_PARTS, state: told, summary })
      return `${outcome}: ${detail}`
    }
    assert.match(said({}), /^pass: /)
    assert.match(said({ waiting: 3 }), /^open: .* 3 to go/)
    assert.match(said({ votesToCome: 2 }), /^open: .* Asking the node for the votes on 2 blocks/)
    const grown = play([header(chain.enrol('house-oak', 'voter', AT))], state)
    assert.match(said({}, grown), /^open: .* Asking the node for the changes of the registry/)
  })

  it('has nothing but the warning to say of another ledger than the link names', () => {
    const trust = { kind: 'wrong-pin', expected: 'bb'.repeat(32) } as const
    const state = play([header(smallChain().seal(1, AT))])
    const { outcome, title, detail } = verdictOf({ ...VERDICT_PARTS, state, trust })
    assert.deepEqual([outcome, title], ['fail', 'Another ledger'])
    assert.match(detail, /bbbbbbbb…bbbb.*aaaaaaaa…aaaa/)
  })

  it('counts corrections apart from trades where the content is known, and calls neither by a name where it is not', () => {
    const sealed = smallChain().seal(2, AT)
    const body = { ...bodyOf(sealed, []), corrections: 1 }
    const block = { header: sealed.header, changesRegistry: false, body }
    assert.equal(contentWords(block), '1 correction')
    assert.equal(
      contentWords({ ...block, body: { ...body, trades: 2, redacted: 1 } }),
      '2 trades, 1 correction, 1 removed',
    )
    assert.equal(contentWords({ ...block, body: null }), '2 transactions')
    assert.equal(contentWords({ ...block, changesRegistry: true }), 'registry change')
  })

  it('decodes events of a newer node and refuses what is malformed', () => {
    const listed = smallChain().seal(1, AT)
    const event = decodeEvent('header', JSON.stringify({ ...listed, something_new: 1 }))
    assert.deepEqual(event, { type: 'header', listed })
    assert.throws(() => decodeEvent('header', JSON.stringify({ ...listed, header: { ...listed.header, extra: 1 } })), {
      code: 'malformed',
    })
  })
})

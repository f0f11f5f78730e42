import assert from 'node:assert/strict'
import type { ListedHeader, ToldVote } from '../../../src/web/answers.ts'
import {
  checkFinal,
  checkHeader,
  checkHistory,
  checkSingle,
  checkVote,
  contextOf,
  type CheckContext,
} from '../../../src/web/checks.ts'
import { genesisBook } from '../../../src/web/registry-book.ts'
import { initialState, reduce, type BlockRecord, type PageState } from '../../../src/web/state.ts'
import { outcomeOf, summarize } from '../../../src/web/summary.ts'
import { createVerifier, parentOf } from '../../../src/web/verifier.ts'
import { smallChain, type SmallChain } from './small-chain.ts'

const NOW = 1_760_000_900_000

const startOf = (chain: SmallChain): PageState => initialState(genesisBook(chain.genesis))
const contextIn = (chain: SmallChain, state: PageState): CheckContext => contextOf(state, { ...chain, now: NOW })
/** Of a page that holds nothing yet. */
const contextFor = (chain: SmallChain): CheckContext => contextIn(chain, startOf(chain))

function stateWith(chain: SmallChain, headers: readonly ListedHeader[], votes: readonly ToldVote[] = []): PageState {
  const start = reduce(startOf(chain), { type: 'snapshot', headers, at: NOW })
  return headers.reduce((state, { header_hash }) => {
    const cast = votes.filter(({ vote }) => vote.header_hash === header_hash)
    return reduce(state, { type: 'votes', hash: header_hash, votes: cast })
  }, start)
}

/** Everything checked, as the page does it. */
async function checked(chain: SmallChain, start: PageState): Promise<PageState> {
  let state = start
  const verifier = createVerifier({
    state: () => state,
    dispatch: (action) => (state = reduce(state, action)),
    context: () => contextIn(chain, state),
    elapsed: () => performance.now(),
    pause: () => Promise.resolve(),
  })
  await verifier.run()
  return state
}

const outcomes = (block: BlockRecord, state: PageState, context: CheckContext) =>
  Object.fromEntries(checkHeader(block, parentOf(block, state), context).map(({ id, outcome }) => [id, outcome]))

const ALL_PASS = { hash: 'pass', link: 'pass', registry: 'pass', seal: 'pass' }

function twoBlocks(): { chain: SmallChain; first: ListedHeader; second: ListedHeader } {
  const chain = smallChain()
  const first = chain.seal(3, NOW - 600_000)
  return { chain, first, second: chain.seal(4, NOW - 300_000) }
}

describe('web checks', () => {
  it('passes every check of a well made chain, from the genesis on', () => {
    const { chain, first, second } = twoBlocks()
    const state = stateWith(chain, [first, second])
    for (const block of state.blocks) assert.deepEqual(outcomes(block, state, contextFor(chain)), ALL_PASS)
  })

  it('shows the values that it compared', () => {
    const { chain, first, second } = twoBlocks()
    const state = stateWith(chain, [first, second])
    const [, block] = state.blocks
    const link = checkHeader(block!, state.blocks[0], contextFor(chain)).find(({ id }) => id === 'link')
    assert.deepEqual(
      link?.values.map(({ value }) => value),
      [first.header_hash, first.header_hash],
    )
  })

  it('names the hash when the node tells another one than the header has', () => {
    const { chain, first } = twoBlocks()
    const state = stateWith(chain, [{ ...first, header_hash: 'ab'.repeat(32) }])
    assert.deepEqual(outcomes(state.blocks[0]!, state, contextFor(chain)), { ...ALL_PASS, hash: 'fail' })
  })

  it('names hash and seal when a header was changed after sealing', () => {
    const { chain, first } = twoBlocks()
    const state = stateWith(chain, [{ ...first, header: { ...first.header, tx_count: 2 } }])
    assert.deepEqual(outcomes(state.blocks[0]!, state, contextFor(chain)), { ...ALL_PASS, hash: 'fail', seal: 'fail' })
  })

  it('fails a link to another parent than the block in its place', () => {
    const { chain, second } = twoBlocks()
    const other = smallChain()
    const stranger = other.seal(9, NOW - 600_000)
    const state = stateWith(chain, [stranger, second])
    assert.equal(outcomes(state.blocks[1]!, state, contextFor(chain)).link, 'fail')
  })

  it('leaves the link of the oldest held block undecided rather than passed', () => {
    const { chain, second } = twoBlocks()
    const state = stateWith(chain, [second])
    assert.deepEqual(outcomes(state.blocks[0]!, state, contextFor(chain)), { ...ALL_PASS, link: 'open' })
  })

  it('fails a header from the future', () => {
    const chain = smallChain()
    const state = stateWith(chain, [chain.seal(1, NOW + 3_600_000)])
    assert.equal(outcomes(state.blocks[0]!, state, contextFor(chain)).link, 'fail')
  })

  it('fails both of two blocks of one height', () => {
    const { chain, first } = twoBlocks()
    const other = smallChain().seal(5, NOW - 600_000)
    const { blocks } = stateWith(chain, [first, other])
    assert.deepEqual(
      blocks.map((block) => checkSingle(block, blocks).outcome),
      ['fail', 'fail'],
    )
  })

  it('passes a vote of a registered key and fails it when its decision was turned around', () => {
    const { chain, first } = twoBlocks()
    const { vote } = chain.vote(first, 'house-ash')
    const [block] = stateWith(chain, [first]).blocks
    const check = (cast: typeof vote) => checkVote(cast, block!, undefined, contextFor(chain)).outcome
    assert.equal(check(vote), 'pass')
    assert.equal(check({ ...vote, decision: 'reject' }), 'fail')
    assert.equal(check({ ...vote, voter_id: 'house-elm' }), 'fail')
    assert.equal(check({ ...vote, voter_id: 'nobody' }), 'fail')
  })

  it('says in the summary what failed and where', async () => {
    const { chain, first, second } = twoBlocks()
    const forged: ToldVote = {
      ...chain.vote(first, 'house-elm'),
      vote: { ...chain.vote(first, 'house-elm').vote, decision: 'reject' },
    }
    const start = stateWith(
      chain,
      [first, { ...second, signature: '0'.repeat(128) }],
      [chain.vote(first, 'house-ash'), forged],
    )
    const state = await checked(chain, start)
    const summary = summarize(state.blocks, contextIn(chain, state))
    assert.deepEqual(
      summary.failures.map(({ block, what }) => [block.header.height, what]),
      [
        [0, 'Vote of house-elm'],
        [1, 'Seal'],
      ],
    )
    assert.deepEqual([summary.checkedBlocks, summary.checkedVotes, summary.waiting], [2, 2, 0])
  })

  it('calls nothing passed before it was checked', () => {
    const { chain, first } = twoBlocks()
    const { blocks } = stateWith(chain, [first], [chain.vote(first, 'house-ash')])
    assert.equal(outcomeOf(blocks[0]!, blocks, contextFor(chain)), 'open')
    assert.equal(summarize(blocks, contextFor(chain)).waiting, 2)
  })

  it('proves that a block seen before is still in the history, and notices if it is not', () => {
    const { chain, first, second } = twoBlocks()
    const proof = chain.history.inclusion(0, 1)
    assert.equal(checkHistory({ height: 0, hash: first.header_hash }, second.header, proof).outcome, 'pass')
    assert.equal(checkHistory({ height: 0, hash: second.header_hash }, second.header, proof).outcome, 'fail')
    const elsewhere = { ...proof, tree_size: 2 }
    assert.equal(checkHistory({ height: 0, hash: first.header_hash }, second.header, elsewhere).outcome, 'fail')
  })
})

describe('web finality check', () => {
  const finality = { policy: 'validators', threshold: 2 } as const

  it('counts checked acks of validators, on the block and on those that build on it', async () => {
    const chain = smallChain({ finality })
    const first = chain.seal(1, NOW - 600_000)
    const second = chain.seal(1, NOW - 300_000)
    const votes = [chain.vote(first, 'validator-1'), chain.vote(second, 'validator-2'), chain.vote(second, 'house-ash')]
    const state = await checked(chain, stateWith(chain, [first, second], votes))
    assert.deepEqual(
      state.blocks.map((block) => checkFinal(block, contextIn(chain, state)).outcome),
      ['pass', 'open'],
    )
  })

  it('does not take the word of the node for it', async () => {
    const chain = smallChain({ finality })
    const first = chain.seal(1, NOW - 600_000)
    const state = await checked(chain, stateWith(chain, [first], [chain.vote(first, 'house-ash')]))
    assert.equal(state.blocks[0]!.status, 'final')
    assert.equal(checkFinal(state.blocks[0]!, contextIn(chain, state)).outcome, 'open')
  })
})

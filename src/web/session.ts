import type { Hash } from '../protocol/bytes.ts'
import { verifyEvidence, type Evidence } from '../protocol/evidence.ts'
import { chainIdOf, decodeGenesis, type Genesis } from '../protocol/genesis.ts'
import type { NodeInfo } from './answers.ts'
import type { Api } from './api.ts'
import { checkHistory, type Check, type CheckContext } from './checks.ts'
import { webError } from './errors.ts'
import { follow } from './live.ts'
import { createPage } from './page.ts'
import { checkInclusion, readHash, readPasted } from './proof-check.ts'
import { createRegistryBook } from './registry-book.ts'
import { initialState, MAX_BLOCKS, reduce, shownBlock, type Action } from './state.ts'
import { outcomeOf, summarize } from './summary.ts'
import { judgeTrust, readLink, type Memory, type Remembered } from './trust.ts'
import { createVerifier } from './verifier.ts'
import { createVoteLoader } from './vote-loader.ts'

/** "12 s ago" moves on by itself. */
const TICK_MS = 5_000

export interface SessionParts {
  readonly api: Api
  readonly genesis: Genesis
  readonly chainId: Hash
  readonly node: NodeInfo
  readonly memory: Memory
}

/** Ties state, checks, connection and views together. */
export function startSession(root: HTMLElement, { api, genesis, chainId, node, memory }: SessionParts): void {
  const book = createRegistryBook(genesis)
  const link = readLink(location.hash)
  let state = initialState(book.genesisRoot)
  let remembered = memory.recall()
  let trust = judgeTrust(chainId, link.chain, remembered)
  let lastVisit: Check | null = null
  let settled = false
  let drawing = false

  const context = (): CheckContext => ({ genesis, chainId, book, told: state.told, now: Date.now() })

  function draw(): void {
    if (drawing) return
    drawing = true
    requestAnimationFrame(() => {
      drawing = false
      const now = context()
      const summary = summarize(state.blocks, now)
      page.show({ state, context: now, summary, shown: shownBlock(state), trust, node, lastVisit, now: now.now })
    })
  }

  function dispatch(action: Action): void {
    state = reduce(state, action)
    draw()
    if (action.type === 'select' || action.type === 'connection') return
    loader.run()
    void verifier.run().then(settle)
  }

  const verifier = createVerifier({
    state: () => state,
    dispatch: (action) => {
      state = reduce(state, action)
      draw()
    },
    context,
    elapsed: () => performance.now(),
    pause: () => new Promise((resolve) => setTimeout(resolve)),
  })
  const loader = createVoteLoader({ state: () => state, dispatch, votes: api.votes })

  /** All is checked. The first time, the last visit is compared and the trade of the link is looked up. */
  async function settle(): Promise<void> {
    const known = remembered?.chain_id === chainId ? remembered.anchor : null
    if (!settled && state.loaded) {
      settled = true
      if (link.tx !== undefined && link.block !== undefined) page.checkTrade(link.tx, link.block)
      if (known !== null) lastVisit = await compareWithLastVisit(known)
      draw()
    }
    if (trust.kind === 'changed' || trust.kind === 'wrong-pin' || lastVisit?.outcome === 'fail') return
    const now = context()
    const best = state.blocks.findLast(
      (block) => block.status === 'final' && outcomeOf(block, state.blocks, now) === 'pass',
    )
    const anchor = best === undefined ? known : { height: best.header.height, hash: best.hash }
    if (remembered !== undefined && anchor?.hash === known?.hash) return
    remember({ chain_id: chainId, first_seen: remembered?.first_seen ?? now.now, anchor })
  }

  function remember(value: Remembered): void {
    remembered = value
    memory.remember(value)
  }

  async function compareWithLastVisit(seen: { readonly height: number; readonly hash: Hash }): Promise<Check> {
    const part = { id: 'history', title: 'Last visit', values: [] } as const
    const tip = state.blocks.at(-1)
    if (tip === undefined || tip.header.height < seen.height) {
      return { ...part, outcome: 'fail', detail: `Block ${seen.height}, seen before, is not there any more.` }
    }
    if (tip.header.height === seen.height) {
      return tip.hash === seen.hash
        ? { ...part, outcome: 'pass', detail: `Block ${seen.height} is still the newest.` }
        : { ...part, outcome: 'fail', detail: `Block ${seen.height} is another one than before.` }
    }
    try {
      const proof = await api.historyInclusion(seen.height, tip.header.height)
      return { ...checkHistory(seen, tip.header, proof), title: 'Last visit' }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return { ...part, outcome: 'open', detail: `Could not be compared: ${reason}` }
    }
  }

  async function resync(): Promise<void> {
    const answer = await api.genesis()
    if (chainIdOf(decodeGenesis(answer.genesis)) !== chainId) {
      // Another ledger under the same address: begin from nothing, the notice about it comes with that.
      location.reload()
      throw webError('unreachable', { path: '/genesis', reason: 'the node serves another chain now' })
    }
    const { headers } = await api.latestHeaders(MAX_BLOCKS)
    dispatch({ type: 'snapshot', headers, at: Date.now() })
    takeEvidence(await api.evidence())
  }

  /** What the node says is proven is checked here before it is shown. */
  function takeEvidence(told: readonly Evidence[]): void {
    const evidence = told.filter((piece) => verifyEvidence(piece, genesis, chainId).ok)
    if (evidence.length > 0) dispatch({ type: 'evidence', evidence, at: Date.now() })
  }

  async function probe(): Promise<void> {
    const { headers } = await api.latestHeaders(1)
    const tip = headers.at(-1)
    if (tip !== undefined && !state.blocks.some(({ hash }) => hash === tip.header_hash)) await resync()
  }

  async function verifyTrade(tx: string, blockText: string): Promise<readonly Check[]> {
    const pasted = readPasted(tx, genesis)
    const blockHash = readHash(blockText, 'block hash')
    const proof = await api.merkleProof(blockHash, pasted.txHash)
    const block = state.blocks.find(({ hash }) => hash === blockHash)
    return checkInclusion(
      pasted,
      proof,
      block,
      block === undefined ? 'open' : outcomeOf(block, state.blocks, context()),
    )
  }

  const page = createPage(root, genesis, chainId, {
    select: (hash) => dispatch({ type: 'select', hash }),
    followNewest: () => dispatch({ type: 'select', hash: null }),
    acceptChain: () => {
      remember({ chain_id: chainId, first_seen: Date.now(), anchor: null })
      trust = judgeTrust(chainId, link.chain, remembered)
      draw()
    },
    verifyTrade,
  })

  draw()
  setInterval(draw, TICK_MS)
  follow({
    openStream: () => new EventSource('/events'),
    resync,
    probe,
    onEvent: (event) => {
      if (event.type === 'evidence') takeEvidence([event.evidence])
      else dispatch({ type: 'event', event, at: Date.now() })
    },
    onConnection: (connection) => dispatch({ type: 'connection', connection, at: Date.now() }),
    after: (delayMs, task) => {
      const timer = setTimeout(task, delayMs)
      return () => clearTimeout(timer)
    },
  })
}

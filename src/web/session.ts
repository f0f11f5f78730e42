import type { Hash } from '../protocol/bytes.ts'
import { verifyEvidence, type Evidence } from '../protocol/evidence.ts'
import { chainIdOf, decodeGenesis, type Genesis } from '../protocol/genesis.ts'
import type { NodeInfo } from './answers.ts'
import type { Api } from './api.ts'
import { createBodyLoader } from './body-loader.ts'
import { contextOf, type CheckContext } from './checks.ts'
import { webError } from './errors.ts'
import { follow } from './live.ts'
import { createNavigation, isHeight, NO_BLOCK } from './navigation.ts'
import { createPage } from './page.ts'
import { readPasted } from './pasted.ts'
import { genesisBook } from './registry-book.ts'
import { createRegistryLoader } from './registry-loader.ts'
import { initialState, MAX_BLOCKS, reduce, shownBlock, type Action, type BlockRecord } from './state.ts'
import { outcomeOf, summarize } from './summary.ts'
import { lookUp, type HeldBlock, type LookupParts } from './trade-lookup.ts'
import { judgeTrust, readLink, writeLink, type Memory } from './trust.ts'
import { createVerifier } from './verifier.ts'
import { createVisit } from './visit.ts'
import { createVoteLoader } from './vote-loader.ts'
import type { Said } from './view/strip.ts'

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
  const visit = createVisit(memory, chainId, api)
  let link = readLink(location.hash)
  let state = initialState(genesisBook(genesis))
  let trust = judgeTrust(chainId, link.chain, visit.remembered())
  /** In memory alone: it goes with the page. */
  let token: string | undefined
  let opened = false
  let drawing = false

  const context = (): CheckContext => contextOf(state, { genesis, chainId, now: Date.now() })

  function draw(): void {
    if (drawing) return
    drawing = true
    requestAnimationFrame(() => {
      drawing = false
      const now = context()
      const summary = summarize(state.blocks, now)
      const lastVisit = visit.compared()
      page.show({ state, context: now, summary, shown: shownBlock(state), trust, node, lastVisit, now: now.now })
    })
  }

  function dispatch(action: Action): void {
    state = reduce(state, action)
    draw()
    if (action.type === 'select' || action.type === 'connection') return
    loadMissing()
    void verifier.run().then(settle)
  }

  function loadMissing(): void {
    votes.run()
    registry.run()
    bodies.run()
  }

  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))
  const verifier = createVerifier({
    state: () => state,
    dispatch: (action) => {
      state = reduce(state, action)
      draw()
    },
    context,
    elapsed: () => performance.now(),
    pause,
  })
  const shared = { state: () => state, dispatch }
  const votes = createVoteLoader({ ...shared, votes: api.votes })
  const registry = createRegistryLoader({ ...shared, genesis, chainId, changes: api.registryChanges, pause })
  const bodies = createBodyLoader({ ...shared, token: () => token, block: api.block })
  const navigation = createNavigation({ ...shared, api })

  /** All is checked. The first time, what the link names is opened. */
  async function settle(): Promise<void> {
    if (!opened && state.loaded) {
      opened = true
      void openLink()
    }
    await visit.settle(state, context(), trust)
    draw()
  }

  async function openLink(): Promise<void> {
    // Of another ledger than the link is about nothing is shown.
    if (trust.kind === 'wrong-pin') return
    if (link.tx !== undefined) page.checkTrade(link.tx)
    else if (link.block !== undefined) page.say({ text: await openBlock(link.block) })
  }

  /** Gives back a sentence for people if the block cannot be shown. */
  async function openBlock(text: string): Promise<string> {
    const said = await navigation.open(text)
    if (said === null) nameShown()
    const tip = state.blocks[state.blocks.length - 1]?.header.height
    return said === NO_BLOCK ? `There is no block ${text} here; the newest is ${tip ?? 'still to come'}.` : (said ?? '')
  }

  /** What is looked at stands in the address, so that it can be passed on. */
  function nameShown(): void {
    const pin = link.chain === undefined ? location.pathname : `#chain=${link.chain}`
    const shown = state.selected === null ? pin : writeLink(chainId, { block: state.selected })
    history.replaceState(null, '', shown)
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
    const tip = headers[headers.length - 1]
    if (tip !== undefined && !state.blocks.some(({ hash }) => hash === tip.header_hash)) await resync()
    // A call that failed is made again, also where no new block is the reason to.
    else loadMissing()
  }

  const heldOf = (block: BlockRecord): HeldBlock => ({
    header: block.header,
    hash: block.hash,
    outcome: outcomeOf(block, state.blocks, context()),
  })
  const lookup: LookupParts = {
    api,
    genesis,
    chainId,
    token: () => token,
    anchor: () => {
      const now = context()
      const best = state.blocks.findLast((block) => outcomeOf(block, state.blocks, now) === 'pass')
      const anchor = best ?? state.blocks[state.blocks.length - 1]
      return anchor && heldOf(anchor)
    },
    held: (hash) => {
      const block = state.blocks.find((one) => one.hash === hash)
      return block && heldOf(block)
    },
  }

  /** A block, or else a trade. A number can name either: the trade is offered beside the block. */
  async function search(typed: string): Promise<Said> {
    const text = typed.trim()
    const said = await navigation.open(text)
    if (said === NO_BLOCK) {
      page.checkTrade(text)
      return { text: '' }
    }
    if (said !== null) return { text: said }
    nameShown()
    if (!isHeight(text)) return { text: '' }
    const trade = { label: `Trade ${text}`, choose: () => page.checkTrade(text) }
    return { text: `${text} can be the id of a trade as well:`, choices: [trade] }
  }

  const page = createPage(root, genesis, chainId, {
    select: (hash) => {
      dispatch({ type: 'select', hash })
      nameShown()
    },
    followNewest: () => {
      dispatch({ type: 'newest' })
      nameShown()
    },
    openBlock,
    search,
    acceptChain: () => {
      visit.accept(Date.now())
      trust = judgeTrust(chainId, link.chain, visit.remembered())
      draw()
    },
    lookUp: async (text) => {
      const pasted = readPasted(text)
      // What is being checked just now is waited for: the answer would say "not checked yet" for no reason.
      await verifier.run()
      return await lookUp(pasted, lookup)
    },
    useToken: (typed) => {
      token = typed
      dispatch({ type: 'access', access: { kind: typed === undefined ? 'none' : 'asked' } })
    },
  })

  addEventListener('hashchange', () => {
    link = readLink(location.hash)
    trust = judgeTrust(chainId, link.chain, visit.remembered())
    draw()
    void openLink()
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

import type { ChainStore } from '../ports/chain-store.ts'
import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { FinalityStore } from '../ports/finality-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { OWN_VOTES_KEPT } from '../ports/voter-store.ts'
import { registryTransactionsOf, type ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { count } from '../protocol/count-words.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { BlockPoint } from '../protocol/finality.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import { MAX_HEADERS_PER_REQUEST } from '../protocol/limits.ts'
import { headersAnswer, statusAnswer, type StatusAnswer } from '../protocol/messages.ts'
import { fetchBlock } from './block-fetcher.ts'
import { fetchHeader } from './block-pages.ts'
import type { CredentialSigner } from './credential-signer.ts'
import { registryOf, stateAfter, verifyBlock } from './chain-state.ts'
import type { Chain } from './chain.ts'
import { checkSeal } from './checked-seal.ts'
import { provesFinalBy, type ProvesFinal } from './final-proof.ts'
import type { Finalizer } from './finalizer.ts'
import { earlierKeys, historyOf } from './history-rules.ts'
import { fetchRemoved } from './removed-bodies.ts'
import type { Accepted, Replica } from './replica.ts'
import type { VoteCounter, VoteTarget } from './vote-counter.ts'
import { createVoteSync } from './vote-sync.ts'

export interface ReplicaSyncParts {
  readonly chain: Chain
  readonly store: ChainStore
  readonly votes: Pick<FinalityStore, 'votesOf'>
  readonly replica: Replica
  readonly counter: Pick<VoteCounter, 'cast'>
  readonly finalizer: Finalizer
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly logger: Logger
  readonly sign: CredentialSigner
  readonly onAlarm: (code: string, reason: string) => void
}

/** Brings the replica to what peers have. */
export interface ReplicaSync {
  /**
   * Takes every block that the peer has and this node has not, and the votes on what is not final yet; one sync a peer at a
   * time, a second call joins the first. Resolves when this node knows the peer's tip, to `nothing` if the peer has no blocks
   * to show: a light node, or an empty chain. Throws `peer_refused`, `peer_unreachable`.
   */
  syncWith(peer: string): Promise<'followed' | 'nothing'>
  /**
   * The place of a block beside the chain that this node has acked once, or others whose acks prove what is final. A peer that
   * keeps it is asked for the branch that ends in it, each block of which is checked by the one below, down to the chain. Also where it can never become the chain its blocks are kept,
   * for what they go on from. Throws `peer_unreachable`, and `peer_refused`: with `unknown_block` if the peer does not have it.
   */
  takeBranch(peer: string, point: BlockPoint): Promise<VoteTarget>
}

/** So many blocks of a branch are taken before the votes on them: far fewer than are kept beside the chain. */
const VOTES_AFTER = 32
/** What was acked further below the last ack than this binds to nothing. */
const MAX_BRANCH = OWN_VOTES_KEPT

export function createReplicaSync(parts: ReplicaSyncParts): ReplicaSync {
  const { chain, store, replica, finalizer, requests, logger } = parts
  // Also on a branch beside the chain here: they are what a branch weighs.
  const votes = createVoteSync({
    ...parts,
    hashAt: (tip, height) => replica.look(() => replica.hashAt(tip, height)),
    takeBranch,
    onCounted: () => replica.reconsider(),
  })
  const running = new Map<string, Promise<'followed' | 'nothing'>>()

  async function askForHeaders(peer: string, from_height: number, count: number): Promise<readonly SealedHeader[]> {
    const { headers } = headersAnswer(await requests.request(peer, 'headers', { from_height, count }), 'headers')
    headers.forEach(({ header }, index) => {
      if (header.height !== from_height + index) throw refused(peer, 'wrong_height', `headers from ${from_height} on`)
    })
    return headers
  }

  /** A height up to which the peer's chain is known here, found in few steps; -1 if that is the genesis alone. */
  async function sharedHeight(peer: string, tipHeight: number): Promise<number> {
    const floor = finalizer.finalHeight
    let step = 1
    for (let height = Math.min(tipHeight, chain.size - 1); height >= 0; step *= 2) {
      const [sealed] = await askForHeaders(peer, height, 1)
      if (sealed === undefined)
        throw refused(peer, 'wrong_height', `no header of height ${height}, its tip is ${tipHeight}`)
      if (await replica.knows(hashHeader(sealed.header))) return height
      await replica.watch(sealed)
      if (height <= floor) throw conflictWithFinal(peer, sealed)
      height = height === 0 ? -1 : Math.max(height - step, floor, 0)
    }
    return -1
  }

  function conflictWithFinal(peer: string, { header }: SealedHeader): Error {
    const reason = `it has another block of height ${header.height}, where this node has a final one`
    return refused(peer, 'conflicts_with_final', reason)
  }

  async function takeBlock(peer: string, sealed: SealedHeader, provesFinal: ProvesFinal): Promise<Accepted> {
    const hash = hashHeader(sealed.header)
    if (await replica.knows(hash)) return 'known'
    const block = (await store.besideChain(hash)) ?? (await fetchSealed(peer, sealed, provesFinal))
    const accepted = await acceptWith(peer, block, provesFinal)
    if (typeof accepted === 'object') throw refused(peer, accepted.refused, accepted.reason)
    if (accepted === 'unknown_parent')
      throw refused(peer, 'wrong_parent', `block ${sealed.header.height} has no parent here`)
    return accepted
  }

  /** Nothing is signed about a header that nobody has sealed. */
  async function fetchSealed(peer: string, sealed: SealedHeader, provesFinal: ProvesFinal): Promise<ShownBlock> {
    const { height } = sealed.header
    const verify = await replica.sealCheck(sealed)
    if (verify === undefined) throw refused(peer, 'wrong_parent', `block ${height} has no parent here`)
    const verdict = await checkSeal(requests, peer, sealed, verify)
    if (!verdict.ok) throw refused(peer, verdict.code, `block ${height}: ${verdict.reason}`)
    return await fetchBlock(parts, peer, sealed, provesFinal)
  }

  /**
   * Peers are asked again for the bodies that were removed here and that a correction in this block is about;
   * where nobody shows them, the block is one that nobody here can check, as one without a body is, and is
   * taken as such: if it is proven final. Beside the chain that is asked anew of each block without a body.
   */
  async function acceptWith(peer: string, block: ShownBlock, provesFinal: ProvesFinal): Promise<Accepted> {
    const accepted = await replica.accept(block)
    if (!takesProof(accepted)) return accepted
    const shown = await fetchRemoved(parts, peer, block)
    const again = await replica.accept(block, { shown, isFinal: false })
    if (!takesProof(again)) return again
    const final = await provesFinal(block)
    if (final.ok) return await replica.accept(block, { shown, isFinal: true })
    const reason = `${again.reason}; no peer shows it, and the block is not proven to be final: ${final.reason}`
    return { refused: again.refused, reason }
  }

  async function sync(peer: string): Promise<'followed' | 'nothing'> {
    const status = await askForStatus(peer)
    if (status.mode === 'light' || status.tip === null) return 'nothing'
    await reachTip(peer, status)
    await votes.take(peer, status)
    return 'followed'
  }

  const askForStatus = async (peer: string): Promise<StatusAnswer> =>
    statusAnswer(await requests.request(peer, 'status', {}), 'status')

  async function reachTip(peer: string, { tip, final_height }: StatusAnswer): Promise<void> {
    if (tip === null || (await replica.knows(tip.header_hash))) return
    let from: number
    try {
      from = (await sharedHeight(peer, tip.height)) + 1
    } catch (error) {
      const isFinalThere = final_height !== null && final_height >= finalizer.finalHeight
      if (isFinalThere && isSolarError(error, 'peer_refused') && codeOf(error) === 'conflicts_with_final') {
        parts.onAlarm('conflicting_final', error.message)
      }
      throw error
    }
    const provesFinal = provesFinalBy(peer, parts)
    const beside: Hash[] = []
    for (const first = from; from <= tip.height;) {
      const headers = await askForHeaders(peer, from, Math.min(MAX_HEADERS_PER_REQUEST, tip.height - from + 1))
      if (headers.length === 0)
        throw refused(peer, 'wrong_height', `no header of height ${from}, its tip is ${tip.height}`)
      for (const sealed of headers) {
        if ((await takeBlock(peer, sealed, provesFinal)) !== 'beside') continue
        // A branch that is not followed can grow beyond what is kept beside the chain.
        if (beside.unshift(hashHeader(sealed.header)) === VOTES_AFTER) {
          for (const hash of beside.splice(0)) await votes.takeOn(peer, hash)
        }
      }
      from += headers.length
      if (from > tip.height)
        logger.info({ peer, from: first, to: tip.height }, `${count(from - first, 'block')} taken from ${peer}`)
    }
  }

  /** Headers from the first beside the chain up to this one; those that are not kept here are asked for. */
  async function branchUpTo(peer: string, { hash, height }: BlockPoint) {
    const headers: SealedHeader[] = []
    for (let at = hash; headers.length < MAX_BRANCH;) {
      const sealed = (await store.besideChain(at)) ?? (await fetchHeader(parts, peer, at))
      if (sealed.header.height !== height - headers.length)
        throw refused(peer, 'wrong_height', `the block ${at} has height ${sealed.header.height}`)
      headers.unshift(sealed)
      at = sealed.header.prev_hash
      const baseHeight = at === chain.chainId ? -1 : await chain.heightOf(at)
      if (baseHeight !== undefined) return { baseHeight, headers }
    }
    throw refused(peer, 'wrong_parent', `the block ${hash} of height ${height} leads to none that is known here`)
  }

  /** Keeps a block of a branch that was acked, whatever becomes of the branch, with the votes on it. */
  async function keepBeside(peer: string, block: ShownBlock, provesFinal: ProvesFinal): Promise<void> {
    const hash = hashHeader(block.header)
    const accepted = await acceptWith(peer, block, provesFinal)
    // It may have been kept without them.
    if (accepted === 'beside' || accepted === 'known') await votes.takeOn(peer, hash)
    // Below what is final here no branch is followed any more.
    else if (accepted !== 'on_chain') await store.putBeside(block, hash)
  }

  async function takeBranch(peer: string, point: BlockPoint): Promise<VoteTarget> {
    const { baseHeight, headers } = await branchUpTo(peer, point)
    const provesFinal = provesFinalBy(peer, parts)
    let state = await chain.stateAt(baseHeight + 1)
    let registryBefore = registryOf(state)
    const changes: ShownBlock[] = []
    for (const sealed of headers) {
      const hash = hashHeader(sealed.header)
      // A key that counts has signed an ack of the last one, and hashes lead from there: nobody has made up what is asked for.
      const block = (await store.besideChain(hash)) ?? (await fetchBlock(parts, peer, sealed, provesFinal))
      const earlier = await earlierKeys(block.transactions, historyOf(store, baseHeight + 1, changes))
      const verdict = verifyBlock(state, block, chain, earlier)
      if (!verdict.ok) throw refused(peer, verdict.code, `block ${sealed.header.height}: ${verdict.reason}`)
      await keepBeside(peer, block, provesFinal)
      if (registryTransactionsOf(block.transactions).length > 0) changes.push(block)
      registryBefore = registryOf(state)
      state = stateAfter(state, block, hash)
    }
    return { height: point.height, registryBefore, isOnChain: false }
  }

  return {
    syncWith(peer) {
      const joined = running.get(peer)
      if (joined !== undefined) return joined
      const started = sync(peer).finally(() => running.delete(peer))
      running.set(peer, started)
      return started
    },
    takeBranch,
  }
}

/** It is taken once it is proven to be final. */
const takesProof = (accepted: Accepted): accepted is Extract<Accepted, object> =>
  typeof accepted === 'object' &&
  ['corrects_redacted', 'repeats_redacted', 'redacted', 'too_many_branches'].includes(accepted.refused)

function refused(peer: string, code: string, reason: string): Error {
  return ledgerError('peer_refused', { peer, request: 'sync', code, reason })
}

const codeOf = (error: { readonly fields: object }): unknown => (error.fields as { readonly code?: unknown }).code

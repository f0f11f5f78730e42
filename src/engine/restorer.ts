import { steadyNow, type Clock, type RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hex } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { hashHeader, verifyNotFromFuture, type SealedHeader } from '../protocol/header.ts'
import { headersAnswer, registryAnswer, statusAnswer, type StatusAnswer } from '../protocol/messages.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { fetchBlock } from './block-fetcher.ts'
import { createCredentialSigner, type CredentialSigner } from './credential-signer.ts'
import type { Chain } from './chain.ts'
import { checkSeal } from './checked-seal.ts'
import { provesFinalBy, type ProvesFinal } from './final-proof.ts'
import type { Finalizer } from './finalizer.ts'
import { createHolePatience } from './hole-patience.ts'
import type { PeerHeaders } from './peer-headers.ts'
import type { SealGuard } from './seal-guard.ts'
import { createSerial } from './serial.ts'
import type { TickRunner } from './tick-runner.ts'
import type { VoteSync } from './vote-sync.ts'

export interface RestorerParts {
  readonly chain: Chain
  readonly finalizer: Pick<Finalizer, 'finalHeight'>
  readonly guard: SealGuard
  readonly peerHeaders: PeerHeaders
  readonly votes: Pick<VoteSync, 'take'>
  readonly requests: PeerRequests
  readonly runner: Pick<TickRunner, 'follow' | 'restore' | 'recover'>
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly logger: Logger
  /** The registered id of the authority that seals here. */
  readonly minerId: string
  /** The signing key with this public key, if this node has it. */
  readonly keyOf: (publicKey: Hex) => Promise<SigningKey | undefined>
}

/** Compares this database with peers, and fetches what it lacks, blocks and votes, from those that have whole blocks. */
export interface Restorer {
  /**
   * Compares with the peers that are connected and from then on with each that connects. Resolves when `awaited` of them
   * have told their tip, at the latest after GRACE_MS: a node that is alone must start all the same.
   */
  start(awaited: number): Promise<void>
  /** A header that a peer has passed on: evidence at a known height; above the tip the peer is asked, if it has whole blocks. */
  heard(sealed: SealedHeader, peer: string): Promise<void>
  /** No block is put back after this; the one in hand is waited for by who waits for ticks. */
  stop(): void
}

/** Long enough for a peer that redials every half second, short enough for a start without peers. */
const GRACE_MS = 3_000
const RETRY_MS = 5_000
const HEADERS_AT_ONCE = 64
/** A peer has so long for its blocks, and one more, before the others have their turn: it may be slow on purpose. */
const TURN_MS = 30_000

export function createRestorer(parts: RestorerParts): Restorer {
  const { chain, guard, peerHeaders, requests, runner, clock, logger } = parts
  const fetching = createSerial()
  const patience = createHolePatience(clock)
  let stopped = false
  let cancelRetry: (() => void) | undefined
  let stopListening = (): void => undefined
  let told: string | undefined
  /** Blocks were put back since the last time that waiting ticks were sealed. */
  let hasNews = false

  /** Considers a peer's tip. */
  async function compare(peer: string, { tip, chain_id }: StatusAnswer): Promise<void> {
    if (tip === null || chain_id !== chain.chainId) return
    // Another authority may have put it into the database that both share.
    if (tip.height >= chain.size) await runner.follow()
    const [ours] = tip.height < chain.size ? await chain.headers(tip.height, 1) : []
    if (ours?.hash === tip.header_hash) return
    const [sealed] = await headersFrom(peer, tip.height, 1)
    if (sealed !== undefined) await peerHeaders.consider(sealed, peer)
  }

  async function headersFrom(peer: string, from_height: number, count: number): Promise<readonly SealedHeader[]> {
    return headersAnswer(await requests.request(peer, 'headers', { from_height, count }), 'headers').headers
  }

  /** Fetches from a peer what follows this tip, block by block, until the peer has no more or its turn is over. */
  async function fetchFrom(peer: string): Promise<'all' | 'more'> {
    const startedAt = steadyNow(clock)
    const sign = await signerFor(peer)
    const provesFinal = provesFinalBy(peer, parts)
    for (;;) {
      const headers = await headersFrom(peer, chain.size, HEADERS_AT_ONCE)
      for (const sealed of headers) {
        if (isStopped()) return 'all'
        if (steadyNow(clock) - startedAt > TURN_MS) return 'more'
        await fetchNext(peer, sealed, sign, provesFinal)
      }
      if (headers.length === 0) return 'all'
    }
  }

  /** Whether the peer shows a header that follows, sealed by an authority. */
  async function hasNext(peer: string): Promise<boolean> {
    const [next] = await headersFrom(peer, chain.size, 1)
    if (next === undefined) return false
    await checkNext(peer, next)
    return true
  }

  /**
   * The next block is sealed, and nothing is in its place until it is here. The peer's tip says it not where the key was changed or
   * recovered since: its seal is of a key that this chain does not know yet. Throws `peer_refused`.
   */
  async function checkNext(peer: string, sealed: SealedHeader): Promise<void> {
    const { header } = sealed
    const seal = await checkSeal(requests, peer, sealed, (next, recovery) => chain.verifySealed(next, recovery))
    // Once it is in the database it stays, and all that comes has to be later.
    const verdict = seal.ok ? verifyNotFromFuture(header, clock.now()) : seal
    if (!verdict.ok) throw refused(peer, verdict.code, `block ${header.height}: ${verdict.reason}`)
    await peerHeaders.consider(sealed, peer)
    const { height, miner_id } = header
    if (height >= chain.size) guard.saw({ height, hash: hashHeader(header), miner_id, shownBy: 'a peer' })
  }

  async function fetchInTurns(peer: string): Promise<void> {
    while ((await fetching(() => fetchFrom(peer))) === 'more');
  }

  async function fetchNext(
    peer: string,
    sealed: SealedHeader,
    sign: CredentialSigner,
    provesFinal: ProvesFinal,
  ): Promise<void> {
    await checkNext(peer, sealed)
    const block = await fetchBlock({ requests, sign, clock }, peer, sealed, provesFinal, patience)
    if (isStopped()) return
    await runner.restore(block, peer)
    hasNews = true
    guard.stuck(undefined)
  }

  /** Signs with the key that the peer's registry has for this authority: it may have changed since this database. */
  async function signerFor(peer: string): Promise<CredentialSigner> {
    const { minerId, keyOf, randomBytes } = parts
    const asked = { id: minerId, at_height: null }
    const { entry } = registryAnswer(await requests.request(peer, 'registry', asked), 'registry')
    const known = entry?.entry.public_key ?? chain.registry.entry(minerId)?.public_key
    const key = known === undefined ? undefined : await keyOf(known)
    if (key === undefined) {
      throw ledgerError('not_ready', { reason: `this node does not have the key ${known ?? ''} of ${minerId}` })
    }
    const signing = { voterId: () => minerId, key: () => Promise.resolve(key) }
    return createCredentialSigner({ ...signing, chainId: chain.chainId, requests, clock, randomBytes })
  }

  const statusOf = async (peer: string): Promise<StatusAnswer> =>
    statusAnswer(await requests.request(peer, 'status', {}), 'status')

  /** Compares with one peer, then catches up with it if it has whole blocks. Never throws. */
  async function meet(peer: string, onTold: () => void, only: 'any' | 'blocks' = 'any'): Promise<void> {
    let voted: StatusAnswer | undefined
    try {
      const status = await statusOf(peer)
      if (only === 'blocks' && status.mode === 'light') return
      const { mode, tip, chain_id } = status
      await compare(peer, status)
      const isFull = mode !== 'light' && chain_id === chain.chainId
      const hasMore = isFull && tip !== null && tip.height >= chain.size
      // Before it is this peer's turn: one that is silent, or has made up what it claims, holds up nobody.
      const hasBlock = hasMore && (await hasNext(peer).finally(onTold))
      onTold()
      if (hasBlock) await fetchInTurns(peer)
      if (hasMore) voted = await statusOf(peer)
      else if (isFull && only === 'any') voted = status
    } catch (error) {
      noteFailure(peer, error)
    }
    conclude()
    if (voted !== undefined) await takeVotes(peer, voted)
  }

  /** An older database lacks acks as well, and who sent them does not send them all again. Never throws. */
  async function takeVotes(peer: string, status: StatusAnswer): Promise<void> {
    try {
      await parts.votes.take(peer, status)
    } catch (error) {
      if (!isStopped()) logger.debug({ error, peer }, `the votes that ${peer} has are not known`)
    }
  }

  function noteFailure(peer: string, error: unknown): void {
    if (isStopped()) return
    const message = error instanceof Error ? error.message : String(error)
    if (guard.reason() === undefined) {
      logger.debug({ error, peer }, `${peer} could not be compared with`)
      return
    }
    guard.stuck(message)
    // What the stores or the registry refuse stays so until an operator has looked.
    const isOurs = !isSolarError(error, 'peer_refused') && !isSolarError(error, 'peer_unreachable')
    logger[isOurs ? 'error' : 'warn']({ error, peer }, `could not catch up with ${peer}: ${message}`)
  }

  /** Seals what waits if nothing is against it any more, else says so and tries again later. */
  function conclude(): void {
    if (isStopped()) return
    const reason = guard.reason()
    if (reason === undefined) {
      if (told === undefined && !hasNews) return
      told = undefined
      hasNews = false
      logger.info({ height: chain.size - 1 }, `this database is up to date again: block ${chain.size - 1}`)
      // Not waited for: a node that starts does so itself, and mining takes long.
      runner.recover().catch((error: unknown) => logger.error({ error }, 'waiting ticks are not sealed yet'))
      return
    }
    if (told !== reason) logger.error({ reason }, `NOT SEALING: ${reason}`)
    told = reason
    cancelRetry ??= clock.after(RETRY_MS, () => {
      cancelRetry = undefined
      void Promise.all(requests.peers().map((peer) => meet(peer, () => undefined))).then(conclude)
    })
  }

  // A function, because what is awaited in between may have stopped it.
  const isStopped = (): boolean => stopped

  return {
    async start(awaited) {
      const answered = new Set<string>()
      await new Promise<void>((resolve) => {
        const cancel = clock.after(GRACE_MS, resolve)
        const enough = (): void => {
          if (answered.size < awaited) return
          cancel()
          resolve()
        }
        const greet = (peer: string): void => {
          const onTold = () => {
            answered.add(peer)
            enough()
          }
          void meet(peer, onTold)
        }
        stopListening = requests.onConnect(greet)
        requests.peers().forEach(greet)
        enough()
      })
      conclude()
    },
    async heard(sealed, peer) {
      const isAbove = sealed.header.height >= chain.size
      // Who sends a header that nobody has sealed is not asked for more; what it knows it is asked for when it connects.
      if (isAbove && !(await peerHeaders.isSealed(sealed))) return
      if (isAbove) await runner.follow()
      // Gossip alone does not stop an authority: the peer that passed it on may have nothing but the header.
      if (sealed.header.height < chain.size) await peerHeaders.consider(sealed, peer)
      else void meet(peer, () => undefined, 'blocks')
    },
    stop() {
      stopped = true
      stopListening()
      cancelRetry?.()
    },
  }
}

const refused = (peer: string, code: string, reason: string) =>
  ledgerError('peer_refused', { peer, request: 'headers', code, reason })

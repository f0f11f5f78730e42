import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText, parseCanonicalText } from '../protocol/canonical-json.ts'
import { isSolarError } from '../protocol/errors.ts'
import { chainIdOf, decodeGenesis, type Genesis } from '../protocol/genesis.ts'
import { genesisAnswer } from '../protocol/messages.ts'
import { createLightClient, type LightClient, type LightClientParts } from './light-client.ts'

/** As much of a network as joining takes. */
export interface JoinableNetwork {
  readonly gossip: Gossip
  readonly requests: PeerRequests
  start(): Promise<void>
  stop(): Promise<void>
}

export interface JoinParts<Network extends JoinableNetwork> extends Omit<
  LightClientParts,
  'genesis' | 'gossip' | 'requests'
> {
  /** A network for the chain, or one that can only ask for a genesis. Not started yet. */
  readonly createNetwork: (chainId: Hash | undefined) => Promise<Network>
  /** The pin; `undefined` trusts the first genesis that comes, and says so loudly. */
  readonly pin: Hash | undefined
  readonly signal: AbortSignal
}

export interface Joined<Network> {
  readonly client: LightClient
  readonly network: Network
  readonly genesis: Genesis
  readonly chainId: Hash
}

const RETRY_GENESIS_MS = 500

/**
 * Becomes a light node of a chain: finds its genesis (stored, or from the first peer whose genesis the pin allows), then
 * follows it over a network of its own. Waits for peers until `signal` ends it. Throws `wrong_chain` if the store belongs to
 * another chain than the pin.
 */
export async function joinChain<Network extends JoinableNetwork>(parts: JoinParts<Network>): Promise<Joined<Network>> {
  const genesis = await findGenesis(parts)
  const chainId = chainIdOf(genesis)
  const network = await parts.createNetwork(chainId)
  const { gossip, requests } = network
  const client = await createLightClient({ ...parts, genesis, gossip, requests })
  client.start()
  await network.start()
  parts.logger.info({ chain_id: chainId }, `on chain ${chainId}`)
  return { client, network, genesis, chainId }
}

/** What it takes to find the genesis of a chain. */
export type GenesisSearch<Network extends JoinableNetwork> = Pick<
  JoinParts<Network>,
  'createNetwork' | 'pin' | 'clock' | 'logger' | 'signal' | 'onEvent' | 'onPeer'
> & { readonly store: Pick<LightStore, 'genesis' | 'putGenesis'> }

/** The stored genesis, or that of the first peer whose genesis the pin allows; it is stored then. Throws `wrong_chain`. */
export async function findGenesis<Network extends JoinableNetwork>(parts: GenesisSearch<Network>): Promise<Genesis> {
  const { store, pin } = parts
  const stored = await store.genesis()
  if (stored !== undefined) return checkPin(decodeGenesis(parseCanonicalText(stored)), pin)
  const network = await parts.createNetwork(undefined)
  await network.start()
  try {
    const genesis = await askForGenesis(network.requests, parts)
    await store.putGenesis(canonicalText(genesis))
    return genesis
  } finally {
    await network.stop()
  }
}

function checkPin(genesis: Genesis, pin: Hash | undefined): Genesis {
  const chainId = chainIdOf(genesis)
  if (pin !== undefined && pin !== chainId) throw ledgerError('wrong_chain', { chain_id: chainId, expected: pin })
  return genesis
}

/** Asks every connected peer until one gives a genesis that the pin allows. */
async function askForGenesis(
  requests: PeerRequests,
  parts: Omit<GenesisSearch<JoinableNetwork>, 'store' | 'createNetwork'>,
): Promise<Genesis> {
  const { pin, clock, logger, signal } = parts
  const refused = new Set<string>()
  for (;;) {
    for (const peer of requests.peers()) {
      try {
        const answer = await unlessAborted(requests.request(peer, 'genesis', {}), signal)
        const genesis = checkPin(decodeGenesis(genesisAnswer(answer)), pin)
        const chain_id = chainIdOf(genesis)
        if (pin === undefined) {
          const advice = `compare it with your community and pin it with --chain ${chain_id}`
          logger.warn({ chain_id, peer }, `NOT PINNED: trusting chain ${chain_id} on first use; ${advice}`)
        }
        return genesis
      } catch (error) {
        if (signal.aborted) throw error
        parts.onPeer?.({ peer, outcome: 'failed', error })
        // It is asked again until another peer answers; once is enough to say so.
        if (!refused.has(peer)) sayRefused(peer, error, parts)
        refused.add(peer)
      }
    }
    await pause(RETRY_GENESIS_MS, clock, signal)
  }
}

/** A peer of another chain than the pinned one is more than a peer without an answer: the pin or the address is wrong. */
function sayRefused(
  peer: string,
  error: unknown,
  { logger, onEvent }: Pick<JoinParts<JoinableNetwork>, 'logger' | 'onEvent'>,
): void {
  const reason = genesisFault(peer, error)
  logger.warn({ error, peer }, reason)
  if (isSolarError(error, 'wrong_chain')) onEvent({ type: 'alarm', code: 'wrong_chain', reason })
}

/** Why nothing can be begun with a peer, in one line for people. */
export function genesisFault(peer: string, error: unknown): string {
  if (isSolarError(error, 'wrong_chain')) {
    const { chain_id, expected } = error.fields as { readonly chain_id: Hash; readonly expected: Hash }
    return `${peer} is on chain ${chain_id}, pinned is ${expected}: check --chain and --peer`
  }
  return `${peer} gives no usable genesis: ${error instanceof Error ? error.message : String(error)}`
}

async function pause(delayMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const over = Promise.withResolvers<undefined>()
  const cancel = clock.after(delayMs, () => over.resolve(undefined))
  try {
    await unlessAborted(over.promise, signal)
  } finally {
    cancel()
  }
}

/** Settles as `work` does, or rejects as soon as `signal` is aborted: a peer that is silent is not waited for. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    const settled = (): void => signal.removeEventListener('abort', abort)
    void work.then(resolve, reject).finally(settled)
  })
}

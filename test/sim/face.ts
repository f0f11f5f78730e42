import { serveMembership } from '../../src/engine/block-server.ts'
import { Chain, type Tip } from '../../src/engine/chain.ts'
import { createEventHub } from '../../src/engine/events.ts'
import { openEvidencePool } from '../../src/engine/evidence-pool.ts'
import { openFinalizer } from '../../src/engine/finalizer.ts'
import { serveFullNodePeers } from '../../src/engine/full-node-peers.ts'
import { replicaAcks } from '../../src/engine/branch-acks.ts'
import { createValidatorLedger } from '../../src/engine/validator-ledger.ts'
import { createVoteCounter, findOnChain } from '../../src/engine/vote-counter.ts'
import { assembleHeader, sealingKey, type Block, type CommittedTick } from '../../src/protocol/block.ts'
import { canonicalBytes } from '../../src/protocol/canonical-json.ts'
import { hashTransaction } from '../../src/protocol/transaction.ts'
import { replicaStore } from '../../src/storage/level/replica-store.ts'
import { sealHeader, signMembership, type TestKey } from '../helpers/sign-now.ts'
import type { NodeParts } from './nodes.ts'

/** One of the faces of a dishonest authority: a chain, sealed with the same key as that of the other face. */
export interface Face {
  readonly id: string
  readonly tip: Tip | null
  /** Seals a tick on its chain and tells whom it has links with. */
  seal(tick: CommittedTick): Promise<Block>
  /** Takes the block that the other face has sealed, as the next one of this chain too. */
  take(block: Block): Promise<void>
}

export async function startFace(
  parts: NodeParts & {
    readonly minerId: string
    readonly keyOf: (publicKey: string) => TestKey | undefined
    readonly liesAboutFinality: boolean
  },
): Promise<Face> {
  const { genesis, port, disk, logger, minerId, keyOf } = parts
  const { gossip, requests, clock } = port
  const store = await replicaStore(await disk.open())
  const chain = await Chain.open(genesis, store.chain)
  const { chainId } = chain
  const events = createEventHub(logger)
  const finalizer = await openFinalizer({ chain, store: store.finality, events, clock })
  const evidence = await openEvidencePool({
    genesis,
    chainId,
    store: store.evidence,
    gossip,
    logger,
    // It finds nothing against itself.
    signerBefore: () => Promise.resolve(undefined),
    onEvidence: () => undefined,
  })
  // In the end it takes over the disk of a validator, which may have left a branch.
  const acks = replicaAcks(store.chain, store.finality)
  const find = findOnChain(chain)
  const votes = createVoteCounter({ chainId, find, store: store.finality, evidence, events, finalizer, clock, logger })
  const ledger = createValidatorLedger({
    chain,
    store: store.finality,
    acks,
    votes,
    finalizer,
    evidence,
    events,
    clock,
    finalizedAt: (height) => store.finalizedAt(height),
  })
  const claimed = {
    ...finalizer,
    get finalHeight() {
      return parts.liesAboutFinality ? chain.size - 1 : finalizer.finalHeight
    },
  }
  serveFullNodePeers({
    mode: 'authority',
    chain,
    ledger,
    votes,
    finalizer: claimed,
    acks,
    evidence,
    gossip,
    requests,
    clock,
    logger,
    roleOfToken: () => Promise.resolve('auditor'),
    onHeader: () => Promise.resolve('ignore'),
  })
  const activeEntry = (id: string) => chain.registry.active(id)
  serveMembership({
    ...{ chain, requests, clock },
    ledger: {
      activeEntry,
      membership(id) {
        const [issued_at, key] = [clock.now(), keyOf(activeEntry(minerId)?.public_key ?? '')]
        if (key === undefined) throw new Error('the face has no key of the authority')
        const body = { chain_id: chainId, voter_id: id, user_id: id, issued_at, issuer: minerId }
        return Promise.resolve(signMembership({ ...body, expires_at: issued_at + 86_400_000 }, key))
      },
    },
  })
  port.start()

  async function append(block: Block): Promise<void> {
    const { sealed } = await chain.append(block, block.transactions.map(hashTransaction))
    await finalizer.evaluate()
    await gossip.publish('headers', canonicalBytes(sealed))
  }

  return {
    id: port.id,
    get tip() {
      return chain.tip
    },
    async seal(tick) {
      const { transactions } = tick
      const after = await chain.registryAfter(transactions)
      const sealer = sealingKey({ header: { miner_id: minerId }, transactions }, chain.registry)
      const key = sealer === undefined ? undefined : keyOf(sealer)
      if (key === undefined) throw new Error('the face has no key of the authority')
      const at = { parent: chain.tip, historyRoot: chain.historyRoot }
      const hashes = transactions.map(hashTransaction)
      const header = assembleHeader(genesis, chainId, at, tick, hashes, after.root, minerId)
      const block = { ...sealHeader(header, key), transactions }
      await append(block)
      return block
    },
    take: append,
  }
}

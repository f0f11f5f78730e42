import type { Block } from '../../src/protocol/block.ts'
import { canonicalBytes } from '../../src/protocol/canonical-json.ts'
import { ledgerError } from '../../src/ports/errors.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import { blockParams, headersParams } from '../../src/protocol/messages.ts'
import type { Vote } from '../../src/protocol/vote.ts'
import { sealHeader, signVote } from '../helpers/sign-now.ts'
import type { Loop } from './loop.ts'
import { isCaptor } from './changes.ts'
import type { KnownBlock, Model } from './model.ts'
import type { Port, SimNetwork } from './network.ts'
import { keyOf, MINER, type Plan } from './plan.ts'
import type { Random } from './random.ts'

export const MALLORY = 'mallory'

export interface AdversaryParts {
  readonly plan: Plan
  readonly model: Model
  readonly network: SimNetwork
  readonly port: Port
  readonly loop: Loop
  readonly random: Random
  /** Full nodes, which take votes. */
  readonly targets: readonly string[]
}

/**
 * Knows every block at once and every key that is not honest. Votes for every branch with them, to whom it likes and when it
 * likes, and in the name of nobody, of revoked voters and of others; asked as a peer it is silent, refuses or forges.
 */
export interface Adversary {
  /** Looks for blocks that it has not voted on. */
  act(): void
  /** From now on it does nothing any more. */
  rest(): void
}

export function createAdversary(parts: AdversaryParts): Adversary {
  const { plan, model, network, port, loop, random, targets } = parts
  const voted = new Set<string>()
  let isActive = true

  function send(vote: Vote): void {
    const payload = canonicalBytes(vote)
    for (const target of random.some(targets, 0.5)) {
      loop.schedule(random.between(0, random.chance(0.3) ? 30_000 : 500), () => {
        if (!isActive) return
        if (random.chance(0.5)) network.whisper(MALLORY, target, 'votes', payload)
        else port.requests.request(target, 'vote', { vote }).catch(() => undefined)
      })
    }
  }

  const ack = (block: KnownBlock, voter_id: string, key: string, height = block.height): Vote =>
    signVote({ chain_id: model.chainId, header_hash: block.hash, height, voter_id, decision: 'ack' }, keyOf(key))

  function voteOn(block: KnownBlock): void {
    const members = [...block.before.byId.values()]
    for (const { id, active, key } of members) {
      const isOurs = plan.byzantine.includes(id) || isCaptor(id)
      if (isOurs && active && random.chance(0.85)) send(ack(block, id, id))
      // A key that was revoked or changed was lost to us. On one of two branches only it is honest and votes on the other.
      const isLost = !active || key !== keyOf(id).publicKey
      if (isLost && !plan.isTwoFaced && random.chance(0.7)) send(ack(block, id, id))
    }
    if (!random.chance(0.3)) return
    const victim = random.pick(members)
    const forgeries = [
      () => ack(block, 'sybil', 'sybil'),
      () => ack(block, victim.id, 'sybil'),
      () => ack(block, random.pick([...plan.byzantine, 'sybil']), 'sybil', block.height + 1),
    ]
    send(random.pick(forgeries)())
  }

  serveForgeries(parts, () => isActive)
  port.start()
  return {
    act() {
      for (const block of isActive ? [...model.blocks.values()].filter(({ hash }) => !voted.has(hash)) : []) {
        voted.add(block.hash)
        voteOn(block)
      }
    },
    rest() {
      isActive = false
    },
  }
}

/** It claims a block on top of the longest chain, which it has sealed with a key of its own. */
function serveForgeries({ plan, model, port }: AdversaryParts, isActive: () => boolean): void {
  let forged: { readonly block: Block; readonly chain: readonly KnownBlock[] } | undefined
  const refuse = (): never => {
    throw ledgerError('not_ready', { reason: 'it does not want to' })
  }
  const serve = (answer: (params: unknown) => object) => (params: unknown) => {
    if (!isActive()) return Promise.reject(ledgerError('not_ready', { reason: 'it is tired' }))
    if (plan.hostility === 'silent') return new Promise<object>(() => undefined)
    return Promise.resolve().then(() => (plan.hostility === 'refuse' ? refuse() : answer(params)))
  }
  port.requests.serve(
    'status',
    serve(() => {
      forged = forge(model) ?? refuse()
      const tip = { height: forged.block.header.height, header_hash: hashHeader(forged.block.header) }
      return { mode: 'validator', chain_id: model.chainId, tip, final_height: tip.height }
    }),
  )
  port.requests.serve(
    'headers',
    serve((params) => {
      const { from_height, count } = headersParams(params, 'headers')
      const blocks = [...(forged?.chain ?? []).map(({ block }) => block), forged?.block ?? refuse()]
      const asked = blocks.slice(from_height, from_height + count)
      return { headers: asked.map(({ header, signature }) => ({ header, signature })) }
    }),
  )
  port.requests.serve(
    'block',
    serve((params) => {
      const { block_hash } = blockParams(params, 'block')
      const blocks = [...(forged?.chain ?? []).map(({ block }) => block), forged?.block ?? refuse()]
      const block = blocks.find(({ header }) => hashHeader(header) === block_hash) ?? refuse()
      return { ...block, next_index: null }
    }),
  )
}

function forge(model: Model): { readonly block: Block; readonly chain: readonly KnownBlock[] } | undefined {
  const longest = [...model.blocks.values()].reduce<KnownBlock | undefined>(
    (best, next) => (best === undefined || next.height >= best.height ? next : best),
    undefined,
  )
  if (longest === undefined) return undefined
  // The last block again, with another time: all that is wrong with it is its seal.
  const { header, transactions } = longest.block
  const again = { ...header, timestamp: header.timestamp + 1, miner_id: MINER }
  const block = { ...sealHeader(again, keyOf('forger')), transactions }
  return { block, chain: longest.chain.slice(0, -1) }
}

import type { Hash } from '../protocol/bytes.ts'
import { parseJson } from '../protocol/json.ts'
import { blockHeight, hash32, nullable, object, timestampMs, type TypeOf } from '../protocol/shape.ts'

const KEY = 'solar-node.trust'

const rememberedShape = object({
  chain_id: hash32,
  /** Unix milliseconds. */
  first_seen: timestampMs,
  /** The newest final block that passed every check. */
  anchor: nullable(object({ height: blockHeight, hash: hash32 })),
})
/** What this browser remembers of the ledger from visit to visit. */
export type Remembered = TypeOf<typeof rememberedShape>

export interface Memory {
  recall(): Remembered | undefined
  remember(value: Remembered): void
}

/** Memory in the browser's storage; where that is closed (private windows), nothing is remembered. */
export function createMemory(storage: () => Pick<Storage, 'getItem' | 'setItem'>): Memory {
  return {
    recall() {
      try {
        const text = storage().getItem(KEY)
        return text === null ? undefined : rememberedShape(parseJson(text), KEY)
      } catch {
        return undefined
      }
    },
    remember(value) {
      try {
        storage().setItem(KEY, JSON.stringify(value))
      } catch {
        // Nothing to do: the next visit will say "first use" again.
      }
    },
  }
}

/** Why this page believes that this is the right ledger, or why it does not (docs/protocol.md 2). */
export type Trust =
  | { readonly kind: 'pinned' }
  | { readonly kind: 'known'; readonly since: number }
  | { readonly kind: 'first-use' }
  | { readonly kind: 'wrong-pin'; readonly expected: Hash }
  | { readonly kind: 'changed'; readonly expected: Hash; readonly since: number }

/** @param pin the chain id that came with the link, which outweighs memory */
export function judgeTrust(chainId: Hash, pin: Hash | undefined, remembered: Remembered | undefined): Trust {
  if (pin !== undefined) return pin === chainId ? { kind: 'pinned' } : { kind: 'wrong-pin', expected: pin }
  if (remembered === undefined) return { kind: 'first-use' }
  const { chain_id: expected, first_seen: since } = remembered
  return expected === chainId ? { kind: 'known', since } : { kind: 'changed', expected, since }
}

/**
 * What the address of the page asks for: `#chain=<pin>`, `#block=<height or hash>`, `#tx=<id or hash>`. A block beside a trade, as
 * older links have it, only says where the trade is.
 */
export interface LinkRequest {
  readonly chain: Hash | undefined
  readonly tx: string | undefined
  readonly block: string | undefined
}

/** @param fragment the address from `#` on. A pin that is no chain id is kept: it must not match by being dropped. */
export function readLink(fragment: string): LinkRequest {
  // A plus stands for itself here, as ids have it, and not for a space.
  const params = new URLSearchParams(fragment.replace(/^#/, '').replaceAll('+', '%2B'))
  const value = (name: string) => params.get(name)?.trim() ?? undefined
  return { chain: value('chain'), tx: value('tx'), block: value('block') }
}

/** A fragment that pins the chain and names a block or a trade: whoever follows it sees that or a warning. */
export const writeLink = (chainId: Hash, target: { readonly block: string } | { readonly tx: string }): string =>
  `#${new URLSearchParams({ chain: chainId, ...target }).toString()}`

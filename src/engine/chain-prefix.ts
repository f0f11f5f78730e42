import type { ChainStore } from '../ports/chain-store.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Block } from '../protocol/block.ts'

/**
 * The first `size` blocks of a chain store as a chain store of their own, over which its next blocks are checked by the
 * rules of any new block. Nothing is written: an append only moves on by a block that is there.
 */
export function prefixOf(store: ChainStore, size: number): ChainStore {
  let end = size
  return {
    ...store,
    size: () => Promise.resolve(end),
    append({ header }: Block) {
      if (header.height !== end) {
        throw ledgerError('corrupt', { place: 'chain store', expected: `height ${end}`, found: `${header.height}` })
      }
      end++
      return Promise.resolve()
    },
    registryHeights: async () => (await store.registryHeights()).filter((height) => height < end),
    close: () => Promise.resolve(),
  }
}

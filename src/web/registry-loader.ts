import type { RegistryChangesAnswer } from './answers.ts'
import { extendBook, genesisBook, registryAfter, type BookRules, type RegistryBook } from './registry-book.ts'
import type { Action, PageState } from './state.ts'

/** Changes that are checked before the page may breathe: each takes two or three signatures. */
const CHANGES_AT_ONCE = 4

export interface RegistryLoaderParts extends BookRules {
  readonly state: () => PageState
  readonly dispatch: (action: Action) => void
  readonly changes: (fromHeight: number) => Promise<RegistryChangesAnswer>
  readonly pause: () => Promise<void>
}

/** Asks for the changes of the registry that lead to the roots of the headers, and checks each. */
export interface RegistryLoader {
  /** Begins if a header names a registry that is not known here. After a failed call it waits for the next `run`. */
  run(): void
}

interface Loaded {
  readonly book: RegistryBook
  /** Height of the tip at which these were all changes; -1 on an empty chain. */
  readonly upTo: number
  readonly problem: string | null
}

export function createRegistryLoader(parts: RegistryLoaderParts): RegistryLoader {
  const { state, dispatch } = parts
  let loading = false

  async function extend(from: RegistryBook): Promise<Loaded> {
    let book = from
    let next = (book[book.length - 1] ?? book[0]).height + 1
    for (;;) {
      const answer = await parts.changes(next)
      for (const [index, block] of answer.changes.entries()) {
        if (index % CHANGES_AT_ONCE === 0) await parts.pause()
        const extended = extendBook(book, block, parts)
        if (!extended.ok) {
          const problem = `The change of the registry at block ${block.header.height} does not hold: ${extended.reason}`
          return { book, upTo: block.header.height - 1, problem }
        }
        book = extended.book
      }
      if (answer.next === null) return { book, upTo: answer.height ?? -1, problem: null }
      // An answer that does not go on is as wrong as one that does not hold.
      if (answer.next < next || answer.changes.length === 0) throw new Error('the list of changes does not end')
      next = answer.next
    }
  }

  const explains = ({ book, upTo, problem }: Loaded): boolean =>
    problem === null && unexplained(state(), book).every(({ header }) => header.height > upTo)

  async function load(): Promise<void> {
    let loaded = await extend(state().registries)
    // On a branch that the node has left there may have been other changes: once more from the genesis.
    if (!explains(loaded) && state().registries.length > 1) loaded = await extend(genesisBook(parts.genesis))
    dispatch({ type: 'registry', ...loaded })
  }

  return {
    run() {
      if (loading || !isRegistryDue(state())) return
      loading = true
      load()
        // The connection's own retry says that the node is gone; the changes are asked for again after it.
        .catch(() => undefined)
        .finally(() => (loading = false))
    },
  }
}

/** True while a header names a registry whose changes the node has not told yet. */
export const isRegistryDue = (state: PageState): boolean =>
  unexplained(state, state.registries).some(({ header }) => header.height > state.registryHeight)

/** Blocks whose registry is not the one that the book leads to. */
const unexplained = ({ blocks }: PageState, book: RegistryBook) =>
  blocks.filter(
    ({ header, status }) => status !== 'orphaned' && registryAfter(book, header.height).root !== header.registry_root,
  )

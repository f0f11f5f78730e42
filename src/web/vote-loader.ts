import type { Hash } from '../protocol/bytes.ts'
import type { ToldVote } from './answers.ts'
import { refusalOf } from './errors.ts'
import type { Action, PageState } from './state.ts'

/** Calls at once: a browser opens six connections to a host, and one of them is the event stream. */
const PARALLEL = 4

export interface VoteLoaderParts {
  readonly state: () => PageState
  readonly dispatch: (action: Action) => void
  readonly votes: (blockHash: Hash) => Promise<readonly ToldVote[]>
}

/** Asks for the votes that were cast before the page listened, newest block first. */
export interface VoteLoader {
  /** Begins where votes are missing. After a failed call it waits for the next `run`. */
  run(): void
}

export function createVoteLoader({ state, dispatch, votes }: VoteLoaderParts): VoteLoader {
  const asked = new Set<Hash>()

  async function load(hash: Hash): Promise<void> {
    asked.add(hash)
    let loaded = false
    try {
      dispatch({ type: 'votes', hash, votes: await votes(hash) })
      loaded = true
    } catch (error) {
      // Of a block that lost its place before it was final a node may keep nothing: then there are no votes to come.
      if (refusalOf(error)?.code === 'unknown_block') dispatch({ type: 'votes', hash, votes: [] })
      // The connection's own retry says that the node is gone; the votes are asked for again after it.
    } finally {
      asked.delete(hash)
    }
    if (loaded) run()
  }

  function run(): void {
    const missing = [...state().blocks].reverse().filter((block) => !block.votesLoaded && !asked.has(block.hash))
    for (const { hash } of missing.slice(0, Math.max(0, PARALLEL - asked.size))) void load(hash)
  }

  return { run }
}

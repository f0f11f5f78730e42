import type { Hash } from '../protocol/bytes.ts'
import type { BlockAnswer } from './answers.ts'
import { refusalOf } from './errors.ts'
import type { Action, PageState } from './state.ts'

/** A phone must hold them: of older blocks beyond this many transactions the counts are shown alone. */
const MAX_TRANSACTIONS = 20_000
const PARALLEL = 2

export interface BodyLoaderParts {
  readonly state: () => PageState
  readonly dispatch: (action: Action) => void
  /** The token that was typed in; undefined without one. */
  readonly token: () => string | undefined
  readonly block: (blockHash: Hash, token: string) => Promise<BlockAnswer>
}

/** Asks for the transactions of the blocks that are held, the newest first, for who has a token. */
export interface BodyLoader {
  run(): void
}

export function createBodyLoader({ state, dispatch, token, block }: BodyLoaderParts): BodyLoader {
  const asked = new Set<Hash>()

  async function load(hash: Hash, credential: string): Promise<void> {
    asked.add(hash)
    let loaded = false
    try {
      const { transactions } = await block(hash, credential)
      if (token() !== credential) return
      if (state().access.kind !== 'open') dispatch({ type: 'access', access: { kind: 'open' } })
      dispatch({ type: 'body', hash, transactions })
      loaded = true
    } catch (error) {
      const reason = token() === credential ? refusal(error) : undefined
      if (reason !== undefined) dispatch({ type: 'access', access: { kind: 'refused', reason } })
    } finally {
      asked.delete(hash)
    }
    if (loaded) run()
  }

  function run(): void {
    const credential = token()
    const { access, blocks } = state()
    if (credential === undefined || access.kind === 'none' || access.kind === 'refused') return
    let room = MAX_TRANSACTIONS
    const wanted = [...blocks].reverse().filter(({ header, body, hash }) => {
      room -= header.tx_count
      return body === null && room >= 0 && !asked.has(hash)
    })
    for (const { hash } of wanted.slice(0, Math.max(0, PARALLEL - asked.size))) void load(hash, credential)
  }

  return { run }
}

/** Why a token opens nothing, for people; `undefined` for what says nothing about the token. */
export function refusal(error: unknown): string | undefined {
  const refused = refusalOf(error)
  if (refused?.status === 401) {
    return 'This is no token of this node. Tokens are in the tokens.json of its data folder; each node has its own.'
  }
  return refused?.status === 403 ? `This token opens other things, not trades: ${refused.detail}.` : undefined
}

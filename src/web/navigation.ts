import type { Api } from './api.ts'
import { checkHistory } from './checks.ts'
import { refusalOf } from './errors.ts'
import type { Action, BlockRecord, PageState } from './state.ts'

/** Blocks of an older stretch; the one that was asked for stands in the middle. */
const STRETCH = 50

export interface NavigationParts {
  readonly state: () => PageState
  readonly dispatch: (action: Action) => void
  readonly api: Pick<Api, 'headersFrom' | 'blockStatus' | 'historyInclusion'>
}

/** Shows any block of the chain, however old. */
export interface Navigation {
  /**
   * Shows a block by its height or hash. Gives back null, a sentence for people if it cannot be shown, or `no-block` for text that
   * names none.
   */
  open(text: string): Promise<string | null>
}

export const NO_BLOCK = 'no-block'

/** True for what is written as the number of a block is: `01` is none. */
export const isHeight = (text: string): boolean => /^(?:0|[1-9][0-9]{0,14})$/.test(text)

export function createNavigation({ state, dispatch, api }: NavigationParts): Navigation {
  const at = (height: number): BlockRecord | undefined =>
    state().blocks.find(({ header, status }) => header.height === height && status !== 'orphaned')
  const tipHeight = (): number => state().blocks[state().blocks.length - 1]?.header.height ?? -1

  async function openHeight(height: number, hash?: string): Promise<string | null> {
    if (height > tipHeight()) return NO_BLOCK
    if (at(height) === undefined) await loadAround(height)
    const found = state().blocks.find((block) => block.hash === hash) ?? at(height)
    if (found === undefined || (hash !== undefined && found.hash !== hash)) {
      return `Block ${height} is not on the chain any more: another one took its place.`
    }
    dispatch({ type: 'select', hash: found.hash })
    return null
  }

  async function loadAround(height: number): Promise<void> {
    const from = Math.max(0, Math.min(height - STRETCH / 2, tipHeight() - STRETCH + 1))
    const { headers } = await api.headersFrom(from, STRETCH)
    dispatch({ type: 'older', headers })
    await join()
  }

  /** Proves that the stretch is in the history of the newest block. */
  async function join(): Promise<void> {
    const { older, blocks } = state()
    const tip = blocks[blocks.length - 1]
    const last = older === null ? undefined : at(older.to)
    if (older === null || tip === undefined || last === undefined || last.hash === tip.hash) return
    const { height } = last.header
    const proof = await api.historyInclusion(height, tip.header.height)
    const check = checkHistory({ height, hash: last.hash }, tip.header, proof)
    dispatch({ type: 'joined', to: older.to, check })
  }

  async function openHash(hash: string): Promise<string | null> {
    const held = state().blocks.find((block) => block.hash === hash)
    if (held !== undefined) {
      dispatch({ type: 'select', hash })
      return null
    }
    try {
      const { height } = await api.blockStatus(hash)
      return await openHeight(height, hash)
    } catch (error) {
      if (refusalOf(error)?.code === 'unknown_block') return NO_BLOCK
      throw error
    }
  }

  return {
    async open(text) {
      const wanted = text.trim().toLowerCase()
      try {
        if (isHeight(wanted)) return await openHeight(Number(wanted))
        return /^[0-9a-f]{64}$/.test(wanted) ? await openHash(wanted) : NO_BLOCK
      } catch (error) {
        return refusalOf(error) === undefined
          ? 'The node does not answer; try again when the page is live.'
          : `The node could not say: ${error instanceof Error ? error.message : String(error)}`
      }
    },
  }
}

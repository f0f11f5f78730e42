import { chainIdOf, decodeGenesis, type Genesis } from '../protocol/genesis.ts'
import type { NodeInfo } from './answers.ts'
import { createApi } from './api.ts'
import { h } from './dom.ts'
import { startSession } from './session.ts'
import { createMemory } from './trust.ts'

/** Entry of the page: waits for the node, then follows it for as long as the page is open. */
const RETRY_MS = 2_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

interface Start {
  readonly genesis: Genesis
  readonly node: NodeInfo
  /** What the node says the chain id is. */
  readonly claimed: string
}

async function main(root: HTMLElement): Promise<void> {
  const api = createApi((input, init) => fetch(input, init))
  const start = await untilAnswered(root, async (): Promise<Start> => {
    const [{ genesis, chain_id: claimed }, node] = await Promise.all([api.genesis(), api.node()])
    return { genesis: decodeGenesis(genesis), node, claimed }
  })
  const chainId = chainIdOf(start.genesis)
  if (chainId !== start.claimed) {
    showMessage(root, 'This node contradicts itself', `It names the chain ${start.claimed}, its genesis is ${chainId}.`)
    return
  }
  startSession(root, {
    api,
    genesis: start.genesis,
    chainId,
    node: start.node,
    memory: createMemory(() => localStorage),
  })
}

/** Asks again until the node answers, and says so meanwhile. */
async function untilAnswered<T>(root: HTMLElement, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      showMessage(root, 'The node does not answer', `Trying again by itself. ${reason}`)
      await pause(RETRY_MS)
    }
  }
}

function showMessage(root: HTMLElement, title: string, detail: string): void {
  root.replaceChildren(h('main', { class: 'message', role: 'status' }, h('h1', {}, title), h('p', {}, detail)))
}

const root = document.getElementById('page')
if (root !== null) void main(root)

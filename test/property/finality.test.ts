import assert from 'node:assert/strict'
import { mayAck, newFinalHeight, type BlockPoint, type ChainView } from '../../src/protocol/finality.ts'
import type { Genesis } from '../../src/protocol/genesis.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import { Registry } from '../../src/protocol/registry.ts'

/**
 * A random adversary against the rules of docs/protocol.md 5, policy `validators`: an authority with two faces builds a
 * tree of blocks, some of which change the validators; faulty validators ack everything; honest ones ask `mayAck`, and hear
 * of final blocks or do not. After every step `newFinalHeight` judges every branch with all acks there are. No two final
 * blocks may conflict, no final block may be lost, no honest validator may make evidence against itself. Each rule is
 * also left out, to show that the search finds what the rule prevents.
 */
type Rule = 'extend' | 'change' | 'allow' | 'once'

interface Block extends BlockPoint {
  readonly parent: Block | null
  readonly validatorsAfter: readonly number[]
  readonly thresholdAfter: number
  readonly registryAfter: Registry
  readonly isGuarded: boolean
  /** The lowest block up to this one with a change that no operator allowed. */
  readonly unallowed: BlockPoint | null
  readonly acks: Set<number>
}

/** Mulberry32: a small generator whose runs can be told by their seed. */
function randomOf(seed: number) {
  let state = seed >>> 0
  const real = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(real() * limit)
  return { real, below, pick: <T>(items: readonly T[]): T => items[below(items.length)]! }
}

const registries = new Map<string, Registry>()

/** A registry with these validators; remembered, since the same sets come again and again. */
function registryOf(validators: readonly number[], threshold: number): Registry {
  const name = `${threshold} of ${validators.join()}`
  const entry = (id: string, role: 'authority' | 'validator') => ({
    id,
    role,
    public_key: sha256Hex(id),
    recovery_key: null,
  })
  const genesis: Genesis = {
    version: 1,
    name: 'Model',
    origin: 'model.example',
    created_at: 0,
    currency: 'EUR',
    amount_decimals: 2,
    seal: 'authority',
    difficulty: 0,
    finality: { policy: 'validators', threshold },
    registry: [entry('authority', 'authority'), ...validators.map((id) => entry(String(id), 'validator'))],
  }
  const registry = registries.get(name) ?? Registry.fromGenesis(genesis)
  registries.set(name, registry)
  return registry
}

/** From `block` down to height 0. */
function* branchOf(block: Block | null): Generator<Block> {
  for (let at = block; at !== null && at.height >= 0; at = at.parent) yield at
}

const hashAt = (blocks: ReadonlyMap<string, Block>) => (point: BlockPoint, height: number) => {
  for (const block of branchOf(blocks.get(point.hash) ?? null)) if (block.height === height) return block.hash
  return undefined
}

/** Where the way down from `block` meets a branch, which is given from height 0 up. */
function commonHeight(block: Block, branch: readonly Block[]): number {
  for (const at of branchOf(block)) if (branch[at.height] === at) return at.height
  return -1
}

/** The chain up to `tip`; an ack of another branch counts up to where that branch leaves this one. */
function viewOf(tip: Block, blocks: Iterable<Block>, dropped?: Rule): ChainView & { ackHeights: Map<string, number> } {
  const branch = [...branchOf(tip)].reverse()
  const ackHeights = new Map<string, number>()
  for (const block of blocks) {
    if (block.acks.size === 0) continue
    const height = commonHeight(block, branch)
    for (const id of block.acks) {
      const key = sha256Hex(String(id))
      ackHeights.set(key, Math.max(ackHeights.get(key) ?? -1, height))
    }
  }
  return {
    finalHeight: -1,
    tipHeight: tip.height,
    registryBefore: (height) => branch[height]!.parent!.registryAfter,
    isGuarded: (height) => dropped !== 'change' && branch[height]!.isGuarded,
    ackHeights,
  }
}

interface Setting {
  readonly validators: number
  readonly threshold: number
  readonly faulty: number
}

/** Plays one seed; answers what went wrong, or `undefined`. */
function play(
  seed: number,
  { validators, threshold, faulty }: Setting,
  dropped?: Rule,
  steps = 120,
): string | undefined {
  const random = randomOf(seed)
  const ids = Array.from({ length: validators }, (_, i) => i)
  const traitors = new Set(ids.slice(0, faulty))
  let nextSybil = 100
  const genesis: Block = {
    hash: 'genesis',
    height: -1,
    parent: null,
    validatorsAfter: ids,
    thresholdAfter: threshold,
    registryAfter: registryOf(ids, threshold),
    isGuarded: false,
    unallowed: null,
    acks: new Set(),
  }
  const blocks = new Map<string, Block>()
  const lastAcks = new Map<number, Block>()
  /** The final block of each height that anybody could know. */
  let finals: Block[] = []

  function build(): void {
    const all = [...blocks.values()]
    const highest = Math.max(-1, ...all.map(({ height }) => height))
    const parent =
      all.length === 0 || random.real() < 0.4
        ? random.pick([genesis, ...all])
        : random.pick(all.filter(({ height }) => height === highest))
    let { validatorsAfter, thresholdAfter } = parent
    let isAllowed = true
    const isGuarded = random.real() < 0.25
    if (isGuarded && random.real() < 0.5) {
      // Hostile: validators of the authority's own take over.
      const count = random.pick([3, 4])
      validatorsAfter = Array.from({ length: count }, () => nextSybil++)
      for (const sybil of validatorsAfter) traitors.add(sybil)
      thresholdAfter = Math.floor(count / 2) + 1
      isAllowed = false
    } else if (isGuarded) {
      // Honest: the threshold stays safe for the same faults.
      const bad = validatorsAfter.filter((id) => traitors.has(id)).length
      const safe = validatorsAfter.map((_, i) => i + 1).filter((m) => 2 * m > validatorsAfter.length + bad)
      thresholdAfter = safe.length === 0 ? thresholdAfter : random.pick(safe)
    }
    const point = { hash: `block ${blocks.size}`, height: parent.height + 1 }
    blocks.set(point.hash, {
      ...point,
      parent,
      validatorsAfter,
      thresholdAfter,
      registryAfter: registryOf(validatorsAfter, thresholdAfter),
      isGuarded,
      unallowed: parent.unallowed ?? (isAllowed ? null : point),
      acks: new Set(),
    })
  }

  function deliver(block: Block): void {
    for (const id of block.parent!.validatorsAfter) {
      if (traitors.has(id)) block.acks.add(id)
      else if (random.real() < 0.5) askHonest(id, block)
    }
  }

  function askHonest(id: number, block: Block): void {
    const acked = [...blocks.values()].find(({ height, acks }) => height === block.height && acks.has(id))
    const verdict = mayAck({
      header: block,
      lastAck: dropped === 'extend' ? null : (lastAcks.get(id) ?? null),
      ackedAtHeight: dropped === 'once' ? null : (acked?.hash ?? null),
      lastFinal: random.real() < 0.5 ? (finals.at(-1) ?? null) : null,
      unallowedChange: dropped === 'allow' ? null : block.unallowed,
      hashAt: hashAt(blocks),
    })
    if (!verdict.ok) return
    block.acks.add(id)
    lastAcks.set(id, block)
  }

  /** Judges every branch; answers what is wrong with the final blocks. */
  function judge(): string | undefined {
    const parents = new Set([...blocks.values()].map(({ parent }) => parent))
    const tips = [...blocks.values()].filter((block) => !parents.has(block))
    const probed = random.pick(tips)
    const found = new Map<number, Block>()
    for (const tip of tips) {
      const branch = [...branchOf(tip)].reverse()
      const view = viewOf(tip, blocks.values(), dropped)
      const height = newFinalHeight(view)
      const odd = tip === probed ? probe(view, branch, height) : undefined
      if (odd !== undefined) return odd
      for (const block of branch.slice(0, height + 1)) {
        if ((found.get(block.height) ?? block) !== block) return `conflict at height ${block.height}`
        found.set(block.height, block)
      }
    }
    const lost = finals.find((block) => found.get(block.height) !== block)
    if (lost !== undefined) return `final block ${lost.hash} is lost`
    finals = [...found.values()].sort((a, b) => a.height - b.height)
    return finals.some((block, i) => i > 0 && block.parent !== finals[i - 1]) ? 'conflict of two branches' : undefined
  }

  function probe(view: ReturnType<typeof viewOf>, branch: readonly Block[], height: number): string | undefined {
    // A block may be final by acks of another branch alone: a node starts from what it knows to be final.
    const known = branch.findLastIndex((block) => finals[block.height] === block)
    if (newFinalHeight({ ...view, finalHeight: known }) !== Math.max(known, height)) return 'the start matters'
    const fewer = new Map([...view.ackHeights].filter(() => random.real() < 0.8))
    return newFinalHeight({ ...view, ackHeights: fewer }) > height ? 'fewer acks made more final' : undefined
  }

  function ownEvidence(): string | undefined {
    for (const id of ids) {
      const heights = [...blocks.values()].filter(({ acks }) => acks.has(id)).map(({ height }) => height)
      if (!traitors.has(id) && new Set(heights).size < heights.length) return `honest ${id} acked twice at one height`
    }
    return undefined
  }

  for (let step = 0; step < steps; step++) {
    if (blocks.size === 0 || random.real() < 0.5) {
      build()
      continue
    }
    deliver(random.pick([...blocks.values()]))
    const wrong = judge() ?? ownEvidence()
    if (wrong !== undefined) return wrong
  }
  return finals.length === 0 ? IDLE : undefined
}

/** All with 2m > n + f. */
const SETTINGS: readonly Setting[] = [
  { validators: 4, threshold: 3, faulty: 1 },
  { validators: 5, threshold: 4, faulty: 2 },
  { validators: 3, threshold: 2, faulty: 0 },
  { validators: 7, threshold: 5, faulty: 2 },
  { validators: 4, threshold: 4, faulty: 1 },
]
const SEEDS = 16
const IDLE = 'nothing final'

/** Plays seeds of all settings, one after the other; names each run with its outcome. */
function* search(settings: readonly Setting[], dropped?: Rule) {
  for (let i = 0; i < SEEDS; i++) {
    for (const setting of settings) {
      const seed = i * 31 + setting.validators
      yield { run: `${JSON.stringify(setting)} seed ${seed}`, outcome: play(seed, setting, dropped) }
    }
  }
}

/** The first outcome that matches. */
function firstOutcome(expected: RegExp, settings: readonly Setting[], dropped?: Rule): string | undefined {
  for (const { outcome } of search(settings, dropped)) if (expected.test(outcome ?? '')) return outcome
  return undefined
}

describe('finality under a random adversary', () => {
  it('never has two conflicting final blocks, never loses one, and leaves the honest without evidence', () => {
    const runs = [...search(SETTINGS)]
    assert.deepEqual(
      runs.filter(({ outcome }) => outcome !== undefined && outcome !== IDLE),
      [],
    )
    const idle = runs.filter(({ outcome }) => outcome === IDLE).length
    assert.ok(idle < runs.length / 4, `nothing became final in ${idle} of ${runs.length} runs: the search is idle`)
  })

  const counterexamples: readonly (readonly [rule: Rule, without: string, expected: RegExp])[] = [
    ['extend', 'acks that need not extend earlier ones', /conflict/],
    ['change', 'set changes that need no quorum of their own', /conflict/],
    ['allow', 'acks of changes that no operator allowed', /conflict/],
    ['once', 'more than one ack a height', /acked twice/],
  ]
  for (const [rule, without, expected] of counterexamples) {
    it(`finds a counterexample with ${without}`, () => {
      assert.match(firstOutcome(expected, SETTINGS, rule) ?? 'none', expected)
    })
  }

  it('finds a counterexample with more faulty validators than 2m > n + f allows', () => {
    const outcome = firstOutcome(/conflict/, [{ validators: 4, threshold: 3, faulty: 2 }])
    assert.match(outcome ?? 'none', /conflict/)
  })
})

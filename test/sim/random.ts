/** A source of chance that is the same for the same seed. */
export interface Random {
  /** In [0, 1). */
  real(): number
  /** An integer in [0, limit). */
  below(limit: number): number
  /** An integer in [from, to]. */
  between(from: number, to: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  /** Each item with this probability. */
  some<T>(items: readonly T[], probability: number): T[]
  shuffle<T>(items: readonly T[]): T[]
  bytes(length: number): Uint8Array
}

/** Mulberry32: a small generator whose runs can be told by their seed. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const real = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(real() * limit)
  return {
    real,
    below,
    between: (from, to) => from + below(to - from + 1),
    chance: (probability) => real() < probability,
    pick(items) {
      const item = items[below(items.length)]
      if (item === undefined) throw new Error('nothing to pick from')
      return item
    },
    some: (items, probability) => items.filter(() => real() < probability),
    shuffle(items) {
      const rest = [...items]
      const mixed: typeof rest = []
      while (rest.length > 0) mixed.push(...rest.splice(below(rest.length), 1))
      return mixed
    },
    bytes: (length) => Uint8Array.from({ length }, () => below(256)),
  }
}

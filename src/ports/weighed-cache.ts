/** Values that were asked for last, up to a weight. */
export class WeighedCache<Key, Value> {
  readonly #kept = new Map<Key, { readonly value: Value; readonly weight: number }>()
  readonly #limit: number
  #weight = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: Key): Value | undefined {
    const known = this.#kept.get(key)
    if (known === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, known)
    return known.value
  }

  /** What is known already stays; what is heavier than all that may be kept is not kept. */
  put(key: Key, value: Value, weight: number): void {
    if (this.#kept.has(key)) return
    this.#kept.set(key, { value, weight })
    this.#weight += weight
    for (const [oldest, { weight: dropped }] of this.#kept) {
      if (this.#weight <= this.#limit) break
      this.#kept.delete(oldest)
      this.#weight -= dropped
    }
  }

  clear(): void {
    this.#kept.clear()
    this.#weight = 0
  }
}

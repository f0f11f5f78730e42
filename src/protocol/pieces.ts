/**
 * Work that can be done piece by piece: where it yields, a process with one thread may serve somebody else first. The rule is
 * written once, and whoever has little to do does it at once; the outcome is the same either way.
 */
export type Pieces<T> = Generator<undefined, T, undefined>

/** Items of one piece: some milliseconds of the dearest that is done for each transaction of a block. */
export const ITEMS_OF_PIECE = 1_000

/** True after the last item of a piece. */
export const endsPiece = (index: number): boolean => index % ITEMS_OF_PIECE === ITEMS_OF_PIECE - 1

/** Does all of it without a pause. */
export function atOnce<T>(work: Pieces<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}

/** `items.map(map)`. */
export function* mapInPieces<Item, Mapped>(
  items: readonly Item[],
  map: (item: Item, index: number) => Mapped,
): Pieces<Mapped[]> {
  const mapped: Mapped[] = []
  for (const [index, item] of items.entries()) {
    mapped.push(map(item, index))
    if (endsPiece(index)) yield
  }
  return mapped
}

/** `items.toSorted(compare)`: sorted piece by piece, then merged two by two. */
export function* sortInPieces<Item>(
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
): Pieces<readonly Item[]> {
  let runs: Item[][] = []
  for (let start = 0; start < items.length; start += ITEMS_OF_PIECE) {
    if (start > 0) yield
    runs.push(items.slice(start, start + ITEMS_OF_PIECE).sort(compare))
  }
  while (runs.length > 1) {
    const merged: Item[][] = []
    for (let at = 0; at < runs.length; at += 2) {
      merged.push(yield* mergeInPieces(runs[at] ?? [], runs[at + 1] ?? [], compare))
    }
    runs = merged
  }
  return runs[0] ?? []
}

function* mergeInPieces<Item>(
  left: readonly Item[],
  right: readonly Item[],
  compare: (a: Item, b: Item) => number,
): Pieces<Item[]> {
  const merged: Item[] = []
  let next = 0
  for (const item of left) {
    for (let other = right[next]; other !== undefined && compare(other, item) < 0; other = right[++next]) {
      merged.push(other)
      if (endsPiece(merged.length)) yield
    }
    merged.push(item)
    if (endsPiece(merged.length)) yield
  }
  // One by one: spread, the rest of a long run would be arguments on the stack.
  for (const other of right.slice(next)) merged.push(other)
  return merged
}

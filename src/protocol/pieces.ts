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

/** Values of one `in (...)` list: far below the 32,766 parameters of SQLite and the 65,535 of PostgreSQL. */
export const IN_LIST = 1_000

/** Splits `items` into parts of at most `size`, in order. */
export function* chunks<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}

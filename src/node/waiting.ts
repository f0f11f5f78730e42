/** What takes longer than this is worth a line; most of what is waited for comes at once. */
const PATIENCE_MS = 5_000

/**
 * Says once, unless it is called off before, that something is still waited for: nobody should take a wait for a program that hangs.
 *
 * @param what is waited for, for people
 * @returns calls it off
 */
export function sayIfLong(what: string, say: (line: string) => void): () => void {
  const timer = setTimeout(() => say(`still waiting for ${what}`), PATIENCE_MS)
  return () => clearTimeout(timer)
}

/** Does `work`, as `sayIfLong`. */
export async function withPatience<T>(what: string, say: (line: string) => void, work: () => Promise<T>): Promise<T> {
  const callOff = sayIfLong(what, say)
  try {
    return await work()
  } finally {
    callOff()
  }
}

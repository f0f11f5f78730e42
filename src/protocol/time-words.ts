/** The last time that a Date can hold, Unix milliseconds. */
const MAX_DATE_MS = 8.64e15

/** Unix milliseconds, as programs compare them, with the same time as people read it. */
export const timeWords = (ms: number): string =>
  Math.abs(ms) <= MAX_DATE_MS ? `${ms} (${new Date(ms).toISOString()})` : String(ms)

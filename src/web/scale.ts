const MAX_BAR = 26
const GAP = 0.28

/** The end of a vertical axis that begins at 0: 1, 2, 4, 6, 10 or such times a power of ten, and at least 2. */
export function niceMaximum(value: number): number {
  if (value <= 2) return 2
  const power = 10 ** Math.floor(Math.log10(value))
  for (const step of [1, 2, 4, 6, 10]) {
    if (step * power >= value) return step * power
  }
  return 10 * power
}

/** Where `count` bars stand on `width` pixels: new ones come in at the right, few ones do not grow into slabs. */
export function barSlots(
  count: number,
  width: number,
): { readonly start: number; readonly step: number; readonly width: number } {
  const step = Math.min(width / Math.max(1, count), MAX_BAR / (1 - GAP))
  const bar = step * (1 - GAP)
  return { start: width - count * step + (step - bar) / 2, step, width: bar }
}

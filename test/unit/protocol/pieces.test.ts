import assert from 'node:assert/strict'
import { atOnce, ITEMS_OF_PIECE, mapInPieces, sortInPieces, type Pieces } from '../../../src/protocol/pieces.ts'

/** How often work yields. */
function pausesOf(work: Pieces<unknown>): number {
  let pauses = 0
  while (work.next().done !== true) pauses++
  return pauses
}

const SIZES = [0, 1, 2, ITEMS_OF_PIECE - 1, ITEMS_OF_PIECE, ITEMS_OF_PIECE + 1, 3 * ITEMS_OF_PIECE + 7]
/** Numbers of which many are equal by `byTens`, in no order. */
const itemsOf = (size: number): number[] => Array.from({ length: size }, (_, index) => (index * 7919) % size)
const byTens = (a: number, b: number): number => Math.floor(a / 10) - Math.floor(b / 10)

describe('work in pieces', () => {
  for (const size of SIZES) {
    it(`sorts ${size} items as Array.prototype.toSorted does, equal ones in the order in which they came`, () => {
      const items = itemsOf(size)
      assert.deepEqual(atOnce(sortInPieces(items, byTens)), items.toSorted(byTens))
      assert.deepEqual(items, itemsOf(size))
    })
  }

  it('has no pause where there is no more than one piece, and several where there is more', () => {
    assert.equal(pausesOf(sortInPieces(itemsOf(ITEMS_OF_PIECE), byTens)), 0)
    assert.equal(pausesOf(mapInPieces(itemsOf(ITEMS_OF_PIECE - 1), String)), 0)
    assert.ok(pausesOf(sortInPieces(itemsOf(4 * ITEMS_OF_PIECE), byTens)) > 3)
    assert.equal(pausesOf(mapInPieces(itemsOf(4 * ITEMS_OF_PIECE + 1), String)), 4)
  })
})

import { Readable } from 'node:stream'
import { nextTurn } from '../ports/turns.ts'
import { ITEMS_OF_PIECE } from '../protocol/pieces.ts'
import { isJsonObject } from '../protocol/shape.ts'

/**
 * The JSON of an answer: text, or a stream where an array of it has so many items that writing them all at once would keep
 * others waiting. The stream is read as fast as the client takes it.
 */
export function jsonOf(body: unknown): string | Readable {
  return isJsonObject(body) && Object.values(body).some(isLong) ? Readable.from(textParts(body)) : JSON.stringify(body)
}

const isLong = (value: unknown): value is readonly unknown[] => Array.isArray(value) && value.length > ITEMS_OF_PIECE

/** The same text as `JSON.stringify` gives, the items of long arrays some at a time. */
async function* textParts(body: Readonly<Record<string, unknown>>): AsyncGenerator<string> {
  let before = '{'
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined) continue
    yield `${before}${JSON.stringify(name)}:`
    if (isLong(value)) yield* itemParts(value)
    else yield JSON.stringify(value)
    before = ','
  }
  yield '}'
}

async function* itemParts(items: readonly unknown[]): AsyncGenerator<string> {
  for (let start = 0; start < items.length; start += ITEMS_OF_PIECE) {
    // A client that takes them fast would have them all in one turn of the event loop.
    await nextTurn()
    const text = JSON.stringify(items.slice(start, start + ITEMS_OF_PIECE))
    yield `${start === 0 ? '[' : ','}${text.slice(1, -1)}`
  }
  yield ']'
}

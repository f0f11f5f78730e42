import assert from 'node:assert/strict'
import { readCorpus } from './corpus.ts'
import { openDecoders } from './decoders.ts'
import { shapes } from './decoders/protocol.ts'
import { fuzz } from './fuzz.ts'

/** A look, each time another one; `npm run fuzz` searches. */
const INPUTS = 120

describe('what reads what others wrote', () => {
  let opened: Awaited<ReturnType<typeof openDecoders>>
  before(async () => {
    opened = await openDecoders()
  })
  after(() => opened.close())

  it('has a real example and a corpus for each decoder, and a name of its own', () => {
    const names = opened.decoders.map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
    assert.ok(shapes.length > 50)
    for (const decoder of opened.decoders) {
      assert.ok(decoder.seeds.length > 0, `${decoder.name} has no example: the search would be idle`)
      assert.ok(readCorpus(decoder).length > 0, `${decoder.name} has no corpus: npm run fuzz -- --update`)
    }
  })

  it('refuses by an error of its own, within 50 ms, the corpus and new inputs', async () => {
    for (const decoder of opened.decoders) {
      const seed = Math.floor(Math.random() * 1_000_000)
      await fuzz(decoder, Math.ceil(INPUTS / decoder.cost), seed, readCorpus(decoder))
    }
  })
})

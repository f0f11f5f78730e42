import assert from 'node:assert/strict'
import { ancestorsOf } from '../../../src/engine/ancestors.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { SealedHeader } from '../../../src/protocol/header.ts'
import { headersParams } from '../../../src/protocol/messages.ts'
import { createStreet, type Branch } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'

const base = createStreet().start.grow('t0', 't1')
const chain = base.grow(...Array.from({ length: 6 }, (_, n) => `a${n}`))
const other = base.grow(...Array.from({ length: 6 }, (_, n) => `b${n}`))

describe('the headers below one', () => {
  let peers: Peers
  beforeEach(() => (peers = createPeers()))

  const sealed = ({ blocks }: Branch, height: number): SealedHeader => {
    const { header, signature } = blocks[height]!
    return { header, signature }
  }
  function addPeer(name: string, branch: Branch): void {
    peers.of(name).serve('headers', (params) => {
      const { from_height, count } = headersParams(params, 'headers')
      const blocks = branch.blocks.slice(from_height, from_height + count)
      return Promise.resolve({ headers: blocks.map(({ header, signature }) => ({ header, signature })) })
    })
    peers.connect('me', name)
  }
  async function below(top: number, above: number, held: readonly SealedHeader[] = []): Promise<SealedHeader[]> {
    const found: SealedHeader[] = []
    for await (const one of ancestorsOf(sealed(chain, top), above, held, peers.of('me'))) found.push(one)
    return found
  }
  const of = (...heights: number[]) => heights.map((height) => sealed(chain, height))

  it('are those that are held, and the others from a peer', async () => {
    addPeer('one', chain)
    assert.deepEqual(await below(7, 2, of(5, 6)), of(6, 5, 4, 3))
    assert.deepEqual(
      peers.asked.map(({ params }) => params),
      [{ from_height: 3, count: 2 }],
    )
    assert.deepEqual(await below(7, -1), of(6, 5, 4, 3, 2, 1, 0))
    assert.deepEqual(await below(7, 7), [])
  })

  it('are those that the links lead to: a peer on another branch is passed over', async () => {
    addPeer('other', other)
    addPeer('one', chain)
    assert.deepEqual(await below(7, 3), of(6, 5, 4))
  })

  it('are not made up where nobody shows them', async () => {
    addPeer('other', other)
    await assert.rejects(below(7, 3), (error) => isSolarError(error, 'not_ready'))
    assert.deepEqual(await below(7, 4, of(5, 6)), of(6, 5))
  })
})

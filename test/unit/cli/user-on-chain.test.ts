import assert from 'node:assert/strict'
import type { HttpAnswer } from '../../../src/cli/replay/http-client.ts'
import { usersOnChain } from '../../../src/cli/user-on-chain.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'

/** An authority that answers so, and what it was asked. */
function authorityThat(answer: (path: string) => HttpAnswer) {
  const asked: string[] = []
  const get = (path: string): Promise<HttpAnswer> => {
    asked.push(path)
    return Promise.resolve(answer(path))
  }
  return { asked, nameOf: usersOnChain({ get }) }
}

describe('what the chain calls a user', () => {
  it('is asked once of each user of a pseudonymous ledger', async () => {
    const { asked, nameOf } = authorityThat((path) => ({ status: 200, body: { pseudonym: `u-${path.length}` } }))
    assert.deepEqual([await nameOf('ann'), await nameOf('ann'), await nameOf('b:en')], ['u-19', 'u-19', 'u-22'])
    assert.deepEqual(asked, ['users/ann/pseudonym', 'users/b%3Aen/pseudonym'])
  })

  it('is what the platform calls it on a plain ledger, and where one may not ask', async () => {
    for (const answer of [
      { status: 200, body: { pseudonym: null } },
      { status: 403, body: { code: 'forbidden' } },
      { status: 404, body: { code: 'not_found' } },
    ]) {
      const { asked, nameOf } = authorityThat(() => answer)
      assert.deepEqual([await nameOf('ann'), await nameOf('ben')], ['ann', 'ben'])
      assert.equal(asked.length, 1)
    }
  })

  it('is never guessed: where the answer is another one nothing is written of anybody', async () => {
    for (const answer of [
      { status: 503, body: { code: 'store_failed', detail: 'sql failed' } },
      { status: 422, body: { code: 'refused_row', detail: 'kept for pseudonyms' } },
      { status: 200, body: {} },
      { status: 200, body: 'a page' },
    ]) {
      const { nameOf } = authorityThat(() => answer)
      await assert.rejects(nameOf('ann'), (error) => isSolarError(error, 'refused') && error.message.includes('ann'))
    }
  })
})

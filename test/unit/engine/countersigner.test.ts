import assert from 'node:assert/strict'
import { countersignedByOwn } from '../../../src/engine/countersigner.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { SigningKey } from '../../../src/protocol/signature.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'

const street = createStreet({ voters: ['ann'], recoverable: true })
const recovery = street.change('back', namedKey('ann recovery'), {
  action: 'recover',
  subject_id: 'ann',
  public_key: namedKey('ann 2').publicKey,
})

describe('the word of an authority on the recovery of a household', () => {
  const chain = { chainId: street.chainId, registry: street.start.state.registries[0].registry }
  const by = (sign: SigningKey['sign']) =>
    countersignedByOwn(recovery, {
      chain,
      minerId: 'authority',
      keyOf: () => Promise.resolve({ publicKey: namedKey('authority').publicKey, sign }),
    })

  it('is its signature', async () => {
    const signed = await by((message) => namedKey('authority').sign(message))
    assert.ok(signed.action === 'recover')
    assert.equal(signed.countersigner_id, 'authority')
    assert.match(signed.countersignature ?? '', /^[0-9a-f]{128}$/)
  })

  it('is left to its operator where the signer gives none, and waited for where that is gone', async () => {
    const refusal = ledgerError('signer_refused', { signer: 'unix:/s', code: 'forbidden', reason: 'no countersign' })
    assert.equal(await by(() => Promise.reject(refusal)), recovery)
    const gone = ledgerError('not_ready', { reason: 'the signer does not answer' })
    await assert.rejects(
      by(() => Promise.reject(gone)),
      { code: 'not_ready' },
    )
  })
})

import assert from 'node:assert/strict'
import { signCheckpoint } from '../../../src/protocol/checkpoint.ts'
import { sealHeader } from '../../../src/protocol/header.ts'
import { signMembership } from '../../../src/protocol/membership.ts'
import { cosignNote, formatNote } from '../../../src/protocol/note.ts'
import { countersign, signRegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import { signRequest } from '../../../src/protocol/request.ts'
import { signVote } from '../../../src/protocol/vote.ts'
import { createStreet } from '../../helpers/branches.ts'
import * as now from '../../helpers/sign-now.ts'

const CHAIN = 'ab'.repeat(32)
const key = now.signingKeyFromSecret(new Uint8Array(32).fill(5))

describe('what tests sign at once', () => {
  it('is what the protocol signs', async () => {
    const { header } = createStreet().start.grow('t1').blocks[0]!
    assert.deepEqual(await sealHeader(header, key), now.sealHeader(header, key))

    const vote = { chain_id: CHAIN, header_hash: CHAIN, height: 3, voter_id: 'ann', decision: 'ack' } as const
    assert.deepEqual(await signVote(vote, key), now.signVote(vote, key))

    const member = { chain_id: CHAIN, voter_id: 'ann', user_id: 'home', issued_at: 1, expires_at: 2, issuer: 'town' }
    assert.deepEqual(await signMembership(member, key), now.signMembership(member, key))

    const request = { method: 'GET', path: '/node', timestamp: 1, id: 'ab'.repeat(16), to: 'http://a.example' } as const
    assert.deepEqual(await signRequest('ann', CHAIN, request, key), now.signRequest('ann', CHAIN, request, key))

    const enrol = { kind: 'registry', id: 'enrol-1', action: 'enrol', subject_id: 'v1', role: 'validator' } as const
    const change = { ...enrol, public_key: key.publicKey, timestamp: 1, nonce: 'ab'.repeat(16) }
    const posted = now.signRegistryTransaction(change, CHAIN, key)
    assert.deepEqual(await signRegistryTransaction(change, CHAIN, key), posted)
    assert.ok(posted.action === 'enrol')
    assert.deepEqual(await countersign(posted, 'town', CHAIN, key), now.countersign(posted, 'town', CHAIN, key))

    const tree = { origin: 'ledger.example.org/street', size: 4, root: CHAIN }
    const note = now.signCheckpoint(tree, key)
    assert.equal(formatNote(await signCheckpoint(tree, key)), formatNote(note))
    assert.deepEqual(await cosignNote(note.text, 'w', 9, key), now.cosignNote(note.text, 'w', 9, key))
  })
})

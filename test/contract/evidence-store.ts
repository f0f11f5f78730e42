import { strict as assert } from 'node:assert'
import type { EvidenceStore } from '../../src/ports/finality-store.ts'
import { makeDoubleSeal, makeDoubleVote, type Evidence, type SignerProof } from '../../src/protocol/evidence.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import type { Role } from '../../src/protocol/genesis.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import { sealed, vote } from './fixtures.ts'

function proof(id: string, role: Role, withHeader = false): SignerProof {
  const entry = { slot: 2, id, role, public_key: sha256Hex(id), recovery_key: null } as const
  return {
    entry: { ...entry, status: 'active', since_height: 0 },
    registry_proof: withHeader ? { leaf_index: 3, tree_size: 4, path: [sha256Hex('left'), sha256Hex('right')] } : null,
    header: withHeader ? sealed(3) : null,
  }
}

const seals = (height: number, other = 'other', withHeader = false): Evidence =>
  makeDoubleSeal(sealed(height), sealed(height, [], other), proof('authority-1', 'authority', withHeader))
const votes = (height: number, voter = 'v1', other = 'b'): Evidence =>
  makeDoubleVote(vote(sha256Hex('a'), height, voter), vote(sha256Hex(other), height, voter), proof(voter, 'validator'))

/** What every implementation of `EvidenceStore` must do. `open` gives a new, empty store each time. */
export function evidenceStoreContract(name: string, open: () => Promise<OpenedStore<EvidenceStore>>): void {
  describe(`evidence store contract: ${name}`, () => {
    let opened: OpenedStore<EvidenceStore>
    let store: EvidenceStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    it('has none at first', async () => {
      assert.deepEqual(await store.evidence(10), [])
    })

    it('gives it back exactly, the newest first and no more than asked for, also after reopening', async () => {
      const pieces = [seals(4, 'x', true), votes(4), seals(0), votes(Number.MAX_SAFE_INTEGER, 'house:1@+')]
      for (const piece of pieces) assert.equal(await store.putEvidence(piece), 'stored')
      for (const reopen of [false, true]) {
        const current = reopen ? await opened.reopen() : store
        assert.deepEqual(await current.evidence(10), pieces.toReversed())
        assert.deepEqual(await current.evidence(2), pieces.toReversed().slice(0, 2))
      }
    })

    it('keeps the first of each kind, height and signer', async () => {
      const first = [seals(4), votes(4), votes(5), votes(4, 'v2'), votes(4, 'v')]
      for (const piece of first) assert.equal(await store.putEvidence(piece), 'stored')
      store = await opened.reopen()
      for (const again of [seals(4), seals(4, 'third'), seals(4, 'x', true), votes(4, 'v1', 'c')]) {
        assert.equal(await store.putEvidence(again), 'known')
      }
      assert.deepEqual(await store.evidence(10), first.toReversed())
      assert.equal(await store.putEvidence(seals(6)), 'stored')
      assert.deepEqual(await store.evidence(1), [seals(6)])
    })

    it('that is put several times at once is stored once', async () => {
      const outcomes = await Promise.all([1, 2, 3, 4].map(() => store.putEvidence(seals(4))))
      assert.deepEqual(outcomes.toSorted(), ['known', 'known', 'known', 'stored'])
      const more = await Promise.all(Array.from({ length: 20 }, (_, height) => store.putEvidence(votes(height))))
      assert.ok(more.every((outcome) => outcome === 'stored'))
      assert.equal((await store.evidence(100)).length, 21)
    })
  })
}

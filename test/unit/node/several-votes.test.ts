import assert from 'node:assert/strict'
import { warnOfSeveralVotes } from '../../../src/node/several-votes.ts'
import { decodePostedRegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import type { Role } from '../../../src/protocol/genesis.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { namedKey } from '../../helpers/branches.ts'
import { AUTHORITY_KEY, createMemoryLedger } from '../../helpers/memory-ledger.ts'
import { countersign, signRegistryTransaction } from '../../helpers/sign-now.ts'

describe('an enrolment under votes:K', () => {
  it('is told of in the log where its user has another key that votes: each key is one vote', async () => {
    const lines: string[] = []
    const ignore = (): void => undefined
    const warn = (_fields: object, line: string): void => void lines.push(line)
    const memory = createMemoryLedger()
    const ledger = warnOfSeveralVotes(memory, { debug: ignore, info: ignore, error: ignore, warn })
    const enrol = (id: string, user: string, role: Role = 'voter') => {
      const key = namedKey(id)
      const nonce = sha256Hex(id).slice(0, 32)
      const body = { kind: 'registry', action: 'enrol', id: `enrol-${id}`, subject_id: id, role, nonce } as const
      const dated = { ...body, public_key: key.publicKey, timestamp: Date.now() }
      const signed = decodePostedRegistryTransaction(signRegistryTransaction(dated, memory.chainId, key))
      assert.ok(signed.action === 'enrol')
      const asked = role === 'voter' ? signed : countersign(signed, 'authority-1', memory.chainId, AUTHORITY_KEY)
      return ledger.register(asked, user)
    }
    const { finality } = ledger.registry().policy
    assert.ok(finality.policy === 'votes')
    await enrol('new-phone', 'new-user')
    await enrol('new-validator', 'new-user', 'validator')
    assert.deepEqual(lines, [])
    assert.equal((await enrol('new-tablet', 'new-user')).id, 'enrol-new-tablet')
    const words = `user new-user has 2 keys now, and each is one of the ${finality.threshold} votes that make a block final`
    assert.deepEqual(lines, [words])
  })
})

import type { Redactor } from '../../ports/retention.ts'
import { redactionReason, redactionShape, type Redaction } from '../../protocol/redaction.ts'
import { rolesOnly } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { arrayOf, documented, named, nullableOf, objectOf, type Schema } from '../schema.ts'
import { hash, height, idIn, time } from '../schemas.ts'

const reason: Schema<string> = documented(
  redactionReason,
  { type: 'string', pattern: '^[\\x20-\\x7e]{1,200}$', description: 'why, and nothing of what the body said' },
  'erasure asked for on 2026-03-01',
)
const fields = objectOf({
  tx_hash: hash,
  tx_id: nullableOf(idIn('trade-1')),
  height,
  redacted_by: nullableOf(idIn('mia')),
  redacted_at: nullableOf(time),
  reason,
})
const redaction: Schema<Redaction> = named('Redaction', documented(redactionShape, fields.json, fields.example))
const redactions = objectOf({ redactions: arrayOf(redaction) })

/** Bodies of transactions that are removed for good. */
export const redactionCalls = (redactor: Redactor): readonly Call[] => [
  defineCall({
    method: 'POST',
    path: '/transactions/{id}/redact',
    access: rolesOnly('operator'),
    summary: 'Removes the body of a final trade, and of its corrections, for good',
    description:
      'Its hash stays in the block, so every other proof holds. Asked again it finishes what was broken off, and answers the first record.',
    params: objectOf({ id: idIn('trade-1') }),
    body: objectOf({ redacted_by: idIn('mia'), reason }),
    answer: redactions,
    statuses: { 200: 'The records: of the trade first' },
    handle: async ({ params, body }) => ({
      status: 200,
      body: { redactions: await redactor.redact({ tx_id: params.id, ...body }) },
    }),
  }),
  defineCall({
    method: 'GET',
    path: '/redactions',
    access: rolesOnly('auditor', 'operator'),
    summary: 'Which bodies were removed, by whom, when and why',
    description: 'By height. Where a block came without a body, nobody here knows more than that.',
    answer: redactions,
    statuses: { 200: 'Every record' },
    handle: async () => ({ status: 200, body: { redactions: await redactor.redactions() } }),
  }),
]

import type { MarketStore } from '../../ports/market-store.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { evidenceShape, misbehaviourOf } from '../../protocol/evidence.ts'
import { decodeText } from '../decode.ts'
import type { Database } from './schema.ts'

/** Proven misbehaviour, in order of arrival. */
export function evidenceTable(db: Database): Pick<MarketStore, 'putEvidence' | 'evidence'> {
  return {
    async putEvidence(evidence) {
      const { kind, height, signer_id } = misbehaviourOf(evidence)
      const inserted = await db
        .insertInto('evidence')
        .values({ kind, height: BigInt(height), signer_id, evidence: canonicalText(evidence) })
        .onConflict((conflict) => conflict.columns(['kind', 'height', 'signer_id']).doNothing())
        .returning('sequence')
        .executeTakeFirst()
      return inserted === undefined ? 'known' : 'stored'
    },

    async evidence(limit) {
      const rows = await db.selectFrom('evidence').selectAll().orderBy('sequence', 'desc').limit(limit).execute()
      return rows.map((row) => decodeText(`evidence ${row.sequence}`, row.evidence, evidenceShape))
    },
  }
}

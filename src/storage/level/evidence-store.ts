import type { EvidenceStore } from '../../ports/finality-store.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { evidenceShape, misbehaviourOf, type Evidence } from '../../protocol/evidence.ts'
import { decodeText } from '../decode.ts'
import { serialTasks } from '../serial.ts'
import { heightKey, keyOf, sortable } from './keyspaces.ts'
import { DURABLE, guardLevel, readText, type TextLevel } from './level.ts'

/** Evidence in order of arrival, one piece for each kind, height and signer. */
export function evidenceStore(db: TextLevel): EvidenceStore {
  const inTurn = serialTasks()

  async function put(evidence: Evidence): Promise<'stored' | 'known'> {
    const { kind, height, signer_id } = misbehaviourOf(evidence)
    const about = keyOf('evidenceOf', `${kind}/${sortable(height)}/${signer_id}`)
    if ((await readText(db, about)) !== undefined) return 'known'
    const [last] = await db.keys({ gte: keyOf('evidence'), lte: keyOf('evidence', '~'), reverse: true, limit: 1 }).all()
    const sequence = last === undefined ? 0 : Number.parseInt(last.slice(1), 16) + 1
    const batch = db.batch().put(heightKey('evidence', sequence), canonicalText(evidence)).put(about, String(sequence))
    await batch.write(DURABLE)
    return 'stored'
  }

  return {
    putEvidence: guardLevel('putEvidence', (evidence) => inTurn(() => put(evidence))),
    evidence: guardLevel('evidence', async (limit) => {
      const entries = db.iterator({ gte: keyOf('evidence'), lte: keyOf('evidence', '~'), reverse: true, limit })
      return (await entries.all()).map(([key, text]) => decodeText(`level ${key}`, text, evidenceShape))
    }),
  }
}

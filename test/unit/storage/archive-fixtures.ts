import type { Redaction } from '../../../src/protocol/redaction.ts'
import { block } from '../../contract/fixtures.ts'

/** The block of this height: trades `<height>-a` and `<height>-b`. */
export const made = (height: number) => block(height, [`${height}-a`, `${height}-b`])

/** What removes the first trade of the block of this height. */
export function removalAt(height: number): Redaction {
  const [tx_hash = ''] = made(height).txHashes
  return { tx_hash, tx_id: `${height}-a`, height, redacted_by: 'mia', redacted_at: 5, reason: 'asked for' }
}

import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Witness, WitnessAnswer, WitnessStore } from '../ports/witness.ts'
import type { Hex } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { cosignNote, formatSignature } from '../protocol/note.ts'
import { shown } from '../protocol/shown.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { checkAddCheckpoint, parseAddCheckpoint } from '../protocol/witness.ts'
import { createSerial } from './serial.ts'

export interface WitnessParts {
  /** The key's name in cosignatures: `cosignerName` for a validator. */
  readonly name: () => string
  readonly key: SigningKey
  readonly store: WitnessStore
  /** Public keys of the log with this origin; `undefined` for a log that is not witnessed. */
  readonly logKeys: (origin: string) => readonly Hex[] | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Cosigns checkpoints that extend what it cosigned before (https://c2sp.org/tlog-witness). The new tree is durable before it
 * is signed: after a crash between the two the log asks again, from the size that the refusal names.
 */
export function createWitness({ name, key, store, logKeys, clock, logger }: WitnessParts): Witness {
  const inTurn = createSerial()

  async function answer(body: string): Promise<WitnessAnswer> {
    const request = parseAddCheckpoint(body)
    const { origin, size, root } = request.checkpoint
    const keys = logKeys(origin)
    const last = keys === undefined ? undefined : ((await store.last(origin)) ?? null)
    const log = keys === undefined || last === undefined ? undefined : { keys, last }
    const verdict = checkAddCheckpoint(request, log)
    if (verdict.status !== 200) {
      logger.warn({ origin: shown(origin), size, status: verdict.status }, `checkpoint refused: ${verdict.reason}`)
      return verdict
    }
    if (last?.size !== size) await store.put(origin, { size, root })
    const cosignature = await cosignNote(request.note.text, name(), Math.floor(clock.now() / 1000), key)
    return { status: 200, body: formatSignature(cosignature) }
  }

  return {
    addCheckpoint: (body) =>
      inTurn(async () => {
        try {
          return await answer(body)
        } catch (error) {
          if (isSolarError(error, 'malformed')) return { status: 400, reason: error.message }
          throw error
        }
      }),
  }
}

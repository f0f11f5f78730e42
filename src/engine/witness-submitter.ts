import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { SendCheckpoint, WitnessAddress } from '../ports/witness.ts'
import { parseSize } from '../protocol/checkpoint.ts'
import { isSolarError } from '../protocol/errors.ts'
import { parseSignatureLine, verifyNote, type NoteSignature } from '../protocol/note.ts'
import { shown } from '../protocol/shown.ts'
import { formatAddCheckpoint } from '../protocol/witness.ts'
import type { Chain } from './chain.ts'
import type { Checkpoints, SignedCheckpoint } from './checkpoints.ts'

export interface WitnessSubmitterParts {
  readonly chain: Chain
  readonly checkpoints: Checkpoints
  readonly witnesses: readonly WitnessAddress[]
  readonly send: SendCheckpoint
  readonly clock: Clock
  readonly logger: Logger
}

/** Sends the newest checkpoint to every witness, and what they cosign to `Checkpoints`. */
export interface WitnessSubmitter {
  /** There may be a newer final header. */
  wake(): void
  /** Waits for what is under way; nothing is sent any more. */
  stop(): Promise<void>
}

const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 5 * 60_000
/** The first request may learn the size that the witness has; the second takes it from there, and a third if that has moved. */
const ATTEMPTS = 3
const SIZE_TYPE = 'text/x.tlog.size'

export function createWitnessSubmitter(parts: WitnessSubmitterParts): WitnessSubmitter {
  const lanes = parts.witnesses.map((witness) => createLane(parts, witness))
  return {
    wake: () => lanes.forEach((lane) => lane.wake()),
    stop: async () => {
      await Promise.all(lanes.map((lane) => lane.stop()))
    },
  }
}

/** One witness: one request at a time, the newest checkpoint only, again and again until it is cosigned. */
function createLane(parts: WitnessSubmitterParts, witness: WitnessAddress): WitnessSubmitter {
  const { checkpoints, clock, logger } = parts
  const { name, url } = witness
  /** What the witness is known to have cosigned. */
  let cosignedSize = 0
  let retryMs = FIRST_RETRY_MS
  let cancelRetry = (): void => undefined
  let running: Promise<void> | undefined
  let stopped = false

  async function run(): Promise<void> {
    try {
      for (let next = await newest(); next !== undefined && !stopped; next = await newest()) await submit(next)
      retryMs = FIRST_RETRY_MS
    } catch (error) {
      logger.warn({ error, witness: name, url }, `${name} has not cosigned, trying again in ${retryMs / 1000} s`)
      if (!stopped) cancelRetry = clock.after(retryMs, wake)
      retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)
    }
  }

  let doneSize = 0
  /** The newest checkpoint, if the witness has not cosigned it in this life. */
  async function newest(): Promise<SignedCheckpoint | undefined> {
    try {
      const signed = await checkpoints.signed()
      return signed.size > doneSize ? signed : undefined
    } catch (error) {
      if (isSolarError(error, 'no_final_header')) return undefined
      throw error
    }
  }

  async function submit(signed: SignedCheckpoint): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const outcome = await sendOnce(parts, witness, signed, cosignedSize)
      if (typeof outcome === 'number') {
        cosignedSize = outcome
        continue
      }
      checkpoints.add(signed.size, outcome)
      cosignedSize = doneSize = signed.size
      return
    }
    throw refused(witness, '409', `it names another size each time, last ${cosignedSize}`)
  }

  function wake(): void {
    cancelRetry()
    if (running !== undefined || stopped) return
    running = run().finally(() => (running = undefined))
  }
  return {
    wake,
    stop: async () => {
      stopped = true
      cancelRetry()
      await running
    },
  }
}

const refused = ({ name }: WitnessAddress, code: string, reason: string) =>
  ledgerError('peer_refused', { peer: name, request: 'add-checkpoint', code, reason })

/** The verified cosignature, or the size that the witness has cosigned last. Throws `peer_refused`. */
async function sendOnce(
  { chain, send }: WitnessSubmitterParts,
  witness: WitnessAddress,
  { note, size }: SignedCheckpoint,
  oldSize: number,
): Promise<NoteSignature | number> {
  const isGrown = oldSize > 0 && oldSize < size
  const proof = isGrown ? (await chain.consistency(oldSize, size)).path : []
  const answer = await send(witness.url, formatAddCheckpoint({ oldSize, proof, note }))
  if (answer.status === 409 && answer.contentType.startsWith(SIZE_TYPE)) {
    const known = parseSize(answer.body.trim(), 'size of the witness')
    if (known > size)
      throw refused(
        witness,
        '409',
        `it has cosigned size ${known}, this chain is final up to ${size}: is the database an older backup?`,
      )
    if (known === oldSize) throw refused(witness, '409', `it has cosigned another history of size ${known}`)
    return known
  }
  if (answer.status !== 200) throw refused(witness, String(answer.status), shown(answer.body))
  return cosignatureIn(answer.body, note.text, witness)
}

/** Signatures of keys that are not the witness' are left out; one of its key must hold. */
function cosignatureIn(body: string, text: string, witness: WitnessAddress): NoteSignature {
  const signatures = body.replace(/\n$/, '').split('\n').map(parseSignatureLine)
  const key = { name: witness.name, public_key: witness.public_key, type: 'cosignature' as const }
  for (const signature of signatures) {
    if (verifyNote({ text, signatures: [signature] }, [key]).ok) return signature
  }
  throw refused(witness, 'no_known_signature', 'its answer has no cosignature of the configured key')
}

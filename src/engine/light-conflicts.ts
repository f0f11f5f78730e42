import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { hashHeader, verifySeal, type SealedHeader } from '../protocol/header.ts'
import type { LightCode } from '../protocol/light-verify.ts'
import { headersAnswer, type StatusAnswer } from '../protocol/messages.ts'
import type { LightPlace } from './light-place.ts'

/** Called when a peer shows something that no honest peer can. */
export type OnAlarm = (code: string, reason: string) => void

export interface LightConflictsParts {
  readonly requests: PeerRequests
  readonly onAlarm: OnAlarm
  /** Called with two headers of one height, both with a true seal of the same sealer. */
  readonly onDoubleSeal: (held: SealedHeader, other: SealedHeader) => void
}

export interface HeaderRefusal {
  readonly refused: LightCode | 'conflict'
  readonly reason: string
}

/** Far more than honest nodes ever see, and little to remember. */
const MAX_ALARMS = 1_000

/** Ends what is done with a peer. Alarms for what no honest peer shows. Throws `peer_refused`. */
export function refusePeer(onAlarm: OnAlarm, peer: string, code: string, reason: string): never {
  if (code !== 'conflict' && code !== 'from_the_future') onAlarm(code, `${peer}: ${reason}`)
  throw ledgerError('peer_refused', { peer, request: 'sync', code, reason })
}

/** Headers that contradict those which are held: what an authority really sealed is alarming, everything else is noise. */
export class LightConflicts {
  readonly #place: LightPlace
  readonly #parts: LightConflictsParts
  /** Conflicts that were alarmed about: once is enough. */
  readonly #alarmed = new Set<Hash>()

  constructor(place: LightPlace, parts: LightConflictsParts) {
    this.#place = place
    this.#parts = parts
  }

  /** True if a peer's tip is of a height that is held, and another header. */
  contradicts(tip: StatusAnswer['tip']): boolean {
    const held = this.#place.heldAt(tip?.height)
    return held !== undefined && hashHeader(held.header) !== tip?.header_hash
  }

  /** A header of a height that is held, and not the one that is. */
  judge(held: SealedHeader, other: SealedHeader): HeaderRefusal {
    if (!this.hasSeal(other)) return this.unsealed(other)
    const { height, miner_id } = other.header
    const reason = `${miner_id} sealed a header of height ${height} that contradicts the known chain`
    const hash = hashHeader(other.header)
    if (!this.#alarmed.has(hash) && this.#alarmed.size < MAX_ALARMS) {
      this.#alarmed.add(hash)
      this.#parts.onAlarm('conflict', reason)
      if (held.header.miner_id === miner_id) this.#parts.onDoubleSeal(held, other)
    }
    return { refused: 'conflict', reason }
  }

  /** True if a key that may seal above the head has sealed it. */
  hasSeal(sealed: SealedHeader): boolean {
    const sealer = this.#place.head.sealers.find((entry) => entry.id === sealed.header.miner_id)
    return sealer !== undefined && verifySeal(sealed, sealer.public_key).ok
  }

  /** No honest node passes a header on that nobody sealed; but on another chain another key may seal. */
  unsealed({ header }: SealedHeader): HeaderRefusal {
    const { head } = this.#place
    const root = head.anchor?.header.registry_root
    const parent = this.#place.parentOf(header)
    const isKnown = [parent?.header, header].every((one) => one?.registry_root === root) && head.policy !== null
    const reason = `a conflicting header of height ${header.height} without a seal that is known here`
    return { refused: isKnown ? 'bad_seal' : 'wrong_parent', reason }
  }

  /**
   * Looks for a header of the peer that contradicts one that is held. Throws `peer_refused` with code `conflict` under policy
   * `authority`, where the first seen stays; under vote policies a proven quorum decides which of the two it is.
   */
  async compareWith(peer: string): Promise<void> {
    const { window } = this.#place
    const [oldest] = window
    if (oldest === undefined) return
    const asked = { from_height: oldest.header.height, count: window.length }
    const { headers } = headersAnswer(await this.#parts.requests.request(peer, 'headers', asked), 'headers')
    for (const other of headers) {
      const held = this.#place.heldAt(other.header.height)
      if (held === undefined || hashHeader(held.header) === hashHeader(other.header)) continue
      const { refused, reason } = this.judge(held, other)
      if (this.#place.isByAuthority) refusePeer(this.#parts.onAlarm, peer, refused, reason)
      return
    }
  }
}

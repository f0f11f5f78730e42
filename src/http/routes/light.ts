import type { SealedHeader } from '../../protocol/header.ts'
import { ANYONE } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { arrayOf, choiceOf, integerOf, named, nullableOf, objectOf, type Schema } from '../schema.ts'
import { hash, header, height, signature } from '../schemas.ts'

/** How a light node is doing. */
export interface LightState {
  /** `alarm`: it holds evidence against an authority. */
  readonly state: 'syncing' | 'live' | 'stale' | 'alarm'
  /** The newest trusted header; null before the first. */
  readonly tip: { readonly height: number; readonly header_hash: string } | null
  /** Those it holds, ascending. */
  readonly headers: readonly SealedHeader[]
  /** Since start. */
  readonly votes_sent: number
  readonly peers: number
}

const lightState: Schema<LightState> = named(
  'Light',
  objectOf({
    state: choiceOf('live', 'syncing', 'stale', 'alarm'),
    tip: nullableOf(objectOf({ height, header_hash: hash })),
    headers: arrayOf(objectOf({ header, signature })),
    votes_sent: integerOf('votes sent since start', 12),
    peers: integerOf('connected peers', 1),
  }),
)

export const lightCalls = (light: () => LightState): readonly Call[] => [
  defineCall({
    method: 'GET',
    path: '/light',
    access: ANYONE,
    summary: 'The light client at a glance',
    answer: lightState,
    statuses: { 200: 'Its state' },
    handle: () => ({ status: 200, body: light() }),
  }),
]

import type { SealedHeader } from '../../protocol/header.ts'
import { ANYONE } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { arrayOf, choiceOf, integerOf, named, nullableOf, objectOf, textOf, type Schema } from '../schema.ts'
import { hash, header, height, id, key, signature } from '../schemas.ts'

const VOTER_STATES = ['off', 'unknown', 'unregistered', 'registered', 'revoked'] as const

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
  /** The newest header that is trusted; lower than the tip while that waits for votes. */
  readonly trusted_height: number | null
  /** What keeps the node from its work, for people; null if nothing does. */
  readonly reason: string | null
  /** Whether its key is registered. */
  readonly voter: {
    readonly state: (typeof VOTER_STATES)[number]
    readonly id: string | null
    readonly public_key: string
  }
}

const words = textOf(/^[^]{1,4000}$/, 'what keeps the node from its work', 'no peer is connected')

const lightState: Schema<LightState> = named(
  'Light',
  objectOf({
    state: choiceOf('live', 'syncing', 'stale', 'alarm'),
    tip: nullableOf(objectOf({ height, header_hash: hash })),
    headers: arrayOf(objectOf({ header, signature })),
    votes_sent: integerOf('votes sent since start', 12),
    peers: integerOf('connected peers', 1),
    trusted_height: nullableOf(height),
    reason: nullableOf(words),
    voter: objectOf({ state: choiceOf(...VOTER_STATES), id: nullableOf(id('household-7')), public_key: key }),
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

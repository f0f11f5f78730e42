import type { Standing } from './budget.ts'

/** Connections of one peer: an old one may be half-open without either side knowing, and it dials again. */
export const MAX_CONNECTIONS_OF_PEER = 8
/** Of ten places strangers have seven, they and devices nine; the last is for members. */
const SHARE_OF_PLACES: Readonly<Record<Standing, number>> = { stranger: 0.7, device: 0.9, member: 1 }

/** An inbound connection whose peer has proven that it has the key of its id. */
export interface Place {
  readonly peer: string
  readonly address: string
  /** Ends the connection. */
  readonly close: (reason: string) => void
}

/** The places for inbound connections, and who has them. */
export interface Places {
  /** Takes a place, if need be that of another; says why there is none, `undefined` if there is. */
  take(place: Place): string | undefined
  leave(place: Place): void
  of(peer: string): readonly Place[]
  ofStrangersAt(address: string): readonly Place[]
}

/**
 * Gives out places so that nobody can take them all: each standing has places that those below it cannot have, and when
 * strangers have all of theirs, one of the address with the most gives way to one of an address with fewer. Where no
 * address has more than the newcomer's own, which a street or a proxy may share, its oldest stranger gives way: who holds
 * places there keeps no newcomer from showing whose device it is.
 */
export function createPlaces(total: number, standingOf: (peer: string) => Standing): Places {
  const taken = new Map<string, Set<Place>>()
  let count = 0

  function leave(place: Place): void {
    const own = taken.get(place.peer)
    if (own?.delete(place) !== true) return
    count--
    if (own.size === 0) taken.delete(place.peer)
  }

  function strangersByAddress(): ReadonlyMap<string, readonly Place[]> {
    const found = new Map<string, Place[]>()
    for (const [peer, places] of taken) {
      if (standingOf(peer) !== 'stranger') continue
      for (const place of places) {
        const others = found.get(place.address)
        if (others === undefined) found.set(place.address, [place])
        else others.push(place)
      }
    }
    return found
  }

  /** The newest connection from the address that has the most, if it has more than `most`. */
  function mostCrowded(strangers: ReadonlyMap<string, readonly Place[]>, most: number): Place | undefined {
    const [crowd] = [...strangers.values()].sort((one, other) => other.length - one.length)
    return crowd !== undefined && crowd.length > most ? crowd.at(-1) : undefined
  }

  /** Whose place the newcomer may have. */
  function givesWay(standing: Standing, address: string): Place | undefined {
    const strangers = strangersByAddress()
    if (standing !== 'stranger') return mostCrowded(strangers, 0)
    const own = strangers.get(address) ?? []
    return mostCrowded(strangers, own.length + 1) ?? own[0]
  }

  function isFull(standing: Standing): boolean {
    const has = standing === 'stranger' ? [...strangersByAddress().values()].flat().length : count
    return has >= Math.floor(total * SHARE_OF_PLACES[standing])
  }

  return {
    take(place) {
      const standing = standingOf(place.peer)
      const own = taken.get(place.peer) ?? new Set()
      if (own.size >= MAX_CONNECTIONS_OF_PEER) return `it has ${own.size} connections already`
      if (count >= total || isFull(standing)) {
        const other = givesWay(standing, place.address)
        if (other === undefined) return 'all places for it are taken'
        leave(other)
        other.close('its place was given to a newcomer')
      }
      taken.set(place.peer, own.add(place))
      count++
      return undefined
    },
    leave,
    of: (peer) => [...(taken.get(peer) ?? [])],
    ofStrangersAt: (address) => [...(strangersByAddress().get(address) ?? [])],
  }
}

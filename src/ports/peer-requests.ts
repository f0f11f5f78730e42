/** Requests between peers (docs/protocol.md 8): `/solar-node/1/<c>/<name>`, and `genesis` without `<c>`. */
export type RequestName =
  | 'genesis'
  | 'status'
  | 'time'
  | 'headers'
  | 'proof'
  | 'history'
  | 'anchor'
  | 'registry'
  | 'votes'
  | 'vote'
  | 'trades'
  | 'receipt'
  | 'block'
  | 'membership'
  | 'evidence'

/**
 * Answers one request of the peer `from`, whose connection it came by. `params` is decoded canonical JSON, not yet checked. A thrown `SolarError` goes back as
 * `{error: {code, message}}`; anything else as code `internal` without details.
 */
export type RequestHandler = (params: unknown, from: string) => Promise<object>

export interface PeerRequests {
  /** This node's own id, as its peers know it. */
  readonly id: string
  serve(name: RequestName, handler: RequestHandler): void
  /**
   * The peer has shown that it holds the registered key `key`.
   *
   * @param standing whose key it is at the time of asking: a device's, or a member's (an authority, a validator);
   * `undefined` once it is registered no more
   */
  vouch(peer: string, key: string, standing: () => 'device' | 'member' | undefined): void
  /** Connected peers (ids). */
  peers(): readonly string[]
  /** Calls the listener for each peer that becomes connected; gives back what removes it. */
  onConnect(listener: (peer: string) => void): () => void
  /**
   * Asks one connected peer. Throws `peer_refused` with the peer's code, or `peer_unreachable` (also when the answer is
   * too large, not canonical, or not there within the time limit).
   */
  request(peer: string, name: RequestName, params: object): Promise<unknown>
}

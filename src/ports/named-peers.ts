/** Peers that the operator has named. */
export interface NamedPeers {
  /** How many addresses. */
  readonly addresses: number
  /** Who answers at each address that has been reached since the start. */
  readonly reached: () => ReadonlyMap<string, string>
}

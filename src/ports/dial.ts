/** What became of an address that a node keeps connected. */
export type DialEvent = { readonly address: string } & (
  | { readonly type: 'connected' | 'lost'; readonly peer: string }
  /** `reason`: for people, what is wrong and what to look at. */
  | { readonly type: 'failed'; readonly reason: string }
)

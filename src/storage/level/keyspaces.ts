/**
 * Every keyspace of the LevelDB stores, named once: the first character of a key says what the value is. A prefix that is
 * retired stays in this list as a comment and is never used for something else, so that old folders are never misread.
 */
export const keyspaces = {
  /** height -> sealed header with its hash */
  header: 'h',
  /** height -> transactions of the block */
  body: 'b',
  /** header hash -> height */
  heightByHash: 'x',
  /** transaction id -> height/index */
  placeById: 'i',
  /** tx_hash -> height/index */
  placeByHash: 't',
  /** level, index -> hash of a complete subtree of the history tree */
  historyNode: 'n',
  // 'r' was: height of a block with registry transactions, without the keys that it registers
  /** height of a block with registry transactions -> nothing, the key says it */
  registryHeight: 'H',
  /** height of a block that changes the policy, an authority or a validator -> nothing, the key says it */
  guardedHeight: 'G',
  /** public key in a registry transaction, height -> the id that it belongs to */
  registeredKey: 'K',
  /** height -> number of leaves of the registry tree after the block, of which every page is stored */
  registryCheckpoint: 'R',
  /** hash of a node of a registry tree -> the page below it */
  registryPage: 'P',
  /** tick id -> height */
  heightByTick: 'k',
  /** trade id, height, index of a correction of it -> nothing, the key says it */
  correction: 'q',
  /** height, tx_hash of a transaction whose body was removed -> the record of it */
  redaction: 's',
  /** id of a transaction whose body was removed -> height of its block */
  redactedId: 'I',
  /** a key whose old values a redaction has yet to take out of LevelDB's files -> nothing, the key says it */
  forgetting: 'F',
  /** first height of an archive file -> the height that follows its last */
  archived: 'z',
  /** header hash of a block that is not on the chain -> the block */
  beside: 'o',
  /** origin of a log -> the tree that a witness cosigned last */
  cosigned: 'p',
  /** the genesis that a light node trusts, canonical JSON */
  genesis: 'g',
  /** the trusted headers of a light node and their frontier */
  window: 'w',
  /** the ack that this node put last */
  vote: 'v',
  /** height -> the ack of this node at it; height/header hash -> another one, that it had forgotten */
  ownVote: 'y',
  /** there while this node has forgotten acks, and has not asked enough peers for them -> nothing */
  forgotten: 'O',
  /** the headers of blocks that this node rejected */
  rejected: 'j',
  /** header hash, voter id, decision -> vote of anybody */
  anyVote: 'a',
  // 'l' was: voter id, height -> header hash of the ack, one for each height
  /** voter id, height, header hash of an ack -> nothing, the key says it */
  ack: 'u',
  /** height -> when everything up to it became final */
  final: 'f',
  /** sequence -> evidence */
  evidence: 'e',
  /** kind, height, signer -> sequence of the evidence */
  evidenceOf: 'm',
  /** the certificate of whose device a light node is */
  membership: 'M',
  /** transaction id -> checked trade of this household */
  checkedTrade: 'c',
  /** tx_hash -> transaction id of a checked trade */
  checkedIdByHash: 'd',
  /** of a signer: chain, public key -> the sealed header of the highest height that the key has sealed */
  signedHeader: 'S',
  /** of a signer: chain, public key, height -> the ack of the key at it */
  signedAck: 'A',
  /** of a signer: chain, public key -> the highest height that the key has acked */
  highestSignedAck: 'T',
  /** of a signer: chain, public key -> the ack that the key has signed last */
  lastSignedAck: 'L',
} as const

export type Keyspace = keyof typeof keyspaces

/** The key of `id` in a keyspace. */
export const keyOf = (space: Keyspace, id = ''): string => keyspaces[space] + id

/** A number that sorts as text: 2^53-1 has 14 hex digits. */
export const sortable = (value: number): string => value.toString(16).padStart(14, '0')

/** The key of a height in a keyspace. */
export const heightKey = (
  space:
    | 'header'
    | 'body'
    | 'registryHeight'
    | 'guardedHeight'
    | 'registryCheckpoint'
    | 'archived'
    | 'ownVote'
    | 'final'
    | 'evidence',
  height: number,
): string => keyOf(space, sortable(height))

/** The key of a history node: by level (0..52), then index. */
export const nodeKey = ({ level, index }: { readonly level: number; readonly index: number }): string =>
  keyOf('historyNode', level.toString(16).padStart(2, '0') + sortable(index))

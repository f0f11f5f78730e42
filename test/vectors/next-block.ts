import type { Block, ShownBlock } from '../../src/protocol/block.ts'
import type { Genesis } from '../../src/protocol/genesis.ts'
import type { Header } from '../../src/protocol/header.ts'
import { merkleRoot } from '../../src/protocol/merkle.ts'
import type { RegistryTransaction, RegistryTransactionBody } from '../../src/protocol/registry-transaction.ts'
import { hashTransaction, type Transaction } from '../../src/protocol/transaction.ts'
import { namedKey, type Branch, type Street } from '../helpers/branches.ts'
import { countersign, sealHeader, type TestKey } from '../helpers/sign-now.ts'

/** Blocks that come next on a branch, made as honest sealers make them, or as none would. */

/** What a full node has, and the block that comes next. */
export interface ChainCase {
  readonly name: string
  readonly genesis: Genesis
  readonly blocks: readonly ShownBlock[]
  readonly block: ShownBlock
  /** That it is final was proven. */
  readonly is_final: boolean
}

export const key = (name: string): string => namedKey(name).publicKey

type Fields = RegistryTransactionBody extends infer Body
  ? Body extends unknown
    ? Omit<Body, 'kind' | 'id' | 'timestamp' | 'nonce'>
    : never
  : never

export const change = (of: Street, name: string, signer: string, fields: Fields): RegistryTransaction =>
  of.change(name, namedKey(signer), fields)
export const enrolled = (of: Street, id: string, role: 'voter' | 'validator' | 'authority' = 'voter') =>
  change(of, `enrol-${id}`, id, { action: 'enrol', subject_id: id, role, public_key: key(id) })
export const rotated = (of: Street, id: string, to: string, signer = id) =>
  change(of, `rotate-${id}`, signer, { action: 'rotate', subject_id: id, public_key: key(to) })
export const revoked = (of: Street, id: string, signer = 'authority') =>
  change(of, `revoke-${id}`, signer, { action: 'revoke', subject_id: id })
export const recovered = (of: Street, id: string, to: string, signer = `${id} recovery`) =>
  change(of, `recover-${id}`, signer, { action: 'recover', subject_id: id, public_key: key(to) })
export const policy = (of: Street, finality: Genesis['finality']) =>
  change(of, 'policy', 'authority', { action: 'policy', subject_id: 'authority', finality })

/** A trading block on a branch, changed as no honest sealer would, and sealed all the same. */
export function sealed(
  on: Branch,
  changes: {
    readonly transactions?: readonly Transaction[]
    readonly header?: Partial<Header>
    readonly by?: TestKey
  },
): Block {
  const { header, transactions: usual } = on.grow('next').blocks.at(-1)!
  const transactions = changes.transactions ?? usual
  const body = { tx_count: transactions.length, merkle_root: merkleRoot(transactions.map(hashTransaction)) }
  return { ...sealHeader({ ...header, ...body, ...changes.header }, changes.by ?? namedKey('authority')), transactions }
}

/** The same change with an authority's signature as well. */
export function countersigned(of: Street, tx: RegistryTransaction, by: string, keyName = by): RegistryTransaction {
  if (tx.action !== 'enrol' && tx.action !== 'recover') throw new Error(`nobody countersigns ${tx.action}`)
  return countersign(tx, by, of.chainId, namedKey(keyName))
}

/** The next block is made by an honest sealer. */
export const honest = (name: string, of: Street, on: Branch, transactions: readonly Transaction[]): ChainCase =>
  next(name, of, on, on.add(transactions).blocks.at(-1)!)

export const next = (name: string, { genesis }: Street, { blocks }: Branch, block: ShownBlock): ChainCase => ({
  name,
  genesis,
  blocks,
  block,
  is_final: false,
})

/** A next block whose changes the registry refuses: its root says that nothing has changed. */
export const refused = (
  name: string,
  of: Street,
  on: Branch,
  ...transactions: readonly RegistryTransaction[]
): ChainCase => next(name, of, on, sealed(on, { transactions }))

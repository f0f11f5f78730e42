import { genesisAsIs } from '../protocol/genesis.ts'
import { handoverShape, type Handover } from '../protocol/messages.ts'
import { receiptShape, type Receipt } from '../protocol/receipt.ts'
import { registryPolicyShape, type RegistryPolicy } from '../protocol/registry.ts'
import { arrayOf, documented, integerOf, named, nullableOf, objectOf, textOf, type Schema } from './schema.ts'
import { constant, finality, genesis, hash, header, height, registryEntry, signature, vote } from './schemas.ts'
import { transaction } from './transaction-schemas.ts'

/** A receipt as the API document shows it. The rules are those of src/protocol/receipt. */

const path = arrayOf(hash)
export const inclusion = objectOf({
  leaf_index: integerOf('which leaf', 3),
  tree_size: integerOf('of how many', 17, 1),
  path,
})
export const merkleProof = objectOf({
  index: integerOf('position in the block', 3),
  tx_count: integerOf('transactions in the block', 12, 1),
  path,
})
const proven = { entry: registryEntry, registry_proof: nullableOf(inclusion) }
const placed = { transaction, merkle_proof: merkleProof, header, signature }
const sealer = objectOf(proven, { parent_header: header })
/** How a vote counts for an earlier header, and how its voter is on record. */
const voteOptions = {
  header,
  history_proof: inclusion,
  trusted_proof: inclusion,
  brought_by: objectOf({ transaction, merkle_proof: merkleProof, header, history_proof: inclusion }),
}
const policyFields: Schema<RegistryPolicy> = objectOf({ finality, since_height: height })
const policy: Schema<RegistryPolicy> = { ...policyFields, shape: registryPolicyShape }

/** A block that changes who seals, or the policy: as the libp2p request `anchor` has it. */
const handoverFields = objectOf({
  header,
  signature,
  entry: registryEntry,
  registry_proof: inclusion,
  policy,
  policy_proof: inclusion,
  votes: arrayOf(objectOf({ vote, entry: registryEntry, registry_proof: inclusion }, voteOptions)),
  history_proof: nullableOf(inclusion),
})
const recovery = objectOf({ transaction, merkle_proof: merkleProof, entry: registryEntry, registry_proof: inclusion })
const handoverOptions = { recovery: recovery.json, parent_header: header.json, parent_policy_proof: inclusion.json }
const handover: Schema<Handover> = named(
  'Handover',
  documented(
    handoverShape,
    { ...handoverFields.json, properties: { ...(handoverFields.json.properties as object), ...handoverOptions } },
    {
      ...handoverFields.example,
      votes: [{ vote: vote.example, entry: registryEntry.example, registry_proof: inclusion.example }],
    },
  ),
)

const receiptFields = objectOf(
  {
    version: constant(1),
    genesis: { ...genesis, shape: genesisAsIs },
    ...placed,
    parent_header: nullableOf(header),
    handovers: arrayOf(handover),
    ...proven,
    policy,
    policy_proof: nullableOf(inclusion),
    votes: arrayOf(objectOf({ vote, ...proven }, voteOptions)),
  },
  {
    sealer,
    parent_policy_proof: inclusion,
    anchor: objectOf({ header, signature, parent_header: header, history_proof: inclusion }),
    corrections: arrayOf(objectOf({ ...placed, history_proof: nullableOf(inclusion) }, { sealer })),
    checkpoint: objectOf({
      note: textOf(/^[A-Za-z0-9+/=]{1,65536}$/, 'base64 of a C2SP checkpoint', 'bGVkZ2VyCg=='),
      history_proof: inclusion,
    }),
  },
)
export const receipt: Schema<Receipt> = named('Receipt', {
  ...receiptFields,
  shape: receiptShape,
  example: receiptShape(receiptFields.example, 'example'),
})

import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { VectorFile } from './case.ts'
import { blockBodies, genesisCases, headerLinks, transactionCases } from './chain-cases.ts'
import { canonicalDecode, canonicalEncode, decimals, edge, totals } from './json-cases.ts'
import { evidenceCases, registryProofs } from './registry-cases.ts'
import { keyCases, signatureCases } from './signature-cases.ts'
import { checkpointCases, submissionCases } from './note-cases.ts'
import { pseudonymCases, recipientCases } from './privacy-cases.ts'
import { anchorCases, receiptCases } from './receipt-cases.ts'
import {
  membershipCases,
  orderCases,
  peerRequestCases,
  requestCases,
  sealedHeaders,
  voteCases,
} from './signed-cases.ts'
import { historyConsistency, historyInclusion, historyRoots, merkleProofs, merkleRoots } from './tree-cases.ts'
import { wholeChains } from './whole-chain-cases.ts'
import { workCases } from './work-cases.ts'

/**
 * The published test vectors of protocol version 1. `npx tsx test/vectors/generate.ts` writes them; a test checks that
 * the committed files are what this gives, and the Python implementation under test/python agrees with each case.
 */
export const VECTOR_FILES: Readonly<Record<string, () => VectorFile>> = {
  'keys.json': keyCases,
  'canonical.json': canonicalEncode,
  'canonical-bytes.json': canonicalDecode,
  'decimals.json': decimals,
  'edge.json': edge,
  'totals.json': totals,
  'signatures.json': signatureCases,
  'genesis.json': genesisCases,
  'transactions.json': transactionCases,
  'merkle-roots.json': merkleRoots,
  'merkle-proofs.json': merkleProofs,
  'block-bodies.json': blockBodies,
  'header-links.json': headerLinks,
  'whole-chains.json': wholeChains,
  'work.json': workCases,
  'sealed-headers.json': sealedHeaders,
  'history-roots.json': historyRoots,
  'history-inclusion.json': historyInclusion,
  'history-consistency.json': historyConsistency,
  'votes.json': voteCases,
  'orders.json': orderCases,
  'requests.json': requestCases,
  'peer-requests.json': peerRequestCases,
  'memberships.json': membershipCases,
  'receipts.json': receiptCases,
  'anchors.json': anchorCases,
  'registry-proofs.json': registryProofs,
  'evidence.json': evidenceCases,
  'checkpoints.json': checkpointCases,
  'add-checkpoint.json': submissionCases,
  'pseudonyms.json': pseudonymCases,
  'recipients.json': recipientCases,
}

export const VECTOR_FOLDER = fileURLToPath(new URL('./v1/', import.meta.url))

/** The text of a vector file: one case a line, so that a change shows as the lines it changes. */
export function renderVectorFile(file: VectorFile): string {
  const cases = file.cases.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n')
  return `{\n  "about": ${JSON.stringify(file.about)},\n  "cases": [\n${cases}\n  ]\n}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(VECTOR_FOLDER, { recursive: true })
  for (const [name, make] of Object.entries(VECTOR_FILES)) {
    writeFileSync(`${VECTOR_FOLDER}${name}`, renderVectorFile(make()))
  }
}

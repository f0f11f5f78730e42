import * as protocol from '../../../src/protocol/index.ts'
import { bytesDecoder, jsonDecoder, textDecoder, type Decoder } from '../decoder.ts'
import { MESSAGE_EXAMPLES } from '../message-examples.ts'
import { acceptedBy, chains, receipts, texts, type TestChain } from '../seeds.ts'

/** Shapes that are not called so. */
const OTHER_SHAPES = [
  'blockHeight',
  'correctionReason',
  'delta',
  'edgeDelta',
  'edgeIdentifier',
  'edgeQuantity',
  'edgeTime',
  'edgeTimeBound',
  'anyDelta',
  'anyQuantity',
  'genesisAsIs',
  'hash32',
  'identifier',
  'nonceHex',
  'noParams',
  'publicKeyHex',
  'quantity',
  'signatureHex',
  'timestampMs',
]
/** Every shape that the protocol exports: a new one is looked at without being named here. */
export const shapes = (Object.entries(protocol) as [string, protocol.Shape<unknown>][])
  .filter(([name]) => /(Shape|Params|Answer)$/.test(name) || OTHER_SHAPES.includes(name))
  .map(([name, shape]): Decoder => {
    const seeds = [...(MESSAGE_EXAMPLES[name] ?? []), ...acceptedBy((value) => shape(value, 'it'))]
    return jsonDecoder(name, seeds, (value) => void shape(value, 'it'))
  })

const chainOf = (value: unknown): TestChain => {
  const [first] = chains
  if (first === undefined) throw new Error('no chain in the test vectors')
  const id = JSON.stringify(value)
  return chains.find(({ chainId }) => id.includes(chainId)) ?? first
}
/** The chain of the genesis in a receipt, so that what comes behind it is looked at. */
const pinOf = (receipt: unknown): string =>
  protocol.isJsonObject(receipt) ? protocol.chainIdOf(protocol.decodeGenesis(receipt.genesis)) : SOME_HASH
const wordOf = (verdict: { readonly ok: true } | { readonly ok: false; readonly code: string }): string =>
  verdict.ok ? 'accepted' : verdict.code
const NOW = 1_760_000_500_000
const SOME_HASH = 'a'.repeat(64)

/** What checks more than a shape can, on input of a shape that is right. */
const verifiers: readonly Decoder[] = [
  jsonDecoder('decodeGenesis', acceptedBy(protocol.decodeGenesis), (value) => void protocol.decodeGenesis(value)),
  jsonDecoder(
    'decodePostedRegistryTransaction',
    // As it is posted, without the tick.
    acceptedBy((value) => protocol.registryTransactionShape(value, 'change')).map((value) => ({
      ...(value as object),
      tick_id: undefined,
    })),
    (value) => void protocol.decodePostedRegistryTransaction(value),
  ),
  jsonDecoder('verifyReceipt', receipts, (value) => wordOf(protocol.verifyReceipt(value, pinOf(value))), { cost: 20 }),
  jsonDecoder(
    'verifyEvidence',
    acceptedBy((value) => protocol.evidenceShape(value, 'evidence')),
    (value) => {
      const evidence = protocol.evidenceShape(value, 'evidence')
      const { genesis, chainId } = chainOf(value)
      protocol.misbehaviourOf(evidence)
      return wordOf(protocol.verifyEvidence(evidence, genesis, chainId, SOME_HASH))
    },
    { cost: 4 },
  ),
  jsonDecoder(
    'verifyAdvance',
    acceptedBy((value) => protocol.anchorAnswer(value, 'anchor')),
    (value) => {
      const { genesis, chainId } = chainOf(value)
      const trusted = protocol.trustGenesis(genesis, chainId)
      return wordOf(
        protocol.verifyAdvance(trusted, protocol.anchorAnswer(value, 'anchor'), { genesis, chainId, now: NOW }),
      )
    },
    { cost: 10 },
  ),
  jsonDecoder(
    'verifyNext',
    acceptedBy((value) => protocol.sealedHeaderShape(value, 'header')),
    (value) => {
      const { genesis, chainId } = chainOf(value)
      const sealed = protocol.sealedHeaderShape(value, 'header')
      return wordOf(
        protocol.verifyNext(protocol.trustGenesis(genesis, chainId), sealed, { genesis, chainId, now: NOW }),
      )
    },
  ),
  jsonDecoder(
    'verifyBlockBody',
    acceptedBy((value) => protocol.shownBlockShape(value, 'block')),
    (value) => {
      const { header, transactions } = protocol.shownBlockShape(value, 'block')
      protocol.verifyBlockBody(header, transactions, chainOf(value).genesis)
    },
    { cost: 2 },
  ),
  jsonDecoder(
    'Registry.after',
    acceptedBy((value) => protocol.registryTransactionShape(value, 'transaction')),
    (value) => {
      const { genesis } = chainOf(value)
      const change = protocol.registryTransactionShape(value, 'transaction')
      protocol.Registry.fromGenesis(genesis).after([change], 5, new Set())
    },
    { cost: 4 },
  ),
  jsonDecoder(
    'hashTransaction',
    acceptedBy((value) => protocol.transactionShape(value, 'transaction')),
    (value) => {
      const transaction = protocol.transactionShape(value, 'transaction')
      protocol.checkTransaction(transaction, 6)
      protocol.hashTransaction(transaction)
    },
  ),
  jsonDecoder(
    'verifyMerkleProof',
    acceptedBy((value) => protocol.merkleProofShape(value, 'proof')),
    (value) => {
      const proof = protocol.merkleProofShape(value, 'proof')
      const header = { ...EXAMPLE_HEADER, tx_count: proof.tx_count }
      return wordOf(protocol.verifyMerkleProof(SOME_HASH, proof, header))
    },
  ),
  jsonDecoder(
    'verifyInclusion',
    acceptedBy((value) => protocol.inclusionProofShape(value, 'proof')),
    (value) => wordOf(protocol.verifyInclusion(SOME_HASH, protocol.inclusionProofShape(value, 'proof'), SOME_HASH)),
  ),
  jsonDecoder(
    'verifyConsistency',
    acceptedBy((value) => protocol.consistencyProofShape(value, 'proof')),
    (value) => wordOf(protocol.verifyConsistency(protocol.consistencyProofShape(value, 'proof'), SOME_HASH, SOME_HASH)),
  ),
  jsonDecoder(
    'canonicalText',
    acceptedBy((value) => protocol.headerShape(value, 'header')),
    (value) => {
      const text = protocol.canonicalText(value)
      if (protocol.canonicalText(protocol.parseCanonicalText(text)) !== text) throw new Error('it does not come back')
    },
  ),
]

const EXAMPLE_HEADER = protocol.headerShape(acceptedBy((value) => protocol.headerShape(value, 'header'))[0], 'header')

const textsOf = (decode: (text: string) => unknown): readonly string[] =>
  acceptedBy((value) => (typeof value === 'string' ? decode(value) : protocol.hash32('', 'it'))) as readonly string[]
/** Notes are long, and their lines are what is read of them. */
const lines = texts.flatMap((text) => text.split('\n')).filter((line) => line.startsWith('\u2014 '))
const AUTHORIZATION =
  'Solar voter_id="alice", to="https://ledger.example.org", timestamp="1760000500000", ' +
  `id="${'a'.repeat(32)}", signature="${'b'.repeat(128)}"`
const documents = acceptedBy((value) => protocol.headerShape(value, 'header')).map((value) =>
  protocol.canonicalText(value),
)
const NOTES = textsOf(protocol.parseNote)
const CHECKPOINTS = textsOf(protocol.parseCheckpoint)
/** What a signer is asked to sign, of each kind. */
const SIGNED = [
  ...documents.slice(0, 2).map((header) => `solar-node/v1/header\n${EXAMPLE_HEADER.chain_id}\n${header}`),
  `solar-node/v1/member\n${SOME_HASH}\n{"a":1}`,
  ...CHECKPOINTS.slice(0, 2),
  ...CHECKPOINTS.slice(0, 1).map((text) => `cosignature/v1\ntime 1700000000\n${text}`),
]
const VERIFIER_KEY = protocol.formatVerifierKey({
  name: 'ledger.example.org/street',
  public_key: protocol.signingKeyFromSecret(new Uint8Array(32).fill(1)).publicKey,
  type: 'ed25519',
})

const readers: readonly Decoder[] = [
  textDecoder('parseCanonicalText', documents, (text) => void protocol.parseCanonicalText(text)),
  bytesDecoder('parseCanonicalBytes', documents, (bytes) => void protocol.parseCanonicalBytes(bytes)),
  bytesDecoder(
    'decodeText',
    [...documents.slice(0, 2), Buffer.from('\ufeffa text', 'utf16le')],
    (bytes) => void protocol.decodeText(bytes),
  ),
  textDecoder('parseNote', NOTES, (text) => void protocol.parseNote(text)),
  bytesDecoder('parseNoteBytes', NOTES, (bytes) => void protocol.parseNoteBytes(bytes)),
  textDecoder('parseCheckpoint', CHECKPOINTS, (text) => void protocol.parseCheckpoint(text)),
  bytesDecoder('parseSignedMessage', SIGNED, (bytes) => protocol.parseSignedMessage(bytes).type),
  textDecoder('parseSignatureLine', lines, (text) => void protocol.parseSignatureLine(text)),
  textDecoder('parseVerifierKey', [VERIFIER_KEY], (text) => void protocol.parseVerifierKey(text)),
  textDecoder(
    'parseAddCheckpoint',
    textsOf(protocol.parseAddCheckpoint),
    (text) =>
      String(protocol.checkAddCheckpoint(protocol.parseAddCheckpoint(text), { keys: [SOME_KEY], last: null }).status),
    { cost: 2 },
  ),
  textDecoder('parseSize', ['0', '123456'], (text) => void protocol.parseSize(text, 'size')),
  textDecoder('parseQuantity', ['0', '12.345678'], (text) => void protocol.parseQuantity(text)),
  textDecoder('parseDelta', ['-0.25', '12.345678'], (text) => void protocol.parseDelta(text)),
  textDecoder('normalizeQuantity', ['0.750000', '1e3', '.5'], (text) => void protocol.normalizeQuantity(text)),
  textDecoder('normalizeDelta', ['-0.750000', '+1e3'], (text) => void protocol.normalizeDelta(text)),
  textDecoder('base64ToBytes', ['', 'Az3grlgtzPIC', 'Zm8='], (text) => void protocol.base64ToBytes(text)),
  textDecoder(
    'importPublicKey',
    chains.flatMap(({ genesis }) => genesis.registry.map((entry) => entry.public_key)).slice(0, 8),
    (text) => void protocol.importPublicKey(text),
  ),
  textDecoder(
    'parseAuthorization',
    [AUTHORIZATION],
    (text) => void protocol.parseAuthorization(text, 'GET', '/transactions?from=0'),
  ),
]
const SOME_KEY = protocol.signingKeyFromSecret(new Uint8Array(32).fill(1)).publicKey

export const protocolDecoders: readonly Decoder[] = [...shapes, ...verifiers, ...readers]

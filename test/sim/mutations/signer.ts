import type { Mutation } from './mutation.ts'

const SIGNER = 'src/engine/signer.ts'
const TEST = 'test/unit/engine/signer.test.ts'

/** What a signer signs once, whoever asks. */
export const SIGNERS: readonly Mutation[] = [
  {
    rule: 'a signer seals no second header of a height',
    patches: [{ file: SIGNER, from: 'height <= last.header.height', to: 'height < last.header.height' }],
    test: TEST,
  },
  {
    rule: 'a signer seals nothing below the highest height that it has sealed',
    patches: [{ file: SIGNER, from: 'height <= last.header.height', to: 'height === last.header.height' }],
    test: TEST,
  },
  {
    rule: 'what a signer has sealed is on the disk before the signature leaves it',
    patches: [{ file: SIGNER, from: 'await memory.putSealed(', to: 'void memory.putSealed(' }],
    test: TEST,
  },
  {
    rule: 'a signer acks no second block of a height',
    patches: [{ file: SIGNER, from: 'if (known !== undefined) {', to: 'if (known === header_hash) {' }],
    test: TEST,
  },
  {
    rule: 'a signer signs one thing at a time',
    patches: [
      { file: SIGNER, from: 'return await inTurn(() => sign(key, message))', to: 'return await sign(key, message)' },
    ],
    test: TEST,
  },
  {
    rule: 'whoever has the server cannot have the registry changed',
    patches: [{ file: SIGNER, from: 'if (!types.includes(said.type)) {', to: "if (said.type === 'order') {" }],
    test: TEST,
  },
  {
    rule: 'the height is looked at again after a signer took its time',
    patches: [
      {
        file: 'src/engine/sealer.ts',
        from: '    checkAllowed(transactions)\n    const block_hash',
        to: '    const block_hash',
      },
    ],
    test: 'test/unit/engine/seal-order.test.ts',
  },
  {
    rule: 'a node stores no signature that does not hold',
    patches: [
      {
        file: 'src/node/signer-client.ts',
        from: 'if (verifyBytes(signature, message, cachedPublicKey(publicKey))) return signature',
        to: 'if (signature.length === 64) return signature',
      },
    ],
    test: 'test/unit/node/signer-http.test.ts',
  },
  {
    rule: 'a block that a signer has sealed by a key which this database lacks is missed here',
    patches: [{ file: 'src/engine/heed-signer.ts', from: ': await isUnknown(public_key, parts)', to: ': false' }],
    test: 'test/e2e/signer/recover.long.ts',
  },
]

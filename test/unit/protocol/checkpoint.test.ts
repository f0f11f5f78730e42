import assert from 'node:assert/strict'
import { base64ToBytes, bytesToBase64 } from '../../../src/protocol/base64.ts'
import { bytesToHex, concatBytes, hexToBytes } from '../../../src/protocol/bytes.ts'
import { checkpointText, cosignerName, parseCheckpoint, verifyCheckpoint } from '../../../src/protocol/checkpoint.ts'
import {
  formatNote,
  formatVerifierKey,
  isKeyName,
  noteKeyId,
  parseNote,
  parseVerifierKey,
  verifyNote,
  type NoteKey,
} from '../../../src/protocol/note.ts'
import { readShared, sharedFolder } from '../../helpers/shared.ts'
import { cosignNote, signCheckpoint } from '../../helpers/sign-now.ts'
import { namedKey } from '../../helpers/test-chain.ts'

const key = namedKey('authority')
const TREE = { origin: 'ledger.example.org/street', size: 17, root: 'ab'.repeat(32) }

describe('a checkpoint', () => {
  it('is three lines, an empty one, and a signature line', () => {
    const note = formatNote(signCheckpoint(TREE, key))
    const lines = note.split('\n')
    assert.deepEqual(lines.slice(0, 4), [TREE.origin, '17', bytesToBase64(hexToBytes(TREE.root)), ''])
    assert.ok(lines[4]!.startsWith(`\u2014 ${TREE.origin} `))
    assert.deepEqual([lines.length, lines[5]], [6, ''])
    assert.equal(formatNote(parseNote(note)), note)
  })

  it('is read back as what was signed', () => {
    const verdict = verifyCheckpoint(formatNote(signCheckpoint(TREE, key)), TREE.origin, key.publicKey)
    assert.deepEqual(verdict, { ok: true, checkpoint: TREE, witnesses: [] })
  })

  it('has the key id that signed-note computes: SHA-256(name, 0x0A, type, key)[:4]', () => {
    // The published example: example.com/behind-the-sofa has the key id 033de0ae.
    const line = 'Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8='
    assert.equal(bytesToHex(base64ToBytes(line).subarray(0, 4)), '033de0ae')
    const plain: NoteKey = { name: TREE.origin, public_key: key.publicKey, type: 'ed25519' }
    assert.notEqual(noteKeyId(plain), noteKeyId({ ...plain, type: 'cosignature' }))
    const [signature] = signCheckpoint(TREE, key).signatures
    assert.equal(signature?.key_id, noteKeyId(plain))
  })

  it('reads the example of the specification', () => {
    const note = parseNote(
      'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n' +
        '\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n' +
        '\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n',
    )
    assert.equal(parseCheckpoint(note.text).size, 20852163)
    assert.equal(note.signatures[1]?.signature.length, 72)
  })

  it('names validators below its origin, without a plus', () => {
    const name = cosignerName(TREE.origin, 'v+1@home')
    assert.equal(name, 'ledger.example.org/street/v%2B1@home')
    assert.ok(isKeyName(name))
    for (const bad of ['', 'a b', 'a+b', 'a\tb', 'a\u00a0b', 'a\u0085b', 'a\n'])
      assert.ok(!isKeyName(bad), JSON.stringify(bad))
  })

  it('keeps the time of a cosignature, to the last second that there is', () => {
    const text = checkpointText(TREE)
    const signer: NoteKey = { name: 'witness.example', public_key: key.publicKey, type: 'cosignature' }
    for (const seconds of [0, 1_679_315_147, Number.MAX_SAFE_INTEGER]) {
      const verdict = verifyNote({ text, signatures: [cosignNote(text, signer.name, seconds, key)] }, [signer])
      assert.ok(verdict.ok && verdict.signers[0]?.timestamp === BigInt(seconds))
    }
  })
})

describe('a verifier key', () => {
  // The published example of signed-note.
  const PUBLISHED = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'

  it('is read as C2SP tools write it, and written the same', () => {
    const peter = parseVerifierKey(PUBLISHED)
    assert.deepEqual([peter.name, peter.type], ['PeterNeumann', 'ed25519'])
    assert.equal(noteKeyId(peter), 'c74f20a3')
    for (const type of ['ed25519', 'cosignature'] as const) {
      const own: NoteKey = { name: 'witness.example/w1', public_key: key.publicKey, type }
      assert.deepEqual(parseVerifierKey(formatVerifierKey(own)), own)
    }
    assert.equal(formatVerifierKey(peter), PUBLISHED)
  })

  it('is refused when its parts do not belong together', () => {
    const [name, id, encoded] = PUBLISHED.split('+') as [string, string, string]
    const wrong = [
      `${name}+${id}`,
      `${name}+c74f20a4+${encoded}`,
      `Peter Neumann+${id}+${encoded}`,
      `+${id}+${encoded}`,
      `${name}+${id}+${encoded.slice(0, -4)}`,
      `${name}+${id}+Ah${encoded.slice(2)}`,
      '',
    ]
    for (const text of wrong) assert.throws(() => parseVerifierKey(text), { code: 'malformed' }, text)
  })
})

interface RealVector {
  readonly name: string
  readonly origin: string
  readonly size: number
  readonly root_base64: string
  readonly log_public_key_hex: string
  readonly log_signature_hex: string
  readonly cosignatures: readonly {
    readonly witness: string
    readonly public_key_hex: string
    readonly timestamp: number
    readonly signature_hex: string
  }[]
}

function withRealCosignatures(): void {
  const { vectors } = JSON.parse(readShared('vectors/c2sp/cosignature-v1-real.json')) as { vectors: RealVector[] }

  describe('cosignatures of public witnesses', () => {
    for (const vector of vectors) {
      const tree = { origin: vector.origin, size: vector.size, root: bytesToHex(base64ToBytes(vector.root_base64)) }
      const text = checkpointText(tree)
      const seconds = (time: number) => hexToBytes(time.toString(16).padStart(16, '0'))
      const signed = (of: RealVector['cosignatures'][number], shift = 0) => {
        const signer: NoteKey = { name: of.witness, public_key: of.public_key_hex, type: 'cosignature' }
        const signature = concatBytes(seconds(of.timestamp + shift), hexToBytes(of.signature_hex))
        return { signer, line: { name: of.witness, key_id: noteKeyId(signer), signature } }
      }

      it(`${vector.name} is signed by its log and by each of its witnesses`, () => {
        const log: NoteKey = { name: vector.origin, public_key: vector.log_public_key_hex, type: 'ed25519' }
        const logLine = { name: vector.origin, key_id: noteKeyId(log), signature: hexToBytes(vector.log_signature_hex) }
        const cosigned = vector.cosignatures.map((one) => signed(one))
        const note = formatNote({ text, signatures: [logLine, ...cosigned.map(({ line }) => line)] })
        const witnesses = cosigned.map(({ signer }) => signer)
        const verdict = verifyCheckpoint(note, vector.origin, vector.log_public_key_hex, witnesses)
        assert.ok(verdict.ok)
        assert.deepEqual(
          verdict.witnesses.map(({ key: { name } }) => name),
          vector.cosignatures.map(({ witness }) => witness),
        )
      })

      it(`${vector.name} is not cosigned for a second later`, () => {
        const { signer, line } = signed(vector.cosignatures[0]!, 1)
        const verdict = verifyNote({ text, signatures: [line] }, [signer])
        assert.ok(!verdict.ok && verdict.code === 'bad_note_signature')
      })
    }
  })
}

if (sharedFolder !== undefined) withRealCosignatures()

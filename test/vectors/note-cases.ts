import { bytesToBase64 } from '../../src/protocol/base64.ts'
import { checkpointText, verifyCheckpoint } from '../../src/protocol/checkpoint.ts'
import { hexToBytes } from '../../src/protocol/bytes.ts'
import { historyLeaf, MemoryTree } from '../../src/protocol/history.ts'
import { formatNote, formatSignature, noteKeyId, parseNote, type NoteKey } from '../../src/protocol/note.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import {
  checkAddCheckpoint,
  formatAddCheckpoint,
  parseAddCheckpoint,
  type WitnessedLog,
} from '../../src/protocol/witness.ts'
import { cosignNote, signCheckpoint } from '../helpers/sign-now.ts'
import { namedKey } from '../helpers/test-chain.ts'
import { outcomeOf, type VectorFile } from './case.ts'
import { testHeaderHash } from './keys.ts'

/** C2SP notes, checkpoints and cosignatures over the history of the test header hashes. */
const ORIGIN = 'ledger.example.org/test-street'
const LOG = namedKey('authority')
const TREE = new MemoryTree(Array.from({ length: 20 }, (_, i) => historyLeaf(testHeaderHash(i))))
const WITNESSES: readonly NoteKey[] = ['witness.example/one', 'witness.example/two'].map((name) => ({
  name,
  public_key: namedKey(name).publicKey,
  type: 'cosignature',
}))
const [ONE, TWO] = WITNESSES.map(({ name }) => name) as [string, string]
const SECONDS = 1_760_000_000

const treeOf = (size: number) => ({ origin: ORIGIN, size, root: TREE.root(size) })

/** A checkpoint of the log, cosigned by these. */
function noteOf(size: number, witnesses: readonly string[] = []): string {
  const { text, signatures } = signCheckpoint(treeOf(size), LOG)
  const cosigned = witnesses.map((name) => cosignNote(text, name, SECONDS + size, namedKey(name)))
  return formatNote({ text, signatures: [...signatures, ...cosigned] })
}

/** The line of `name`, signed for another time than it says. */
function otherTime(name: string): string {
  const cosignature = cosignNote(checkpointText(treeOf(7)), name, SECONDS, namedKey(name))
  const signature = cosignature.signature.slice()
  signature[7]! ^= 1
  return formatSignature({ ...cosignature, signature })
}

const plain = noteOf(7)
const both = noteOf(7, [ONE, TWO])
const rootLine = bytesToBase64(hexToBytes(TREE.root(7)))

const NOTES: readonly (readonly [name: string, note: string])[] = [
  ['a checkpoint', plain],
  ['of the empty tree', noteOf(0)],
  ['with two cosignatures', both],
  ['with a cosignature of a witness that is not known', noteOf(7, ['witness.example/three', ONE])],
  ['with a line of another key under a known name', plain + both.split('\n').at(-2)!.replace('two', 'one') + '\n'],
  ['with the same cosignature twice', noteOf(7, [ONE, ONE])],
  ['with a cosignature whose time was changed', plain + otherTime(ONE)],
  ['with a cosignature of another size', plain + noteOf(8, [ONE]).split('\n').at(-2)! + '\n'],
  ['with extension lines', extended()],
  ['with another size', plain.replace('\n7\n', '\n8\n')],
  ['with another root', plain.replace(rootLine, bytesToBase64(hexToBytes(TREE.root(8))))],
  ['of another origin', plain.replaceAll('test-street', 'next-street')],
  ['without the signature of the log', noteOf(7, [ONE]).replace(/^\u2014 ledger.*\n/m, '')],
  ['without any signature', `${checkpointText(treeOf(7))}\n`],
  ['without a blank line', plain.replace('\n\n', '\n')],
  ['without its last line break', plain.slice(0, -1)],
  ['with a size with a leading zero', plain.replace('\n7\n', '\n07\n')],
  ['with a hyphen for the dash', plain.replace('\u2014', '-')],
  ['with a space behind a line', plain.replace(/=\n$/, '= \n')],
  ['with a plus in the key name', plain.replace('\u2014 ledger', '\u2014 +ledger')],
  ['with base64 without padding', plain.replace(/=+\n$/, '\n')],
  ['with base64 of another spelling', plain.replace(/.=\n$/, '')],
  ['with a carriage return', plain.replace('\n7\n', '\r\n7\n')],
  ['with two lines only', plain.replace(`${rootLine}\n`, '')],
  ['with a root of 31 bytes', plain.replace(rootLine, bytesToBase64(hexToBytes(TREE.root(7)).slice(1)))],
]

function extended(): string {
  const text = `${checkpointText(treeOf(7))}an extension line\n`
  const line = signCheckpoint(treeOf(7), LOG).signatures[0]!
  return formatNote({ text, signatures: [{ ...line, signature: LOG.signNow(new TextEncoder().encode(text)) }] })
}

/** Checkpoints as signed notes, with cosignatures. */
export function checkpointCases(): VectorFile {
  return {
    about:
      'C2SP checkpoints (tlog-checkpoint, signed-note) with cosignature/v1 lines. "cosigners": which of the known witnesses signed. Header hashes as in history-roots.json. Key ids: ' +
      [{ name: ORIGIN, public_key: LOG.publicKey, type: 'ed25519' } as const, ...WITNESSES]
        .map((key) => `${key.name} ${noteKeyId(key)}`)
        .join(', '),
    cases: NOTES.map(([name, note]) => {
      const found: { size?: number; root?: string; cosigners?: readonly string[] } = {}
      const outcome = outcomeOf(() => {
        const verdict = verifyCheckpoint(parseNote(note), ORIGIN, LOG.publicKey, WITNESSES)
        if (!verdict.ok) return verdict
        const { size, root } = verdict.checkpoint
        Object.assign(found, { size, root, cosigners: verdict.witnesses.map(({ key }) => key.name) })
        return undefined
      })
      const known = WITNESSES.map(({ name: witness, public_key }) => [witness, public_key])
      return { name, note, origin: ORIGIN, log_key: LOG.publicKey, witnesses: known, ...outcome, ...found }
    }),
  }
}

const logAt = (size: number | null): WitnessedLog => ({
  keys: [LOG.publicKey],
  last: size === null ? null : { size, root: TREE.root(size) },
})
const bodyOf = (oldSize: number, size: number, proof = proofOf(oldSize, size)): string =>
  formatAddCheckpoint({ oldSize, proof, note: parseNote(noteOf(size)) })
const proofOf = (from: number, to: number) => (from === 0 || from >= to ? [] : TREE.consistency(from, to).path)

const SUBMISSIONS: readonly (readonly [name: string, body: string, log: WitnessedLog | null])[] = [
  ['the first checkpoint', bodyOf(0, 5), logAt(null)],
  ['a checkpoint that extends the last', bodyOf(5, 12), logAt(5)],
  ['one from a power of two', bodyOf(8, 13), logAt(8)],
  ['the same checkpoint again', bodyOf(12, 12), logAt(12)],
  ['a log that is not known', bodyOf(0, 5), null],
  ['a log whose key is another', bodyOf(0, 5), { keys: [namedKey('stranger').publicKey], last: null }],
  ['an old size above the new one', bodyOf(12, 5), logAt(12)],
  ['an old size below the last', bodyOf(5, 12), logAt(8)],
  ['an old size above the last', bodyOf(8, 12), logAt(5)],
  ['an old size where nothing was cosigned', bodyOf(5, 12), logAt(null)],
  ['old size 0 where something was cosigned', bodyOf(0, 12), logAt(5)],
  [
    'the same size with another root',
    bodyOf(12, 12),
    { keys: [LOG.publicKey], last: { size: 12, root: TREE.root(11) } },
  ],
  ['a proof that leads elsewhere', bodyOf(5, 12), { keys: [LOG.publicKey], last: { size: 5, root: TREE.root(6) } }],
  ['a proof that is too short', bodyOf(5, 12, proofOf(5, 12).slice(1)), logAt(5)],
  ['no proof', bodyOf(5, 12, []), logAt(5)],
  ['a proof from size 0', bodyOf(0, 5, proofOf(3, 5)), logAt(null)],
  ['a proof between equal sizes', bodyOf(12, 12, proofOf(5, 12)), logAt(12)],
  [
    '64 proof lines',
    bodyOf(
      5,
      12,
      Array.from({ length: 64 }, () => TREE.root(1)),
    ),
    logAt(5),
  ],
  ['a proof line of 31 bytes', bodyOf(5, 12).replace('\n', `\n${bytesToBase64(new Uint8Array(31))}\n`), logAt(5)],
  ['no old size', bodyOf(0, 5).replace('old 0\n', ''), logAt(null)],
  ['an old size with a leading zero', bodyOf(5, 12).replace('old 5', 'old 05'), logAt(5)],
  ['a negative old size', bodyOf(5, 12).replace('old 5', 'old -5'), logAt(5)],
  ['no blank line', bodyOf(0, 5).replace('\n\n', '\n'), logAt(null)],
  ['a checkpoint without signatures', bodyOf(0, 5).replace(/^\u2014.*\n/m, ''), logAt(null)],
  ['nothing', '', logAt(null)],
]

/** What a witness answers to add-checkpoint. */
export function submissionCases(): VectorFile {
  return {
    about:
      'Bodies of add-checkpoint (tlog-witness), what the witness knows of the log ("log", null: not known), and the HTTP status of its answer.',
    cases: SUBMISSIONS.map(([name, body, log]) => {
      const status = statusOf(body, log)
      return { name, body, log, ok: status === 200, status }
    }),
  }
}

function statusOf(body: string, log: WitnessedLog | null): number {
  try {
    return checkAddCheckpoint(parseAddCheckpoint(body), log ?? undefined).status
  } catch (error) {
    if (isSolarError(error, 'malformed')) return 400
    throw error
  }
}

import type { Command } from 'commander'
import type { Hash } from '../../protocol/bytes.ts'
import { parseJsonFile } from '../../ports/json-file.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { parseVerifierKey, type NoteKey } from '../../protocol/note.ts'
import { verifyReceipt, type ReceiptVerdict } from '../../protocol/receipt-verify.ts'
import { chainIdOption, EXIT, printResult, UsageError } from '../output.ts'
import { transactionLines } from '../transaction-lines.ts'
import { readUserFile } from '../user-file.ts'

const EXAMPLES = `
Examples:
  solar-node verify receipt.json --chain <chain_id>
  solar-node verify receipt.json --chain <chain_id> --json
  solar-node verify receipt.json --chain <chain_id> --witness example.org/street/v1+5e1c9d0b+BO...=

It needs no network. Exit 0: valid, final or at least sealed; 1: not, or no receipt; each with the reason.`

/** Far above any receipt: with a registry of 1,000 in its genesis it has some 200 KB. */
const MAX_BYTES = 64 * 1024 * 1024

interface VerifyOptions {
  readonly chain: string
  readonly witness?: readonly string[]
  readonly json?: true
}

/** `solar-node verify`: a receipt against a pinned chain_id, offline. */
export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('check a receipt against a pinned chain, without any network')
    .argument('<receipt.json>', 'a receipt, as prove --out or the platform gave it')
    .requiredOption('--chain <chain_id>', 'the chain to trust')
    .option(
      '--witness <verifier_key...>',
      'witnesses to trust, as C2SP verifier keys: their cosignatures must hold, and are named',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options, command: Command) => {
      const { chain, witness = [], json } = command.optsWithGlobals<VerifyOptions>()
      const witnesses = witness.map(witnessOption)
      const verdict = verify(await readReceipt(file), chainIdOption(chain), witnesses)
      printResult(json === true, describe(verdict), resultOf(verdict))
      if (!verdict.ok) process.exitCode = EXIT.failed
    })
}

function witnessOption(text: string): NoteKey {
  try {
    return parseVerifierKey(text)
  } catch (error) {
    if (isSolarError(error, 'malformed')) throw new UsageError(`--witness: ${error.message}`)
    throw error
  }
}

async function readReceipt(file: string): Promise<Uint8Array> {
  const bytes = await readUserFile(file, file, MAX_BYTES)
  if (bytes.length <= MAX_BYTES) return bytes
  throw new Error(`${file} is no receipt: it has more than ${MAX_BYTES} bytes`)
}

/** What is not JSON fails at the format, as a receipt that is not in shape does. */
function verify(bytes: Uint8Array, chainId: Hash, witnesses: readonly NoteKey[]): ReceiptVerdict {
  const parsed = parseJsonFile(bytes)
  if ('value' in parsed) return verifyReceipt(parsed.value, chainId, { witnesses })
  return { ok: false, passed: [], failed: 'format', code: 'malformed', reason: parsed.fault }
}

function describe(verdict: ReceiptVerdict): string[] {
  const lines = verdict.passed.map(({ check, detail }) => `${check.padEnd(12)}${detail}`)
  if (!verdict.ok)
    return [...lines, `${verdict.failed.padEnd(12)}FAILED ${verdict.code}: ${verdict.reason}`, 'not valid']
  const { transaction, anchor, header, corrections = [] } = verdict.receipt
  const upTo = `block ${(anchor?.header ?? header).height}`
  const { currency } = verdict.receipt.genesis
  const made = corrections.flatMap(({ transaction: tx }) => (tx.kind === 'correction' ? [tx] : []))
  return [
    ...transactionLines(transaction, made, currency),
    ...lines,
    verdict.status === 'final'
      ? `valid       ${transaction.id} is final`
      : `valid       ${transaction.id} is sealed, not final: the votes that finality takes are not in this receipt`,
    `            corrections above ${upTo}, if there are any, are not in it`,
  ]
}

function resultOf(verdict: ReceiptVerdict): object {
  const { passed } = verdict
  if (!verdict.ok) {
    const { failed, code, reason } = verdict
    return { valid: false, passed, failed, code, reason }
  }
  const { status, net, witnesses, receipt } = verdict
  return { valid: true, status, transaction: receipt.transaction, net, witnesses, passed }
}

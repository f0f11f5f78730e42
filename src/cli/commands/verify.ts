import { readFile, stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { isSolarError } from '../../protocol/errors.ts'
import { parseVerifierKey, type NoteKey } from '../../protocol/note.ts'
import { verifyReceipt, type ReceiptVerdict } from '../../protocol/receipt-verify.ts'
import { decodeText } from '../../protocol/text.ts'
import { chainIdOption, EXIT, printResult, UsageError } from '../output.ts'
import { transactionLines } from '../transaction-lines.ts'

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
      const verdict = verifyReceipt(await readJson(file), chainIdOption(chain), { witnesses })
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

/** The parsed file; `undefined` for what is not JSON, which is no receipt. */
async function readJson(file: string): Promise<unknown> {
  const bytes = await readFileOrRefuse(file)
  try {
    return JSON.parse(decodeText(bytes))
  } catch {
    return undefined
  }
}

async function readFileOrRefuse(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file)
    if (size <= MAX_BYTES) return await readFile(file)
  } catch (error) {
    throw new UsageError(
      `${file}: expected a readable file (${error instanceof Error ? error.message : String(error)})`,
    )
  }
  throw new Error(`${file} is no receipt: it has more than ${MAX_BYTES} bytes`)
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

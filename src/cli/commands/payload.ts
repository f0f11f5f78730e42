import type { Command } from 'commander'
import { decryptPayload } from '../../payload/payload.ts'
import { parseJsonFile } from '../../ports/json-file.ts'
import { bytesToBase64 } from '../../protocol/base64.ts'
import { bytesToUtf8, equalBytes, utf8ToBytes } from '../../protocol/bytes.ts'
import { payloadShape } from '../../protocol/payload.ts'
import { isJsonObject } from '../../protocol/shape.ts'
import { openKeyFile } from '../keys/key-files.ts'
import type { GlobalOptions } from '../program.ts'
import { readUserFile } from '../user-file.ts'

const EXAMPLES = `
Examples:
  solar-node payload decrypt receipt.json --key-file ./solar-data/voter.key
  solar-node prove TX_ID --peer ... --chain ... --key ./solar-data/voter.key --json > proof.json
  solar-node payload decrypt proof.json --key-file ./solar-data/voter.key

FILE is a receipt, a proof or a trade as JSON, or the payload alone in base64. An auditor opens it with the tools of age:
  jq -r .transaction.payload receipt.json | base64 -d | age -d -i auditor.txt`

/** Of a receipt; see `verify`. */
const MAX_BYTES = 64 * 1024 * 1024

interface DecryptOptions extends GlobalOptions {
  readonly keyFile: string
  readonly passphraseFile?: string
}

/** `solar-node payload decrypt`: what a trade says to its parties alone. */
export function registerPayload(program: Command): void {
  program
    .command('payload')
    .description('open what a trade carries for its parties and auditors alone')
    .addHelpText('after', EXAMPLES)
    .command('decrypt')
    .description('decrypt the payload of a trade with the key of a device of one of its parties')
    .argument('<file>', 'a receipt, a proof or a trade (JSON), or a payload (base64)')
    .requiredOption('--key-file <file>', 'key file of the device that it was encrypted for')
    .option('--passphrase-file <file>', 'opens an encrypted key file; without it the passphrase is asked for')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options, command: Command) => {
      const { keyFile, passphraseFile, json } = command.optsWithGlobals<DecryptOptions>()
      const payload = await payloadIn(file)
      const { secret } = await openKeyFile(keyFile, passphraseFile)
      print(await decryptPayload(payload, secret), json === true)
    })
}

async function payloadIn(file: string): Promise<string> {
  const bytes = await readUserFile(file, file, MAX_BYTES)
  if (bytes.length > MAX_BYTES) throw new Error(`${file} is no receipt: it has more than ${MAX_BYTES} bytes`)
  const parsed = parseJsonFile(bytes)
  if (!('value' in parsed)) return payloadShape(bytesToUtf8(bytes).trim(), file)
  const { value } = parsed
  const trade = isJsonObject(value) && isJsonObject(value.transaction) ? value.transaction : value
  if (isJsonObject(trade) && trade.payload !== undefined) return payloadShape(trade.payload, `${file}: payload`)
  throw new Error(
    `${file}: this trade has no payload, or the file shows no trade: expected a receipt, a proof or a trade`,
  )
}

/**
 * As it is for a program; a terminal gets nothing that it would take for a command: whoever made the
 * payload has chosen it.
 */
function print(plain: Uint8Array, json: boolean): void {
  const text = bytesToUtf8(plain)
  const isText = equalBytes(utf8ToBytes(text), plain)
  if (json) process.stdout.write(`${JSON.stringify(isText ? { text } : { base64: bytesToBase64(plain) })}\n`)
  else if (process.stdout.isTTY) process.stdout.write(`${text.replace(/[^\P{Cc}\n\t]/gu, '?')}\n`)
  else process.stdout.write(plain)
}

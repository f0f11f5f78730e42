import type { Command } from 'commander'
import { array, identifier, object } from '../../protocol/shape.ts'
import { redactionReason, redactionShape, type Redaction } from '../../protocol/redaction.ts'
import { fromShape } from '../../config/values.ts'
import { authorityUrl } from '../keys/submit.ts'
import { printResult, UsageError } from '../output.ts'
import type { GlobalOptions } from '../program.ts'
import { okBody } from '../replay/authority.ts'
import { createHttpClient } from '../replay/http-client.ts'
import { readTokenFile } from '../token-file.ts'

const EXAMPLES = `
Example:
  solar-node redact trade-17 --reason "erasure asked for on 2026-03-01" --by mia \\
      --to http://127.0.0.1:8080 --token-file operator.token

This cannot be undone. The trade must be final; its corrections and what its orders tell go with it. Its hash stays in its block,
so all other proofs, and receipts that were given out before, keep verifying. Run it at the authority first, then at each
validator (--to its HTTP address, with its own operator token). Backups keep what they have.`

interface RedactOptions extends GlobalOptions {
  readonly to: string
  readonly tokenFile: string
  readonly reason: string
  readonly by: string
}

/** An authority that restarts is waited for this long. */
const PATIENCE_MS = 10_000
const answerShape = object({ redactions: array(redactionShape, 1_000_000) })

/** `solar-node redact`: removes the body of a trade from a running node. */
export function registerRedact(program: Command): void {
  program
    .command('redact')
    .description('remove the body of a trade for good; its hash stays, and everything else stays provable')
    .argument('<tx_id>', 'the id of the trade')
    .requiredOption('--reason <text>', 'why; it is kept and shown, so nothing of what the trade said')
    .requiredOption('--to <url>', 'the authority, or a validator, such as http://127.0.0.1:8080')
    .requiredOption('--token-file <file>', 'file with its operator token')
    .option('--by <name>', 'who asks for it; kept with the reason', 'operator')
    .addHelpText('after', EXAMPLES)
    .action(async (id: string, _options, command: Command) => {
      const options = command.optsWithGlobals<RedactOptions>()
      const redactions = await redact(id, options)
      printResult(options.json === true, redactions.map(lineOf), { redactions })
    })
}

async function redact(id: string, { to, tokenFile, reason, by }: RedactOptions): Promise<readonly Redaction[]> {
  const wrong = (what: string, expected: string) => new UsageError(`${what}: expected ${expected}`)
  if (fromShape(identifier)(id) === undefined) throw wrong('tx_id', 'the id of a transaction')
  if (fromShape(identifier)(by) === undefined) throw wrong('--by', 'a name [A-Za-z0-9._:@+-]{1,64}')
  if (fromShape(redactionReason)(reason) === undefined) throw wrong('--reason', '1 to 200 printable ASCII characters')
  const http = createHttpClient({
    baseUrl: authorityUrl(to),
    token: await readTokenFile(tokenFile),
    patienceMs: PATIENCE_MS,
    signal: new AbortController().signal,
    notice: (line) => process.stderr.write(`solar-node: ${line}\n`),
  })
  try {
    const path = `transactions/${encodeURIComponent(id)}/redact`
    return answerShape(okBody(`redact ${id}`, await http.post(path, { reason, redacted_by: by })), 'answer').redactions
  } finally {
    http.close()
  }
}

const lineOf = ({ tx_id, tx_hash, height, redacted_by, redacted_at }: Redaction): string => {
  const when = redacted_at === null ? 'before its block came here' : `on ${new Date(redacted_at).toISOString()}`
  return `redacted    ${tx_id ?? 'unknown'} in block ${height}, ${when} by ${redacted_by ?? 'nobody known here'}: ${tx_hash} is left`
}

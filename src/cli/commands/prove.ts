import type { Command } from 'commander'
import { hash32 } from '../../protocol/shape.ts'
import { hashHeader } from '../../protocol/header.ts'
import { loadKeyFile } from '../../keys/key-file.ts'
import type { Proved } from '../../node/prove.ts'
import { printResult, UsageError } from '../output.ts'

const EXAMPLES = `
Examples:
  solar-node prove 2016-08-08T12:00:00.0 --peer /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW... --chain <chain_id>
  solar-node prove 2016-08-08T12:00:00.0 --peer ... --chain ... --key ./solar-data/voter.key`

/** The whole command ends within 20 s (docs: cli); stopping may take 1.5 s of them. */
const LIMIT_MS = 18_000

interface ProveOptions {
  readonly peer: readonly string[]
  readonly chain: string
  readonly key?: string
  readonly json?: true
}

/** `solar-node prove`: a light node for once. */
export function registerProve(program: Command): void {
  program
    .command('prove')
    .description('fetch the proof of a transaction from a node and check it against a pinned chain')
    .argument('<tx_id>', 'id or hash of the transaction')
    .requiredOption('--peer <multiaddr...>', 'a node that has the chain')
    .requiredOption('--chain <chain_id>', 'the chain to trust')
    .option('--key <file>', "key file of one of the trade's parties: also fetches and checks the trade itself")
    .addHelpText('after', EXAMPLES)
    .action(async (transaction: string, _options, command: Command) => {
      const { peer, chain, key, json } = command.optsWithGlobals<ProveOptions>()
      const { proveOnce } = await import('../../node/prove.ts')
      const request = {
        transaction,
        peers: peer,
        chainId: chainIdOf(chain),
        key: key === undefined ? undefined : await loadKeyFile(key),
      }
      const limit = new AbortController()
      const timer = setTimeout(
        () => limit.abort(new Error(`no proof within ${LIMIT_MS / 1000} s from ${peer.join(', ')}`)),
        LIMIT_MS - process.uptime() * 1000,
      )
      try {
        const proved = await proveOnce(request, limit.signal)
        printResult(json === true, describe(transaction, chain, proved), resultOf(proved))
      } finally {
        clearTimeout(timer)
      }
    })
}

function chainIdOf(text: string): string {
  try {
    return hash32(text, 'chain')
  } catch {
    throw new UsageError(`--chain: expected a chain_id, 64 lower-case hex characters, got ${JSON.stringify(text)}`)
  }
}

function describe(asked: string, chainId: string, { answer, trusted, peer, transaction }: Proved): string[] {
  const { header, merkle_proof, history_proof, tx_hash } = answer
  const lines = [
    `chain      ${chainId}: the genesis of ${peer} hashes to the pinned chain_id`,
    `anchor     block ${trusted.height} ${trusted.header_hash}: sealed by a registered authority`,
    `block      ${header.height} ${hashHeader(header)}: ${
      history_proof === null
        ? 'is the anchor itself'
        : `is in the anchor's history (${history_proof.path.length} nodes, tree of ${history_proof.tree_size})`
    }`,
    `leaf       ${tx_hash}: transaction ${merkle_proof.index} of ${merkle_proof.tx_count} under merkle_root ${header.merkle_root}`,
  ]
  if (transaction === null)
    lines.push(`body       not asked for: that ${asked} has this hash is the peer's word; --key checks it`)
  else lines.push(`body       ${JSON.stringify(transaction)}: hashes to the leaf`)
  lines.push(`proved     ${asked} is on the chain`)
  return lines
}

const resultOf = ({ answer, trusted, peer, transaction }: Proved): object => ({
  valid: true,
  peer,
  trusted,
  transaction,
  ...answer,
})

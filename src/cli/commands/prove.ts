import type { Command } from 'commander'
import { hashHeader } from '../../protocol/header.ts'
import { loadKeyFile } from '../../keys/key-file.ts'
import type { Proved } from '../../node/prove.ts'
import { checkOutFile, writeOutFile } from '../../node/out-file.ts'
import { withPatience } from '../../node/waiting.ts'
import { readTokenFile } from '../token-file.ts'
import { chainIdOption, printResult, UsageError } from '../output.ts'
import { transactionLines } from '../transaction-lines.ts'

const EXAMPLES = `
Examples:
  solar-node prove 2016-08-08T12:00:00.0 --peer /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW... --chain <chain_id>
  solar-node prove 2016-08-08T12:00:00.0 --peer ... --chain ... --key ./solar-data/voter.key
  solar-node prove 2016-08-08T12:00:00.0 --peer ... --chain ... --key ./solar-data/voter.key --out receipt.json`

/** The whole command ends within 20 s (docs: cli); stopping may take 1.5 s of them. */
const LIMIT_MS = 18_000

interface ProveOptions {
  readonly peer: readonly string[]
  readonly chain: string
  readonly key?: string
  readonly tokenFile?: string
  readonly swarmKeyFile?: string
  readonly out?: string
  readonly force?: true
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
    .option('--token-file <file>', 'instead of --key: file with one platform or auditor token as plain text')
    .option(
      '--out <receipt.json>',
      'also saves a receipt, which solar-node verify checks offline; with --key or --token-file',
    )
    .option('--swarm-key-file <file>', 'key of the private network (libp2p) that the peer is of')
    .option('--force', 'lets --out write over a file that is there')
    .addHelpText('after', EXAMPLES)
    .action(async (transaction: string, _options, command: Command) => {
      const { peer, chain, key, tokenFile, swarmKeyFile, out, force, json } = command.optsWithGlobals<ProveOptions>()
      refuseContradictions(key, tokenFile, out)
      const file = out === undefined ? undefined : { path: out, force: force === true }
      if (file !== undefined) await checkOutFile(file)
      const { proveOnce } = await import('../../node/prove.ts')
      const request = {
        transaction,
        peers: peer,
        chainId: chainIdOption(chain),
        key: key === undefined ? undefined : await loadKeyFile(key),
        token: tokenFile === undefined ? undefined : await tokenOption(tokenFile, peer),
        swarmKeyFile,
        wantsReceipt: out !== undefined,
      }
      const limit = new AbortController()
      const timer = setTimeout(
        () => limit.abort(new Error(`no proof within ${LIMIT_MS / 1000} s from ${peer.join(', ')}`)),
        LIMIT_MS - process.uptime() * 1000,
      )
      try {
        const say = (line: string) => process.stderr.write(`solar-node: ${line}\n`)
        const proved = await withPatience(`an answer of ${peer.join(', ')}`, say, () =>
          proveOnce(request, limit.signal),
        )
        const lines = describe(transaction, chain, proved)
        if (file !== undefined && proved.receipt !== null) {
          await writeOutFile(file, [`${JSON.stringify(proved.receipt.receipt)}\n`])
          lines.push(`receipt     ${file.path}: ${proved.receipt.status}`)
        }
        if (proved.clockFault !== null) {
          process.stderr.write(`solar-node: ${proved.clockFault} (the proof does not depend on it)\n`)
        }
        printResult(json === true, lines, resultOf(proved))
      } finally {
        clearTimeout(timer)
      }
    })
}

function refuseContradictions(key: string | undefined, tokenFile: string | undefined, out: string | undefined): void {
  if (key !== undefined && tokenFile !== undefined) throw new UsageError('--key and --token-file: expected one of them')
  if (out !== undefined && key === undefined && tokenFile === undefined)
    throw new UsageError(
      "--out: a receipt is given to the trade's parties (--key) and to platform and auditor (--token-file)",
    )
  if (tokenFile !== undefined && out === undefined) throw new UsageError('--token-file goes with --out')
}

/** A token opens all that its role may do to whoever is given it: to the one node whose token it is, known by its id. */
async function tokenOption(tokenFile: string, peers: readonly string[]) {
  const { pinnedPeer } = await import('../../config/multiaddr.ts')
  const [of, ...others] = new Set(peers.map((address) => pinnedId(address, pinnedPeer(address))))
  if (of === undefined) throw new UsageError('--peer: expected a node to ask')
  if (others.length > 0) {
    throw new UsageError(
      `--token-file: the token is one node's, expected --peer of that alone, got ${[of, ...others].join(' and ')}`,
    )
  }
  return { token: await readTokenFile(tokenFile), of }
}

function pinnedId(address: string, id: string | undefined): string {
  if (id !== undefined) return id
  throw new UsageError(
    `--token-file: a token is given to no peer that is not pinned by its id: write --peer ${address}/p2p/ID with the peer ` +
      "id (12D3KooW...) of the node whose token it is, which is in that node's log and in its GET /node",
  )
}

function describe(asked: string, chainId: string, proved: Proved): string[] {
  const { answer, anchor, status, peer, transaction, receipt, currency } = proved
  const { header, merkle_proof, history_proof, tx_hash } = answer
  const body = transaction ?? receipt?.receipt.transaction ?? null
  const corrections = (receipt?.receipt.corrections ?? []).flatMap(({ transaction: tx }) =>
    tx.kind === 'correction' ? [tx] : [],
  )
  const lines = [
    ...(body === null ? [] : transactionLines(body, corrections, currency)),
    `chain       ${chainId}: the genesis of ${peer} hashes to the pinned chain_id`,
    `anchor      block ${anchor.height} ${anchor.header_hash}: sealed by a registered authority${
      status === 'final' ? '' : ', not final'
    }`,
    `block       ${header.height} ${hashHeader(header)}: ${
      history_proof === null
        ? 'is the anchor itself'
        : `is in the anchor's history (${history_proof.path.length} nodes, tree of ${history_proof.tree_size})`
    }`,
    `leaf        ${tx_hash}: transaction ${merkle_proof.index} of ${merkle_proof.tx_count} under merkle_root ${header.merkle_root}`,
  ]
  if (body === null)
    lines.push(`body        not asked for: that ${asked} has this hash is the peer's word; --key checks it`)
  else lines.push('body        what is said above hashes to the leaf')
  if (status === 'final') lines.push(`proved      ${asked} is on the chain`)
  else
    lines.push(
      `proposed    ${asked} is in a sealed block that is not final: too few have acked it yet, and it may still be given up. Ask again later`,
    )
  return lines
}

const resultOf = ({ answer, status, anchor, trusted, peer, transaction, receipt }: Proved): object => ({
  valid: true,
  status,
  peer,
  anchor,
  trusted,
  transaction,
  ...answer,
  ...(receipt !== null && { receipt: { status: receipt.status } }),
})

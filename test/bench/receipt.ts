import { strict as assert } from 'node:assert'
import { createPublicKey, hash, verify } from 'node:crypto'
import { hexToBytes } from '../../src/protocol/bytes.ts'
import { signingBytes } from '../../src/protocol/signature.ts'
import { verifyReceipt } from '../../src/protocol/receipt-verify.ts'
import { createTestChain, entryOf, genesisOf } from '../helpers/test-chain.ts'
import { compare, microsecondsPerCall, type BenchOptions, type BenchRow } from './compare.ts'
import { bareHashes } from './naive.ts'

const BLOCKS = 100_000
const TRADES = 100
const ROUNDS = 15
const WARM_UP = 3
const CALLS = 20
const VOTERS = ['alice', 'bob', 'carol']

/**
 * The receipt of the first trade of a long chain, up to the newest header with a quorum of three: its bytes against those
 * of the trade alone, and its check against the bare signatures and hashes that it cannot do without.
 */
export async function benchReceipt({ rounds = ROUNDS, sizes = [BLOCKS] }: BenchOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const size of sizes) rows.push(...(await receiptRows(size, rounds)))
  return rows
}

async function receiptRows(blocks: number, rounds: number): Promise<BenchRow[]> {
  const registry = [entryOf('authority', 'authority'), ...VOTERS.map((id) => entryOf(id, 'voter'))]
  const made = await createTestChain(genesisOf({ policy: 'votes', threshold: VOTERS.length }, ...registry))
  await made.trade(TRADES)
  while (made.chain.size < blocks) await made.trade()
  for (const id of VOTERS) await made.ack(id, blocks - 1)
  const receipt = await made.receipt('tx-tick-0-0')
  const { chainId } = made.chain
  const text = JSON.stringify(receipt)
  const checked = verifyReceipt(JSON.parse(text), chainId, {
    trusted: { header: made.chain.tip?.header ?? receipt.header },
  })
  assert.ok(checked.ok && checked.status === 'final')

  const trade = JSON.stringify(receipt.transaction).length
  const size = { name: `receipt of trade 1 of ${blocks} blocks, against the trade`, ours: text.length, against: trade }
  const signed = receipt.votes.map(({ vote: { signature, ...body }, entry }) => ({
    key: createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(entry.public_key, 'hex').toString('base64url') },
      format: 'jwk',
    }),
    message: signingBytes('vote', chainId, body),
    signature: hexToBytes(signature),
  }))
  const nodes = receipt.merkle_proof.path.length + (receipt.anchor?.history_proof.path.length ?? 0)
  const floor = () => {
    // The two seals cost what a vote costs.
    for (const { key, message, signature } of [...signed, ...signed.slice(1)]) verify(null, message, key, signature)
    return bareHashes(nodes) + hash('sha256', text, 'hex')
  }
  const time = await compare(
    {
      name: `check it, against bare signatures and hashes`,
      unit: 'µs',
      ours: microsecondsPerCall(CALLS, () => verifyReceipt(JSON.parse(text), chainId)),
      against: microsecondsPerCall(CALLS, floor),
    },
    { rounds, warmUp: Math.min(WARM_UP, rounds) },
  )
  return [{ ...size, ratio: size.ours / size.against, unit: 'bytes' }, time]
}

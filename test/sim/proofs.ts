import type { ValidatorEngine } from '../../src/node/validator-engine.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { Receipt } from '../../src/protocol/receipt.ts'
import { verifyReceipt } from '../../src/protocol/receipt-verify.ts'
import { lastAckIsKnown } from './disk-loss.ts'
import type { SimNode, World } from './world.ts'
import { Violation } from './violation.ts'

/** Blocks of each node whose transactions it has to prove; what costs is each signature. */
const PROVEN_BLOCKS = 3
/** One round of asking every peer, and what it takes. */
const REACHED_MS = 20_000

type FullNode = Pick<ValidatorEngine, 'chain' | 'finalizer' | 'ledger'>

/**
 * Whatever an honest full node calls final it proves to whoever has the chain id alone; of what is not final yet it gives a
 * receipt that verifies, or none.
 */
export async function checkProvable(world: World): Promise<void> {
  const engines = new Map<string, FullNode>([...world.validators, ...world.authorities])
  for (const [id, engine] of engines) {
    await world.until(checkReceipts(id, engine, world))
    await world.until(checkOpenReceipt(id, engine, world))
  }
}

async function checkOpenReceipt(id: string, { chain, finalizer, ledger }: FullNode, world: World): Promise<void> {
  const { tip } = chain
  if (tip === null || tip.header.height <= finalizer.finalHeight) return
  const [tx] = (await chain.blockAt(tip.header.height)).transactions
  if (tx === undefined || tx.kind === 'redacted') return
  const receipt = await ledger.receipt(tx.id).catch((error: unknown) => {
    if (!isSolarError(error, 'no_receipt') && !isSolarError(error, 'missing_body')) throw error
  })
  const verdict = receipt && verifyReceipt(JSON.parse(JSON.stringify(receipt)), world.model.chainId)
  if (verdict === undefined || verdict.ok) return
  throw new Violation(
    'a receipt that is given out verifies',
    `${id}: ${tx.id} of block ${tip.header.height}: ${verdict.failed}: ${verdict.reason}`,
  )
}

async function checkReceipts(id: string, { chain, finalizer, ledger }: FullNode, world: World): Promise<void> {
  const { finalHeight } = finalizer
  const heights = Array.from({ length: finalHeight + 1 }, (_, height) => height)
  const chosen = new Set([...world.random.shuffle(heights).slice(0, PROVEN_BLOCKS), ...heights.slice(-1)])
  for (const height of chosen) {
    const { transactions } = await chain.blockAt(height)
    // Of a body that is gone nothing is left to prove but its hash.
    const whole = transactions.flatMap((tx) => (tx.kind === 'redacted' ? [] : [tx.id]))
    if (whole.length === 0) continue
    const txId = world.random.pick(whole)
    const reason = await refusalOf(() => receiptUnlessHoles({ ledger, chain }, txId, height), world.model.chainId)
    if (reason === undefined) continue
    throw new Violation(
      'what is final can be proven',
      `${id}: ${txId} of block ${height}, final ${finalHeight}: ${reason}`,
    )
  }
}

/** `hidden` where the node says that a body is missing that may be a correction, and one is. */
async function receiptUnlessHoles(
  { ledger, chain }: Pick<FullNode, 'ledger' | 'chain'>,
  txId: string,
  height: number,
): Promise<Receipt | 'hidden' | null> {
  try {
    return await ledger.receipt(txId)
  } catch (error) {
    if (!isSolarError(error, 'missing_body')) throw error
    for (let at = height; at < chain.size; at++) {
      if ((await chain.blockAt(at)).transactions.some(({ kind }) => kind === 'redacted')) return 'hidden'
    }
    throw error
  }
}

/** Why a receipt does not prove that its block is final. */
async function refusalOf(
  build: () => Promise<Receipt | 'hidden' | null>,
  chainId: string,
): Promise<string | undefined> {
  try {
    const receipt = await build()
    if (receipt === 'hidden') return undefined
    if (receipt === null) return 'it does not know this transaction'
    const verdict = verifyReceipt(JSON.parse(JSON.stringify(receipt)), chainId)
    if (!verdict.ok) return `${verdict.failed}: ${verdict.reason}`
    return verdict.status === 'final' ? undefined : 'the receipt says that it is not final'
  } catch (error) {
    if (isSolarError(error)) return error.message
    throw error
  }
}

/** A light node that nobody knows, and a validator that has lost all it had, find what the others call final. */
export async function checkReachable(world: World): Promise<void> {
  const light = world.addLight('fresh')
  await world.until(world.start(light))
  // What nobody else remembers nobody can learn: a disk that is lost with it is one more faulty validator.
  const known = world.nodes.filter((node) => isRegistered(node, world) && lastAckIsKnown(node, world) !== false)
  const [lost] = world.random.shuffle(known)
  if (lost !== undefined) {
    world.crash(lost)
    lost.disk.copyFrom({ entries: new Map() })
    world.checker.storesLost(lost.id)
    await world.until(world.start(lost))
  }
  await world.run(REACHED_MS)
}

/** Peers show blocks to who holds a key that is registered. */
function isRegistered({ kind, id, key, disk }: SimNode, { checker }: World): boolean {
  if (kind !== 'validator') return false
  const member = checker.reader.full(id, disk).chain.at(-1)?.after.byId.get(id)
  return member?.active === true && member.key === key?.publicKey
}

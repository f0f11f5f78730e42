import { auditReplica } from '../../src/engine/audit-replica.ts'
import { auditStores, type AuditReport } from '../../src/engine/audit.ts'
import type { AuthorityEngine } from '../../src/node/authority-engine.ts'
import type { ValidatorEngine } from '../../src/node/validator-engine.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { hashTransaction } from '../../src/protocol/transaction.ts'
import { chainStore } from '../../src/storage/level/chain-store.ts'
import { replicaStore } from '../../src/storage/level/replica-store.ts'
import { createDisk } from './disk.ts'
import type { KnownBlock } from './model.ts'
import { isBroken, type SimNode, type World } from './world.ts'
import { Violation } from './violation.ts'

/** People who ask to be forgotten, and the operators who remove what they ask for, each from the stores of one node. */
export interface Erasure {
  /** One operator removes a trade that is final at its node, or once more what it was asked for before. */
  strike(): void
  /** Without faults: whoever runs the authority asks for all once more, as older databases may have been put back since. */
  insist(): Promise<void>
  /** Throws a `Violation` where what was removed is still there, or where the stores of a node contradict each other. */
  check(): Promise<void>
}

type Removing = Pick<ValidatorEngine | AuthorityEngine, 'redactor' | 'finalizer'>

/** What cannot be removed now: a correction of it is not final yet, or an older database does not have it. */
const REFUSED = ['refused_row', 'unknown_transaction'] as const
const ASKED = { redacted_by: 'operator', reason: 'somebody asked for it' } as const

export function createErasure(world: World): Erasure {
  const { authorities, validators, checker, model, random } = world
  /** Ids of trades that an authority was asked to remove. */
  const asked = new Set<string>()

  /** All that a node with a redactor calls final. */
  function finalOf(id: string, { finalizer }: Removing): readonly KnownBlock[] {
    const node = nodeOf(id)
    return checker.reader.full(id, node.disk).chain.slice(0, finalizer.finalHeight + 1)
  }

  function nodeOf(id: string): SimNode {
    const node = world.nodes.find((one) => one.id === id)
    if (node === undefined) throw new Error(`no node is called ${id}`)
    return node
  }

  async function remove(id: string, { redactor }: Removing, tx_id: string): Promise<void> {
    if (authorities.has(id)) asked.add(tx_id)
    try {
      const records = await world.unlessGone(id, redactor.redact({ ...ASKED, tx_id }))
      checker.removed(id, records?.map(({ tx_hash }) => tx_hash) ?? [])
    } catch (error) {
      if (!REFUSED.some((code) => isSolarError(error, code)) && !isBroken(error)) throw error
    }
  }

  async function strike(): Promise<void> {
    const kind = authorities.size > 0 && random.chance(0.5) ? authorities : validators
    if (kind.size === 0) return
    const [id, engine] = random.pick<[string, Removing]>([...kind])
    // An honest authority has the body of what it corrects until that is final; one with two faces may have forgotten it.
    const corrected = world.plan.isTwoFaced ? correctedAnywhere() : new Set<string>()
    const trades = finalOf(id, engine).flatMap(({ block }) =>
      block.transactions.filter((tx) => tx.kind === 'trade' && !corrected.has(tx.id)),
    )
    if (trades.length > 0) await remove(id, engine, random.pick(trades).id)
  }

  const correctedAnywhere = (): ReadonlySet<string> =>
    new Set(
      [...model.blocks.values()].flatMap(({ block }) =>
        block.transactions.flatMap((tx) => (tx.kind === 'correction' ? [tx.corrects] : [])),
      ),
    )

  /** What a node has on record as removed is nowhere on its disk, nor in its database, and what it said to have removed is on record. */
  async function checkGone(id: string, { redactor }: Removing): Promise<void> {
    const records = new Set((await redactor.redactions()).map(({ tx_hash }) => tx_hash))
    const lost = checker.removedBy(id).find((hash) => !records.has(hash))
    if (lost !== undefined) throw new Violation('what was removed is gone', `${id} has no record of ${lost} any more`)
    const values = [...nodeOf(id).disk.entries.values()]
    const sql = authorities.has(id) ? world.sql : undefined
    const isThere = async (text: string): Promise<boolean> =>
      values.some((value) => value.includes(text)) || (await sql?.holds(text)) === true
    for (const { block, height } of model.blocks.values()) {
      for (const tx of block.transactions) {
        if (!records.has(hashTransaction(tx)) || !(await isThere(tx.nonce))) continue
        throw new Violation('what was removed is gone', `${id} still has the body of ${tx.id} of block ${height}`)
      }
    }
  }

  /** The same as `solar-node audit` of its directory, over a copy of what is there now. */
  async function checkAudit(id: string): Promise<void> {
    const node = nodeOf(id)
    const copy = createDisk(world.loop, random)
    copy.copyFrom(node.disk)
    const found = await auditOf(node, copy)
    const [first] = found.findings
    if (first === undefined) return
    const { place, expected, found: there } = first
    throw new Violation('stores agree', `${id}: ${place}: expected ${expected}, found ${there}`)
  }

  async function auditOf({ kind, port }: SimNode, copy: Pick<SimNode['disk'], 'open'>): Promise<AuditReport> {
    const { genesis } = world.plan
    const onProgress = (): void => undefined
    const level = await copy.open()
    if (kind === 'validator') return await auditReplica({ ...(await replicaStore(level)), genesis, onProgress })
    if (world.sql === undefined || port === undefined) throw new Error('an honest authority runs, and has SQL')
    return await auditStores({
      genesis,
      store: world.sql.connect(port),
      chainStore: await chainStore(level),
      onProgress,
    })
  }

  return {
    strike: () => world.background(strike()),
    async insist() {
      for (const [id, engine] of [...authorities].slice(0, 1)) {
        for (const tx_id of asked) await world.until(remove(id, engine, tx_id))
      }
    },
    async check() {
      for (const [id, engine] of [...authorities, ...validators]) {
        await world.until(checkGone(id, engine))
        await world.until(checkAudit(id))
      }
    },
  }
}

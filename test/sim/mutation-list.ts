import type { Invariant } from './violation.ts'

/** What the source is without a rule. */
export interface Patch {
  readonly file: string
  /** A text that the file has exactly once. */
  readonly from: string
  readonly to: string
}

/** One rule, and every place that upholds it. */
export interface Mutation {
  readonly rule: string
  readonly patches: readonly Patch[]
  /** At which it was found last time: tried before all others. */
  readonly seed?: number
  /** The test that notices it, where no seed leads there: what the adversary of the simulation does not forge. */
  readonly test?: string
  /** Not looked at: what the broken rule leads to tells more than that it is broken. */
  readonly without?: readonly Invariant[]
}

const ACKS: readonly Invariant[] = ['acks follow the rules']

export const MUTATIONS: readonly Mutation[] = [
  {
    rule: 'an ack extends the one before',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: 'if (extendsAck || (lastFinal',
        to: 'if (true || extendsAck || (lastFinal',
      },
    ],
    seed: 24,
    without: ACKS,
  },
  {
    rule: 'one ack a height',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: 'if (ackedAtHeight !== null)',
        to: 'if (ackedAtHeight === header.hash)',
      },
    ],
    seed: 19,
  },
  {
    rule: 'no ack above a change that the operator has not allowed',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: 'if (unallowedChange !== null)',
        to: 'if (unallowedChange !== null && unallowedChange.height < 0)',
      },
    ],
    seed: 0,
  },
  {
    rule: 'a guarded change first reaches the quorum in force at it',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: 'height > highestAck || view.isGuarded(height)',
        to: 'height > highestAck',
      },
    ],
    seed: 0,
  },
  {
    rule: 'nothing final is given up',
    patches: [
      {
        file: 'src/engine/replica.ts',
        from: 'if (branch.baseHeight >= finalHeight) branches.push(branch)',
        to: 'if (branch.baseHeight >= -1) branches.push(branch)',
      },
      { file: 'src/engine/replica.ts', from: 'if (finalizer.finalHeight > baseHeight) return undefined', to: '' },
    ],
    seed: 8,
  },
  {
    rule: 'what is final is on the disk, not in a cache',
    patches: [{ file: 'src/storage/level/finality-store.ts', from: 'String(at), DURABLE)', to: 'String(at))' }],
    seed: 4,
  },
  {
    rule: 'a vote counts for active voters only',
    patches: [
      {
        file: 'src/engine/vote-counter.ts',
        from: 'registryBefore.active(voter_id))',
        to: 'registryBefore.entry(voter_id))',
      },
      {
        file: 'src/protocol/vote.ts',
        from: "if (entry?.id !== vote.voter_id || entry.status !== 'active')",
        to: 'if (entry?.id !== vote.voter_id)',
      },
    ],
    seed: 3,
  },
  {
    rule: 'a vote is signed by the key of its voter',
    patches: [
      {
        file: 'src/protocol/vote.ts',
        from: "if (!verifyObject('vote', chainId, body, signature, entry.public_key))",
        to: "if (!verifyObject('vote', chainId, body, signature, entry.public_key) && signature === '')",
      },
    ],
    seed: 0,
  },
  {
    rule: 'a quorum counts the role of the policy only',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: 'return registry.activeOf(role).flatMap(',
        to: "return [...registry.activeOf('validator'), ...registry.activeOf('voter')].flatMap(",
      },
    ],
    seed: 0,
  },
  {
    rule: 'acks of other branches do not count',
    patches: [{ file: 'src/engine/finalizer.ts', from: 'if (!headers.has(header_hash)) continue', to: '' }],
    seed: 8,
  },
  {
    rule: 'acks are counted anew after another branch became the chain',
    patches: [
      {
        file: 'src/engine/finalizer.ts',
        from: '          ackHeights = await readAckHeights(chain, store, finalHeight)\n          await evaluate()',
        to: '          await evaluate()',
      },
    ],
    seed: 16,
  },
  {
    rule: 'both acks of a double voter count, each on its branch',
    patches: [
      {
        file: 'src/storage/level/finality-store.ts',
        from: '    fresh.add(id)\n',
        to: `    const stored = freshAcks.get(acksAt(voter_id, height)) ?? (await ackAt(db, voter_id, height))
    if (decision === 'ack' && stored !== undefined) {
      outcomes.push({ outcome: 'conflict', stored, kept: false })
      continue
    }
`,
      },
    ],
    seed: 49,
  },
  {
    rule: 'a double seal is reported, by full nodes and light nodes',
    patches: [
      {
        file: 'src/engine/full-node-evidence.ts',
        from: 'for (const { header, signature } of rivals) await',
        to: 'for (const { header, signature } of rivals.slice(rivals.length)) await',
      },
      {
        file: 'src/engine/light-client.ts',
        from: 'onDoubleSeal: (held, other) => following.background(foundSeals(held, other))',
        to: 'onDoubleSeal: () => undefined',
      },
    ],
    seed: 0,
  },
  {
    rule: 'evidence is passed on, by gossip or to who asks',
    patches: [
      {
        file: 'src/engine/evidence-pool.ts',
        from: "if (outcome === 'new') await gossip.publish('evidence', canonicalBytes(evidence))",
        to: '',
      },
      {
        file: 'src/engine/evidence-exchange.ts',
        from: 'for (const piece of answer.evidence) await evidence.learn(piece)',
        to: 'for (const piece of answer.evidence.slice(100)) await evidence.learn(piece)',
      },
    ],
    seed: 23,
  },
  {
    rule: 'evidence carries the signatures of its signer',
    patches: [
      {
        file: 'src/protocol/evidence.ts',
        from: "return verdict.ok ? VALID : invalid('bad_signature', verdict.reason)",
        to: 'return verdict.ok ? VALID : VALID',
      },
    ],
    seed: 8,
  },
  {
    rule: 'the most acks choose the branch',
    patches: [
      {
        file: 'src/protocol/fork-choice.ts',
        from: 'return b.weight - a.weight || b.height - a.height',
        to: 'return b.height - a.height',
      },
    ],
    seed: 8,
  },
  {
    rule: 'a block carries the seal of an authority',
    patches: [
      {
        file: 'src/engine/chain-state.ts',
        from: 'return body.ok ? verifySeal(block, sealer.public_key) : body',
        to: 'return body',
      },
    ],
    seed: 7,
  },
  {
    rule: 'a light node asks for the quorum of what it trusts',
    patches: [
      {
        file: 'src/protocol/light-verify.ts',
        from: 'if (!counted.ok || counted.acks >= counted.required) return counted.ok ? VALID : counted',
        to: 'if (counted.ok || !counted.ok) return VALID',
      },
    ],
    seed: 6,
  },
  {
    rule: 'a vote is durable before it is sent',
    patches: [
      {
        file: 'src/engine/voter.ts',
        from: "    if (decision === 'ack') await store.putVote(signed)\n",
        to: "    if (decision === 'ack') await send(signed).then(() => store.putVote(signed))\n",
      },
    ],
    seed: 21,
  },
  {
    rule: 'what a voter acked is on the disk, not in a cache',
    patches: [
      {
        file: 'src/storage/level/voter-store.ts',
        from: 'await keysTooOld(db, vote.height)) batch.del(key)\n      await batch.write(DURABLE)',
        to: 'await keysTooOld(db, vote.height)) batch.del(key)\n      await batch.write()',
      },
    ],
    seed: 4,
  },
  {
    rule: 'a final block sets a voter free, also of a branch that was left long ago',
    patches: [
      {
        file: 'src/engine/replica.ts',
        from: 'const block = await store.besideChain(hash)\n      if (block?',
        to: 'const block = (await store.besideChain(hash)) && undefined\n      if (block?',
      },
    ],
    seed: 586,
  },
  {
    rule: 'what acks on a branch made final is proved by them after the chain has left it',
    patches: [
      {
        file: 'src/engine/proven-step.ts',
        from: 'if (votes.size >= needed || acks.acksBeside === undefined) return',
        to: 'if (votes.size >= 0 || acks.acksBeside === undefined) return',
      },
    ],
    seed: 846,
  },
  {
    rule: 'an ack counts for the key that signed it',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: 'const key = registryBefore.active(voterId)?.public_key',
        to: 'const key = registryBefore.active(voterId)?.id',
      },
      { file: 'src/protocol/finality.ts', from: 'ackHeights.get(public_key)', to: 'ackHeights.get(id)' },
    ],
    test: 'test/unit/engine/ack-heights.test.ts',
  },
  {
    rule: 'a change is allowed by its hash, not by its id',
    patches: [
      {
        file: 'src/engine/replica-view.ts',
        from: 'if (hashes.every((hash) => allowedChanges.includes(hash))) continue',
        to: "if (transactions.every((tx) => tx.kind === 'registry' && allowedChanges.includes(tx.id))) continue",
      },
      { file: 'test/sim/changes.ts', from: 'else allowed.push(hash)', to: 'else allowed.push(hash, id)' },
    ],
    seed: 0,
  },
  {
    rule: 'nothing is sealed below what this authority has sealed before, and peers have',
    patches: [
      {
        file: 'src/engine/seal-guard.ts',
        from: 'check: () => refuseFor(reason()),\n    saw',
        to: 'check: () => undefined,\n    saw',
      },
      { file: 'src/engine/seal-guard.ts', from: 'check: () => refuseFor(reason()) }', to: 'check: () => undefined }' },
    ],
    seed: 0,
  },
  {
    rule: 'nothing is sealed by a clock that is ahead of others',
    patches: [
      {
        file: 'src/engine/seal-guard.ts',
        from: 'guard.reason() ?? sealClock.reason()',
        to: 'guard.reason()',
      },
    ],
    seed: 0,
  },
  {
    rule: 'a tick is committed on the tip that it was checked against',
    patches: [
      { file: 'src/storage/sql/ticks.ts', from: 'if (tip !== parent) throw moved', to: "if (tip === '') throw moved" },
      {
        file: 'src/storage/sql/ticks.ts',
        from: 'if (waiting !== null && !isIndependent',
        to: "if (waiting === '' && !isIndependent",
      },
    ],
    test: 'test/contract/stores.test.ts',
  },
  {
    rule: 'the fence takes a block on the row of its parent only',
    patches: [
      {
        file: 'src/storage/sql/blocks.ts',
        from: "throw ledgerError('missing_parent'",
        to: "if (height < 0) throw ledgerError('missing_parent'",
      },
    ],
    test: 'test/contract/stores.test.ts',
  },
  {
    rule: 'what an older database lacks is put back before it goes on',
    patches: [{ file: 'src/engine/follower.ts', from: '    await putBack.fromChainStore()\n', to: '' }],
    seed: 0,
  },
  {
    rule: 'a tick is sealed once, also where its transactions are redacted',
    patches: [
      {
        file: 'src/engine/history-rules.ts',
        from: 'if (tickId !== undefined && (await history.hasTick(tickId)))',
        to: "if (tickId === '' && (await history.hasTick(tickId)))",
      },
    ],
    test: 'test/unit/engine/history-rules.test.ts',
  },
  {
    rule: 'a committed tick that can never be sealed is out of the way of the others',
    patches: [
      { file: 'src/engine/sealer.ts', from: 'return verdict.ok ? undefined : verdict.reason', to: 'return undefined' },
      { file: 'src/engine/sealer.ts', from: '      return error.message\n', to: '      return undefined\n' },
    ],
    test: 'test/e2e/standby/late-commit.test.ts',
  },
  {
    rule: 'the policy is proven under both roots',
    patches: [
      {
        file: 'src/protocol/quorum.ts',
        from: 'if (!proven.ok || before === trusted) return proven',
        to: 'if (!proven.ok || before !== undefined) return proven',
      },
    ],
    test: 'test/unit/protocol/left-out.test.ts',
  },
  {
    rule: 'no transaction brings a validator',
    patches: [
      {
        file: 'src/protocol/quorum.ts',
        from: "if (brought_by === undefined || entry.role !== 'voter')",
        to: 'if (brought_by === undefined)',
      },
    ],
    test: 'test/unit/protocol/left-out.test.ts',
  },
  {
    rule: 'a block without a body is final by a proof, not by a word',
    patches: [
      {
        file: 'src/engine/final-proof.ts',
        from: '  if (!advance.ok)\n',
        to: '  if (!advance.ok && answer.header.height < 0)\n',
      },
    ],
    test: 'test/unit/engine/validator.test.ts',
  },
  {
    rule: 'what nobody answers about is as what was rejected',
    patches: [
      {
        file: 'src/engine/voter.ts',
        from: 'await remember(sealed).catch',
        to: 'await Promise.resolve().catch',
      },
    ],
    test: 'test/unit/engine/voter.test.ts',
  },
  {
    rule: 'before it acks after a start, a validator learns what it acked',
    patches: [
      {
        file: 'src/engine/own-acks.ts',
        from: 'await learnFrom(peer, entry)',
        to: '',
      },
      {
        file: 'src/engine/validator.ts',
        from: "vote.decision === 'ack' ? lane(() => ownAcks.hear(vote)) : Promise.resolve()",
        to: 'Promise.resolve()',
      },
    ],
    seed: 26,
  },
  {
    rule: 'an authority whose database is an older one asks peers for the votes',
    patches: [
      { file: 'src/engine/restorer.ts', from: 'if (voted !== undefined) await takeVotes(peer, voted)', to: '' },
    ],
    test: 'test/e2e/validators/restore.test.ts',
  },
  {
    rule: 'a block that recovers its sealer is sealed by the key that this brings, whatever comes after it in the block',
    patches: [
      {
        file: 'src/protocol/block.ts',
        from: "return before.entry(miner_id)?.role === 'authority' ? recovery.public_key : undefined",
        to:
          "const last = transactions.findLast((tx) => tx.kind === 'registry' && tx.action === 'recover')\n" +
          "  return last !== undefined && 'public_key' in last ? last.public_key : undefined",
      },
    ],
    test: 'test/unit/protocol/trust-table.test.ts',
  },
  {
    rule: 'no change of who decides that too few users are registered to confirm',
    patches: [
      {
        file: 'src/protocol/registry.ts',
        from: 'if (changesGuard(transactions, this)) this.#checkConfirmable(last)',
        to: 'if (transactions.length === 0) this.#checkConfirmable(last)',
      },
    ],
    test: 'test/unit/protocol/registry-transaction.test.ts',
  },
  {
    rule: 'what is proven to be final is taken beside the chain, without bodies as well',
    patches: [
      {
        file: 'src/engine/replica.ts',
        from: "if (!testimony.isFinal && block.transactions.some(({ kind }) => kind === 'redacted'))",
        to: "if (block.transactions.some(({ kind }) => kind === 'redacted'))",
      },
    ],
    test: 'test/unit/engine/redacted-corrections.test.ts',
  },
  {
    rule: 'a correction without a body may be what a sum lacks',
    patches: [
      {
        file: 'src/engine/history-rules.ts',
        from: 'if (!(await history.hidesUnknown()))',
        to: 'if (reason.length > 0)',
      },
    ],
    test: 'test/unit/engine/redacted-corrections.test.ts',
  },
]

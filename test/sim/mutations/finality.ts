import type { Mutation } from './mutation.ts'

/** Which votes count, what they make final, and which branch is the chain. */
export const FINALITY: readonly Mutation[] = [
  {
    rule: 'a guarded change first reaches the quorum in force at it',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: '!(height > highestAck || isGuarded)',
        to: '!(height > highestAck)',
      },
    ],
    breaks: 'what is final has its votes',
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
    breaks: 'no final block is lost',
    seed: 7,
  },
  {
    rule: 'what is final is on the disk, not in a cache',
    patches: [{ file: 'src/storage/level/finality-store.ts', from: 'String(at), DURABLE)', to: 'String(at))' }],
    test: 'test/unit/storage/power-cut.test.ts',
  },
  {
    rule: 'what is final is on the disk before anybody hears of it',
    patches: [
      {
        file: 'src/engine/finalizer.ts',
        from: '    await store.finalizeUpTo(reached, at)\n    const first = finalHeight + 1\n',
        to: '    const first = finalHeight + 1\n    finalHeight = reached\n    await store.finalizeUpTo(reached, at)\n',
      },
    ],
    breaks: 'no final block is lost',
    seed: 0,
  },
  {
    rule: 'a vote counts for active voters only',
    patches: [
      {
        file: 'src/engine/vote-counter.ts',
        from: 'const entry = registryBefore.active(voter_id)',
        to: 'const entry = registryBefore.entry(voter_id)',
      },
      {
        file: 'src/protocol/vote.ts',
        from: "if (entry?.id !== vote.voter_id || entry.status !== 'active')",
        to: 'if (entry?.id !== vote.voter_id)',
      },
    ],
    breaks: 'no vote of an unknown or revoked key counts',
    seed: 2,
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
    breaks: 'no vote of an unknown or revoked key counts',
    seed: 1,
  },
  {
    rule: 'a quorum counts the role of the policy only',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: "holder?.status === 'active' && holder.role === role ?",
        to: "holder?.status === 'active' && holder.role !== 'authority' ?",
      },
    ],
    breaks: 'what is final has its votes',
    seed: 0,
  },
  {
    rule: 'acks of other branches do not count',
    patches: [{ file: 'src/engine/finalizer.ts', from: 'if (!headers.has(header_hash)) continue', to: '' }],
    breaks: 'no two final blocks of a height',
    seed: 10,
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
    breaks: 'what is final has its votes',
    seed: 19,
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
    test: 'test/contract/stores.test.ts',
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
    breaks: 'all agree in the end',
    seed: 7,
  },
  {
    rule: 'an ack counts for the key that signed it',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: 'const key = registryBefore.active(voterId)?.public_key',
        to: 'const key = registryBefore.active(voterId)?.id',
      },
      { file: 'src/protocol/finality.ts', from: 'registry.holder(key)', to: 'registry.entry(key)' },
    ],
    test: 'test/unit/engine/ack-heights.test.ts',
  },
  {
    rule: 'a vote that was handed to one node is gossiped',
    patches: [
      {
        file: 'src/engine/vote-passing.ts',
        from: "if (counted.outcome === 'stored')",
        to: "if (counted.outcome !== 'stored')",
      },
    ],
    test: 'test/unit/engine/vote-passing.test.ts',
  },
  {
    rule: 'votes that did not come are asked for while the tip is not final',
    patches: [
      { file: 'src/engine/vote-asking.ts', from: 'finalizer.finalHeight < chain.size - 1', to: 'chain.size < 0' },
    ],
    test: 'test/unit/engine/vote-asking.test.ts',
  },
  {
    rule: 'the branch whose acks prove what is final is taken, though the chain has left it',
    patches: [{ file: 'src/engine/vote-sync.ts', from: '      await parts.takeBranch(peer, acked)\n', to: '' }],
    test: 'test/unit/engine/late-branch.test.ts',
  },
  {
    rule: 'no block of a branch is asked for that nobody who votes has acked',
    patches: [
      {
        file: 'src/engine/vote-sync.ts',
        from: 'if (!isShared || !verifyVote(vote, chain.chainId, acked, registry.active(vote.voter_id)).ok) continue',
        to: 'if (!isShared) continue',
      },
    ],
    test: 'test/unit/engine/late-branch.test.ts',
  },
  {
    rule: 'what a double sealer has made keeps nobody from what is proven final',
    patches: [
      {
        file: 'src/engine/replica.ts',
        from: 'if (this.#forks.isFull && !testimony.isFinal)',
        to: 'if (this.#forks.isFull)',
      },
    ],
    test: 'test/unit/engine/many-branches.long.ts',
  },
]

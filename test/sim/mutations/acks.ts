import type { Mutation } from './mutation.ts'

/** What a voter may ack, and what it remembers of it. */
export const ACKS: readonly Mutation[] = [
  {
    rule: 'an ack extends the one before',
    patches: [
      {
        file: 'src/protocol/finality.ts',
        from: 'if (extendsAck || (lastFinal',
        to: 'if (true || extendsAck || (lastFinal',
      },
    ],
    breaks: 'acks follow the rules',
    seed: 19,
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
    breaks: 'acks follow the rules',
    seed: 10,
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
    breaks: 'acks follow the rules',
    seed: 1,
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
    breaks: 'acks follow the rules',
    seed: 0,
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
    test: 'test/unit/storage/power-cut.test.ts',
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
    test: 'test/unit/engine/replica.test.ts',
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
    breaks: 'acks follow the rules',
    seed: 0,
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
    rule: 'a validator that joins learns from peers under which id its key is registered',
    patches: [
      {
        file: 'src/node/validator-engine.ts',
        from: ' ?? (await askForOwnId(requests, key.publicKey)) ??',
        to: ' ??',
      },
    ],
    breaks: 'all agree in the end',
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
        from: "vote.decision === 'ack' ? ownAcks.hear(vote) : Promise.resolve()",
        to: 'Promise.resolve()',
      },
    ],
    breaks: 'acks follow the rules',
    seed: 7,
  },
  {
    rule: 'an ack on a branch that hides its blocks from this key binds by its sealed header',
    patches: [
      {
        file: 'src/engine/shown-acks.ts',
        from: 'HIDDEN.includes(code) && (await isShownSealed(vote))',
        to: 'HIDDEN.includes(code) && hash.length === 0',
      },
    ],
    test: 'test/unit/engine/own-acks.test.ts',
  },
  {
    rule: 'a header by which an ack binds is sealed by an authority',
    patches: [
      {
        file: 'src/engine/shown-acks.ts',
        from: '    if (!keys.some((key) => verifySeal(acked, key).ok)) return false\n',
        to: '',
      },
    ],
    test: 'test/unit/engine/own-acks.test.ts',
  },
  {
    rule: 'a header by which an ack binds leads to the chain: else its height might be anything',
    patches: [{ file: 'src/engine/shown-acks.ts', from: 'if (await isHere(next)) return linked', to: 'return linked' }],
    test: 'test/unit/engine/own-acks.test.ts',
  },
  {
    rule: 'an ack of the height that is final is asked for too: another one there would be evidence',
    patches: [
      {
        file: 'src/engine/own-acks.ts',
        from: 'const fromHeight = Math.max(0, finalizer.finalHeight)',
        to: 'const fromHeight = finalizer.finalHeight + 1',
      },
    ],
    test: 'test/unit/engine/own-acks.test.ts',
  },
  {
    rule: 'who is shown a forgotten ack of what is final may have forgotten more',
    patches: [
      {
        file: 'src/engine/own-acks.ts',
        from: '    hasForgotten = true\n    await bind()\n    // At once',
        to: '    if (!forgotten.every(({ height }) => height <= finalizer.finalHeight)) hasForgotten = true\n    await bind()\n    // At once',
      },
    ],
    test: 'test/unit/engine/own-acks.test.ts',
  },
  {
    rule: 'who stands on a branch that contradicts what is final has answered, too',
    patches: [
      {
        file: 'src/engine/validator.ts',
        from: "isHidden || isRefusedFor(error, 'conflicts_with_final')",
        to: 'isHidden',
      },
    ],
    test: 'test/unit/engine/own-acks.test.ts',
  },
  {
    rule: 'who was asked for acks before this node knew whose key it has is asked again',
    patches: [{ file: 'src/engine/own-acks.ts', from: 'if (!askedInVain.delete(peer)) ', to: '' }],
    test: 'test/unit/engine/own-acks.test.ts',
  },
  {
    rule: 'who shows forgotten acks and then fails raises the number of those who must answer at once',
    patches: [
      {
        file: 'src/engine/own-acks.ts',
        from: '    await bind()\n    // At once: whoever has shown them may fail before it has answered, and more have to now.\n    await noteAnswers()\n',
        to: '    await bind()\n',
      },
    ],
    test: 'test/unit/engine/own-acks.test.ts',
  },
  {
    rule: 'what binds a validator changes only while no ack is in hand',
    patches: [{ file: 'src/engine/voter.ts', from: '    alone,', to: '    alone: (task) => task(),' }],
    test: 'test/unit/engine/voter.test.ts',
  },
  {
    rule: 'what the signer has acked binds before anything is acked',
    patches: [
      {
        file: 'src/engine/voter.ts',
        from: 'let signedBefore = parts.signedBefore ?? null',
        to: 'let signedBefore: Vote | null = null',
      },
    ],
    test: 'test/unit/engine/voter.test.ts',
  },
  {
    rule: 'no ack is stored beside what became final while it was signed',
    patches: [
      {
        file: 'src/engine/voter.ts',
        from: '(parts.isAccused(sealed) || !(await mayStillAck(sealed)))',
        to: '(parts.isAccused(sealed) || (parts.finalHeight() < -1 && !(await mayStillAck(sealed))))',
      },
    ],
    test: 'test/unit/engine/voter.test.ts',
  },
  {
    rule: 'a refusal of the signer binds to the ack that it shows',
    patches: [
      {
        file: 'src/engine/voter.ts',
        from: 'if (acked !== undefined) await remind(acked)',
        to: 'if (acked === null) await remind(acked)',
      },
    ],
    test: 'test/unit/engine/voter.test.ts',
  },
]

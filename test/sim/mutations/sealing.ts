import type { Mutation } from './mutation.ts'

const OWN_RECOVERY = 'test/unit/engine/own-recovery.test.ts'

/** What an authority seals, once, whatever became of its stores. */
export const SEALING: readonly Mutation[] = [
  {
    rule: 'a block carries the seal of an authority',
    patches: [
      {
        file: 'src/engine/chain-state.ts',
        from: 'return body.ok ? verifySeal(block, sealer) : body',
        to: 'return body',
      },
    ],
    test: 'test/unit/engine/replica.test.ts',
  },
  {
    rule: 'who leads takes a block that the one before has sealed meanwhile',
    patches: [
      { file: 'src/engine/tick-runner.ts', from: ' || (await store.blocks(chain.size, 1)).length > 0', to: '' },
    ],
    test: 'test/unit/engine/tick-runner.test.ts',
  },
  {
    rule: 'nothing is sealed below what this authority has sealed before, and peers have',
    patches: [
      {
        file: 'src/engine/seal-guard.ts',
        from: 'check: (what) => refuseFor(reason(what)),\n    saw',
        to: 'check: () => undefined,\n    saw',
      },
      {
        file: 'src/engine/seal-guard.ts',
        from: 'check: (what) => refuseFor(reason(what)) }',
        to: 'check: () => undefined }',
      },
    ],
    breaks: 'all agree in the end',
    seed: 3,
  },
  {
    rule: 'nothing is sealed by a clock that is ahead of others',
    patches: [
      {
        file: 'src/node/authority-engine.ts',
        from: 'withOthers(backups, sealClock',
        to: 'withOthers(backups',
      },
    ],
    breaks: 'all agree in the end',
    seed: 3,
  },
  {
    rule: 'a tick is committed on the tip that it was checked against',
    patches: [
      { file: 'src/storage/sql/ticks.ts', from: 'if (tip !== parent) throw moved', to: "if (tip === '') throw moved" },
      {
        file: 'src/storage/sql/ticks.ts',
        from: 'if (first !== undefined) throw moved',
        to: "if (first === '') throw moved",
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
    breaks: 'what is final can be proven',
    seed: 3,
  },
  {
    rule: 'a tick is sealed once, also where its transactions are redacted',
    patches: [
      {
        file: 'src/engine/history-rules.ts',
        from: "if (earlierTick === 'shown')",
        to: "if (earlierTick === 'shown' && tickId === '')",
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
    test: 'test/e2e/standby/late-commit.long.ts',
  },
  {
    rule: 'an authority whose database is an older one asks peers for the votes',
    patches: [
      { file: 'src/engine/restorer.ts', from: 'if (voted !== undefined) await takeVotes(peer, voted)', to: '' },
    ],
    test: 'test/unit/engine/restorer.test.ts',
  },
  {
    rule: 'a clock that starts long after the last block is confirmed by somebody first',
    patches: [
      {
        file: 'src/engine/seal-clock.ts',
        from: 'if (!isBelieved && contradicted === undefined && parts.hasValidators()) fault = faultOfStart()\n',
        to: '',
      },
    ],
    test: 'test/unit/engine/seal-clock.test.ts',
  },
  {
    rule: 'where a peer that the operator has named says the time, whoever else connects has no say',
    patches: [
      { file: 'src/engine/seal-clock.ts', from: 'return theirs.length > 0 ? theirs : readings', to: 'return readings' },
    ],
    test: 'test/unit/engine/seal-clock.test.ts',
  },
  {
    rule: 'while nobody has answered, a clock that starts long after the last block is not believed',
    patches: [
      {
        file: 'src/engine/seal-clock.ts',
        from: 'if (!isBelieved && contradicted === undefined && parts.hasValidators()) fault = faultOfStart()\n',
        to: '',
      },
      {
        file: 'src/engine/seal-clock.ts',
        from: "    if (verdict.kind === 'unknown' && parts.hasValidators()",
        to: "    if (verdict.kind === 'unknown' && !isBelieved && parts.hasValidators()) fault ??= faultOfStart()\n    if (verdict.kind === 'unknown' && parts.hasValidators()",
      },
    ],
    test: 'test/unit/engine/seal-clock.test.ts',
  },
  {
    rule: 'who keeps up with a shared database measures its rest by the clock that nobody sets',
    patches: [
      { file: 'src/engine/succession.ts', from: 'const begun = steadyNow(clock)', to: 'const begun = clock.now()' },
      { file: 'src/engine/succession.ts', from: '(steadyNow(clock) - begun)', to: '(clock.now() - begun)' },
    ],
    test: 'test/unit/engine/succession.test.ts',
  },
  {
    rule: 'the recovery of an authority is not sealed below what peers have either',
    patches: [
      {
        file: 'src/engine/seal-guard.ts',
        from: "if (seen.shownBy === 'a peer') return true",
        to: "if (seen.shownBy === 'a peer') return what === 'block'",
      },
    ],
    test: OWN_RECOVERY,
  },
  {
    rule: 'the recovery of an authority is not sealed below what its high-water file has',
    patches: [
      {
        file: 'src/engine/seal-guard.ts',
        from: 'if (mark === null || mark.height <= height)',
        to: "if (mark === null || mark.height <= height || what === 'recovery')",
      },
    ],
    test: OWN_RECOVERY,
  },
  {
    rule: 'who has the signer cannot hide what peers have sealed',
    patches: [
      {
        file: 'src/engine/seal-guard.ts',
        from: "sighting.shownBy === 'a peer' ? PEERS : sighting.public_key",
        to: 'PEERS',
      },
    ],
    test: OWN_RECOVERY,
  },
  {
    rule: 'a recovery that waits is sealed before another one with its key is looked at',
    patches: [
      {
        file: 'src/engine/sealer.ts',
        from: 'if (waiting !== undefined && isOfKey(waiting, recovery)) await sealNext()',
        to: "if (waiting !== undefined && isOfKey(waiting, recovery)) await setAside(waiting, '')",
      },
      { file: 'src/engine/sealer.ts', from: 'refuseRegistry(recovery, reason)', to: 'void reason' },
    ],
    test: OWN_RECOVERY,
  },
  {
    rule: 'a key that a void recovery has brought signs no other one',
    patches: [{ file: 'src/engine/sealer.ts', from: 'refuseRegistry(recovery, reason)', to: 'void reason' }],
    test: OWN_RECOVERY,
  },
  {
    rule: 'a recovery that nobody has signed takes the place of none that waits',
    patches: [
      {
        file: 'src/engine/tick-runner.ts',
        from: '      await sealer.checkSealable([transaction])\n      const isOwn',
        to: '      const isOwn',
      },
    ],
    test: OWN_RECOVERY,
  },
  {
    rule: 'no second recovery of one authority waits',
    patches: [{ file: 'src/storage/sql/ticks.ts', from: 'return other?.tick_id', to: 'return undefined' }],
    test: 'test/contract/stores.test.ts',
  },
  {
    rule: 'a tick that was committed behind another is sealed behind it',
    patches: [
      {
        file: 'src/engine/tick-runner.ts',
        from: "committed === 'behind' && tick.transactions",
        to: 'false && tick.transactions',
      },
    ],
    test: 'test/unit/engine/seal-order.test.ts',
  },
  {
    rule: 'who could seal nothing does not lead',
    patches: [{ file: 'src/engine/lead-right.ts', from: 'isRecovering || (isHere', to: 'isRecovering || (true' }],
    test: 'test/e2e/standby/lost-key.long.ts',
  },
  {
    rule: 'an authority without its key leads for its own recovery, if nobody else does',
    patches: [{ file: 'src/engine/lead-right.ts', from: 'isRecovering || (isHere', to: '(isHere' }],
    test: 'test/e2e/standby/lost-key.long.ts',
  },
  {
    rule: 'a recovery that waits is sealed at the next start, though the key is lost',
    patches: [
      { file: 'src/engine/waiting-ticks.ts', from: "(next === 'recovery' || standing", to: '(standing' },
      { file: 'src/engine/waiting-ticks.ts', from: 'guard.reason(next)', to: 'guard.reason()' },
    ],
    test: 'test/e2e/signer/recover.long.ts',
  },
  {
    rule: 'nothing is sealed in the place of a block that a key has sealed which came since',
    patches: [
      { file: 'src/engine/restorer.ts', from: 'if (height >= chain.size) guard.saw', to: 'if (height < 0) guard.saw' },
    ],
    test: 'test/unit/engine/restorer.test.ts',
  },
  {
    rule: 'an authority takes no block from the future',
    patches: [
      { file: 'src/engine/restorer.ts', from: 'seal.ok ? verifyNotFromFuture(header, clock.now()) : seal', to: 'seal' },
    ],
    test: 'test/unit/engine/restorer.test.ts',
  },
]

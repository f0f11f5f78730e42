import type { Mutation } from './mutation.ts'

/** What is removed for good, and what others may still do above it. */
export const BODIES: readonly Mutation[] = [
  {
    rule: 'a tick that a block without a body may have sealed is not taken again',
    patches: [
      {
        file: 'src/storage/sql/ticks.ts',
        from: "source === 'platform' &&\n    unknown",
        to: "source === '' &&\n    unknown",
      },
    ],
    test: 'test/contract/stores.test.ts',
  },
  {
    rule: 'every authority on a database removes what one of them has removed',
    patches: [
      { file: 'src/engine/succession.ts', from: '    await parts.redactor.keepUp()\n', to: '' },
      { file: 'src/node/authority-engine.ts', from: '  await redactor.keepUp()\n', to: '' },
    ],
    breaks: 'what was removed is gone',
    seed: 17,
  },
  {
    rule: 'of a body that was removed SQL keeps nothing, not even the nonce',
    patches: [
      {
        file: 'src/storage/sql/redactions.ts',
        from: "      timestamp: tick_time,\n      nonce: '',\n",
        to: '      timestamp: tick_time,\n',
      },
    ],
    breaks: 'what was removed is gone',
    seed: 1,
  },
  {
    rule: 'a body that was removed is removed again from an older SQL',
    patches: [{ file: 'src/engine/put-back.ts', from: '      await forgetAgain()\n', to: '' }],
    test: 'test/e2e/retention/redact-older-sql.long.ts',
  },
  {
    rule: 'an authority waits for a peer that may have a body',
    patches: [
      {
        file: 'src/engine/block-fetcher.ts',
        from: 'if (patience?.mayTake(hashHeader(header), silent) === false)',
        to: 'if (patience?.mayTake(hashHeader(header), []) === false)',
      },
    ],
    test: 'test/unit/engine/block-fetcher.test.ts',
  },
  {
    rule: 'a key that the chain has revoked or recovered reads nothing of another branch',
    patches: [
      {
        file: 'src/engine/block-access.ts',
        from: 'if (entry !== other || place?.isOnChain !== false) return',
        to: 'if (entry !== undefined || place?.isOnChain !== false) return',
      },
    ],
    test: 'test/unit/engine/block-server.test.ts',
  },
  {
    rule: 'a correction of what was removed here is checked by what peers show',
    patches: [
      {
        file: 'src/engine/replica-sync.ts',
        from: 'const shown = await fetchRemoved(parts, peer, block)',
        to: 'const shown = (await fetchRemoved(parts, peer, block)).slice(0, 0)',
      },
    ],
    test: 'test/unit/engine/redacted-corrections.test.ts',
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
  {
    rule: 'who removed a body takes its id and tick again where that is proven final',
    patches: [
      {
        file: 'src/engine/history-rules.ts',
        from: 'if (removed !== undefined && !isFinal) {',
        to: 'if (removed !== undefined) {',
      },
    ],
    test: 'test/unit/engine/redacted-corrections.test.ts',
  },
  {
    rule: 'who removed a body refuses its id and tick until that is proven final',
    patches: [
      {
        file: 'src/engine/history-rules.ts',
        from: 'if (removed !== undefined && !isFinal) {',
        to: "if (removed === '') {",
      },
    ],
    test: 'test/unit/engine/redacted-corrections.test.ts',
  },
]

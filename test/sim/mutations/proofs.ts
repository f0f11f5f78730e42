import type { Mutation } from './mutation.ts'

/** What a light node, a receipt and a validator that begins late take for proven. */
export const PROOFS: readonly Mutation[] = [
  {
    rule: 'a light node asks for the quorum of what it trusts',
    patches: [
      {
        file: 'src/protocol/light-verify.ts',
        from: 'if (!counted.ok || counted.acks >= counted.required) return counted.ok ? VALID : counted',
        to: 'if (counted.ok || !counted.ok) return VALID',
      },
    ],
    test: 'test/unit/protocol/left-out.test.ts',
  },
  {
    rule: 'a light node follows what an authority has sealed',
    patches: [
      {
        file: 'src/protocol/light-verify.ts',
        from: 'return verifySeal(sealed, sealer.public_key)',
        to: 'return VALID',
      },
    ],
    breaks: 'every block is valid',
    seed: 3,
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
    test: 'test/unit/engine/branch-acks.test.ts',
  },
  {
    rule: 'no anchor is given out that who asked would refuse',
    patches: [
      {
        file: 'src/engine/anchor-builder.ts',
        from: 'if (open === undefined) return steps',
        to: 'if (open !== null) return steps',
      },
    ],
    test: 'test/unit/engine/anchor-pages.test.ts',
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
    rule: 'a block that recovers its sealer is sealed by the key that this brings, whatever comes after it in the block',
    patches: [
      {
        file: 'src/protocol/block.ts',
        from:
          'const entry = before.entry(miner_id)\n' +
          "  return entry?.role === 'authority' && entry.revoked_by === undefined ? recovery.public_key : undefined",
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
    rule: 'a request for a certificate is passed on by the peer that it is for alone',
    patches: [
      {
        file: 'src/engine/block-server.ts',
        from: 'const isPassedOn = credential.to === from',
        to: 'const isPassedOn = credential.to !== requests.id',
      },
      {
        file: 'src/engine/block-server.ts',
        from: '{ from: credential.from, to: from }',
        to: '{ from: credential.from, to: credential.to }',
      },
    ],
    test: 'test/unit/engine/membership-relay.test.ts',
  },
]

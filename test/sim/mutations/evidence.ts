import type { Mutation } from './mutation.ts'

/** How a double seal is found and told. */
export const EVIDENCE: readonly Mutation[] = [
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
    breaks: 'evidence of a double seal is found',
    seed: 0,
  },
  {
    rule: 'a branch on which another key seals is compared where it parts',
    patches: [
      {
        file: 'src/engine/light-follower.ts',
        from: "if (offer === 'fork' || isApart(offer)) await",
        to: "if (offer === 'fork') await",
      },
    ],
    test: 'test/unit/engine/light-key-changes.test.ts',
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
    breaks: 'evidence of a double seal is found',
    seed: 54,
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
    breaks: 'no honest node is accused',
    seed: 18,
  },
]

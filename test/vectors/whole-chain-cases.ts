import { atOnce } from '../../src/protocol/pieces.ts'
import { genesisState, stateAfter, verifyBlock, type ChainState } from '../../src/engine/chain-state.ts'
import { earlierKeys, historyOf, verifyTransactions } from '../../src/engine/history-rules.ts'
import type { Block, ShownBlock } from '../../src/protocol/block.ts'
import type { Verdict } from '../../src/protocol/errors.ts'
import { chainIdOf, type Genesis } from '../../src/protocol/genesis.ts'
import { hashHeader, type Header } from '../../src/protocol/header.ts'
import { REGISTRY_VALIDITY_MS } from '../../src/protocol/limits.ts'
import { leafOf, type Transaction } from '../../src/protocol/transaction.ts'
import { correction, createStreet, namedKey, STREET_TIME, trade, type Branch } from '../helpers/branches.ts'
import { createMemoryChainStore } from '../helpers/memory-chain-store.ts'
import { sealHeader } from '../helpers/sign-now.ts'
import { copyOf, type VectorFile } from './case.ts'
import {
  change,
  enrolled,
  honest,
  key,
  next,
  policy,
  recovered,
  refused,
  revoked,
  rotated,
  sealed,
  type ChainCase,
} from './next-block.ts'
import { revocationCases } from './revocation-cases.ts'

const street = createStreet({ voters: ['alice', 'bob'] })
const voted = createStreet({ finality: { policy: 'votes', threshold: 3 }, voters: ['alice', 'bob', 'carol'] })
const validated = createStreet({
  finality: { policy: 'validators', threshold: 3 },
  validators: ['v1', 'v2', 'v3', 'v4'],
  recoverable: true,
})
/** The blocks as a node has them that lacks the bodies of these. */
const without = (blocks: readonly Block[], ...ids: readonly string[]): readonly ShownBlock[] =>
  blocks.map((block) => ({
    ...block,
    transactions: block.transactions.map((tx) =>
      ids.includes(tx.id) ? { kind: 'redacted' as const, tx_hash: leafOf(tx) } : tx,
    ),
  }))

function transactionCases(): readonly ChainCase[] {
  const base = street.start
    .add([trade('t0', 'a'), trade('t0', 'b')])
    .add([enrolled(street, 'carol')])
    .grow('t2')
  const corrected = base.add([correction('t3', 'a-fix', 'a', '-2', '-0.4')])
  const lacking = (name: string, on: Branch, transactions: readonly Transaction[], ...ids: readonly string[]) => {
    const made = honest(name, street, on, transactions)
    return { ...made, blocks: without(on.blocks, ...ids) }
  }
  const final = (chainCase: ChainCase): ChainCase => ({
    ...chainCase,
    name: `${chainCase.name}, proven to be final`,
    is_final: true,
  })
  const onGone = lacking('a correction of a trade whose body is gone', base, [correction('t3', 'a-fix', 'a')], 'a')
  const below = [correction('t4', 'a-fix-2', 'a', '-1', '-0.2')]
  const onSum = lacking('a sum below zero that a body which is gone may mend', corrected, below, 'b')
  return [
    honest('the first block', street, street.start, [trade('t0', 'a')]),
    honest('the next tick', street, base, [trade('t3', 'c'), trade('t3', 'd')]),
    honest('an id that an earlier trade has', street, base, [trade('t3', 'a')]),
    honest('an id that an earlier correction has', street, corrected, [trade('t4', 'a-fix')]),
    honest('an id that an earlier change of the registry has', street, base, [trade('t3', 'enrol-carol')]),
    honest('one id for two trades', street, base, [
      trade('t3', 'c'),
      trade('t3', 'c', { kwh: '5', total_amount: '1' }),
    ]),
    honest('a change of the registry with the id of an earlier trade', street, base, [
      change(street, 'a', 'dave', { action: 'enrol', subject_id: 'dave', role: 'voter', public_key: key('dave') }),
    ]),
    honest('a tick that an earlier block has sealed', street, base, [trade('t0', 'c')]),
    honest('a correction of an earlier trade', street, base, [correction('t3', 'a-fix', 'a')]),
    honest('a second one, to nothing', street, corrected, [correction('t4', 'a-fix-2', 'a', '-0.5', '-0.1')]),
    honest('a second one, below nothing', street, corrected, below),
    honest('a correction of what is not there', street, base, [correction('t3', 'x-fix', 'x')]),
    honest('a correction of a trade of the same block', street, base, [
      trade('t3', 'c'),
      correction('t3', 'c-fix', 'c'),
    ]),
    honest('a correction of a correction', street, corrected, [correction('t4', 'fix-fix', 'a-fix')]),
    honest('a correction of a change of the registry', street, base, [correction('t3', 'c-fix', 'enrol-carol')]),
    lacking('a trade above a body that is gone', base, [trade('t3', 'c')], 'a'),
    lacking('a correction of a trade beside a body that is gone', base, [correction('t3', 'b-fix', 'b')], 'a'),
    onGone,
    final(onGone),
    onSum,
    final(onSum),
    final(honest('a correction of what is not there', street, base, [correction('t3', 'x-fix', 'x')])),
    final(honest('an id that is used up', street, base, [trade('t3', 'a')])),
  ]
}

function registryCases(): readonly ChainCase[] {
  const base = street.start.grow('t0')
  const carol = base.add([enrolled(street, 'carol')])
  const gone = base.add([revoked(street, 'bob')])
  const four = validated.start.grow('t0')
  const recovery = recovered(street, 'authority', 'authority 2')
  const withdrawn = voted.start.grow('t0').add([revoked(voted, 'carol')])
  const late = base.grow('t1').add([trade('t2', 'late')], { timestamp: STREET_TIME + REGISTRY_VALIDITY_MS + 1 })
  const twice = { ...enrolled(street, 'dave'), public_key: key('carol') }
  return [
    honest('a user comes', street, base, [enrolled(street, 'carol')]),
    honest('a user takes another key', street, base, [rotated(street, 'bob', 'bob 2')]),
    honest('a user goes by its own word', street, base, [revoked(street, 'bob', 'bob')]),
    honest('an authority takes another key: the former one seals this block', street, base, [
      rotated(street, 'authority', 'authority 2'),
    ]),
    honest('and the new one the next', street, base.add([rotated(street, 'authority', 'authority 2')]), [
      trade('t2', 'c'),
    ]),
    next(
      'a former key of the authority',
      street,
      base.add([rotated(street, 'authority', 'authority 2')]),
      sealed(base.add([rotated(street, 'authority', 'authority 2')]), {}),
    ),
    honest('an authority recovers: the key that this brings seals the block', street, base, [recovery]),
    next(
      'an authority recovers, sealed by the key that is lost',
      street,
      base,
      (({ header, transactions }) => ({ ...sealHeader(header, namedKey('authority')), transactions }))(
        base.add([recovery]).blocks.at(-1)!,
      ),
    ),
    next('a sealer that is a user', street, base, sealed(base, { header: { miner_id: 'bob' }, by: namedKey('bob') })),
    next(
      'a root that leaves out the change',
      street,
      base,
      sealed(base, { transactions: [enrolled(street, 'carol')] }),
    ),
    next(
      'a root that changes without a change',
      street,
      carol,
      sealed(carol, { header: { registry_root: base.blocks[0]!.header.registry_root } }),
    ),
    refused(
      'an id that is registered',
      street,
      carol,
      change(street, 'again', 'carol 2', {
        action: 'enrol',
        subject_id: 'carol',
        role: 'voter',
        public_key: key('carol 2'),
      }),
    ),
    refused('an enrolment that another key has signed', street, carol, twice),
    refused(
      'a key that somebody has',
      street,
      base,
      change(street, 'enrol-eve', 'bob', {
        action: 'enrol',
        subject_id: 'eve',
        role: 'voter',
        public_key: key('bob'),
      }),
    ),
    refused(
      'a key that somebody had',
      street,
      base.add([rotated(street, 'bob', 'bob 2')]),
      change(street, 'enrol-eve', 'bob', {
        action: 'enrol',
        subject_id: 'eve',
        role: 'voter',
        public_key: key('bob'),
      }),
    ),
    refused('a rotation that nobody concerned has signed', street, base, rotated(street, 'bob', 'bob 2', 'alice')),
    refused('a rotation of who is revoked', street, gone, rotated(street, 'bob', 'bob 2')),
    refused('a rotation of nobody', street, base, rotated(street, 'zoe', 'zoe 2')),
    refused('a recovery without a recovery key', street, base, recovered(street, 'bob', 'bob 2')),
    refused('a revocation by a neighbour', street, base, revoked(street, 'bob', 'alice')),
    refused(
      'a second revocation',
      street,
      gone,
      change(street, 'revoke-again', 'authority', { action: 'revoke', subject_id: 'bob' }),
    ),
    refused('the last authority goes', street, base, revoked(street, 'authority')),
    refused(
      'a policy by a user',
      street,
      base,
      change(street, 'policy', 'bob', {
        action: 'policy',
        subject_id: 'bob',
        finality: { policy: 'votes', threshold: 1 },
      }),
    ),
    next(
      'a change that was signed more than a day before',
      street,
      late,
      late.add([enrolled(street, 'carol')], { timestamp: late.blocks.at(-1)!.header.timestamp }).blocks.at(-1)!,
    ),
    honest('a validator goes, three are enough', validated, four, [revoked(validated, 'v4')]),
    refused('one more goes, two are not', validated, four.add([revoked(validated, 'v4')]), revoked(validated, 'v3')),
    refused(
      'a threshold that is no majority',
      validated,
      four,
      policy(validated, { policy: 'validators', threshold: 2 }),
    ),
    refused('validators that are not there', street, base, policy(street, { policy: 'validators', threshold: 1 })),
    honest('a policy that three users can confirm', voted, voted.start.grow('t0'), [
      policy(voted, { policy: 'authority' }),
    ]),
    refused('a policy that two users cannot', voted, withdrawn, policy(voted, { policy: 'authority' })),
    honest('a user comes all the same', voted, withdrawn, [enrolled(voted, 'dave')]),
  ]
}

function linkCases(): readonly ChainCase[] {
  const base = street.start.grow('t0', 't1', 't2')
  const tip = base.blocks[2]!.header
  const wrong = (name: string, header: Partial<Header>) => next(name, street, base, sealed(base, { header }))
  return [
    wrong('the history of the block before', { history_root: tip.history_root }),
    wrong('a history that is none', { history_root: '0'.repeat(64) }),
    wrong('the parent of the parent', { prev_hash: tip.prev_hash }),
    wrong('a height that is left out', { height: 4 }),
    wrong('a time before the parent', { timestamp: tip.timestamp - 1 }),
    next('a seal of nobody', street, base, sealed(base, { by: namedKey('stranger') })),
  ]
}

/** What this code makes of a case, by the rules that a replica goes by. */
async function outcomeOf({ genesis, blocks, block, is_final }: ChainCase) {
  const store = createMemoryChainStore()
  let state = genesisState(genesis)
  for (const earlier of blocks) {
    const verdict = await verdictOn(genesis, state, earlier, store, true)
    if (!verdict.ok) throw new Error(`block ${earlier.header.height}: ${verdict.reason}`)
    const hash = hashHeader(earlier.header)
    await store.append(earlier, hash, earlier.transactions.map(leafOf))
    state = stateAfter(state, earlier, hash)
  }
  const verdict = await verdictOn(genesis, state, block, store, is_final)
  return verdict.ok ? { ok: true } : { ok: false, error: verdict.code }
}

async function verdictOn(
  genesis: Genesis,
  state: ChainState,
  block: ShownBlock,
  store: ReturnType<typeof createMemoryChainStore>,
  isFinal: boolean,
): Promise<Verdict> {
  const history = historyOf(store, await store.size(), [])
  const earlier = await earlierKeys(block.transactions, history)
  const verdict = atOnce(verifyBlock(state, block, { genesis, chainId: chainIdOf(genesis) }, earlier))
  return verdict.ok ? await verifyTransactions(block, history, isFinal) : verdict
}

const CASES = await Promise.all(
  [...linkCases(), ...transactionCases(), ...registryCases(), ...revocationCases()].map(async (made) => ({
    ...copyOf(made),
    ...(await outcomeOf(made)),
  })),
)

/** Whole chains, and whether the next block is taken. */
export function wholeChains(): VectorFile {
  return {
    about:
      'Is "block" the next one after "blocks", which are valid? By every rule but the clock of who checks. Where a body was removed {"kind": "redacted", "tx_hash"} stands in its place: the one who checks never had it. "is_final": that the block is final was proven before.',
    cases: CASES,
  }
}

import assert from 'node:assert/strict'
import { createBudget, CUT_OFF_MS, MAX_BUCKETS, type Party } from '../../../src/network/budget.ts'
import { hostKey } from '../../../src/network/address.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'

const stranger = (peer: string | undefined, address = '192.0.2.1'): Party => ({ peer, address, standing: 'stranger' })
const ms = (spent: number) => ({ ms: spent, bytes: 0 })

function budgetOfTest() {
  const clock = createVirtualClock(1_000)
  const cutOffs: { whose: string; peer: string | undefined; forMs: number }[] = []
  const budget = createBudget({ clock, onCutOff: (whose, { peer }, forMs) => cutOffs.push({ whose, peer, forMs }) })
  return { clock, budget, cutOffs }
}

describe('the budget of a peer', () => {
  it('lets it do much at once, and then as much as comes back', () => {
    const { clock, budget, cutOffs } = budgetOfTest()
    const peer = stranger('a')
    assert.equal(budget.waitMs(peer), 0)
    budget.charge(peer, ms(2_000))
    assert.equal(budget.waitMs(peer), 0)
    budget.charge(peer, ms(100))
    assert.equal(budget.waitMs(peer), 500)
    clock.advance(500)
    assert.equal(budget.waitMs(peer), 0)
    assert.deepEqual(cutOffs, [])
  })

  it('counts bytes as it counts time', () => {
    const { clock, budget } = budgetOfTest()
    budget.charge(stranger('a'), { ms: 0, bytes: 18 * 1024 * 1024 })
    assert.equal(budget.waitMs(stranger('a')), 2_000)
    clock.advance(2_000)
    assert.equal(budget.waitMs(stranger('a')), 0)
  })

  it('does not save up more than a full bucket, nor by what is given back', () => {
    const { clock, budget } = budgetOfTest()
    clock.advance(1_000_000)
    budget.charge(stranger('a'), ms(-5_000))
    budget.charge(stranger('a'), ms(2_200))
    assert.equal(budget.waitMs(stranger('a')), 1_000)
  })

  it('is its own: another peer of another address pays nothing for it', () => {
    const { budget } = budgetOfTest()
    budget.charge(stranger('a'), ms(3_000))
    assert.ok(budget.waitMs(stranger('a')) > 0)
    assert.equal(budget.waitMs(stranger('b', '192.0.2.2')), 0)
  })

  it('is shared by the strangers of an address, however many they are, and not by who is known there', () => {
    const { budget } = budgetOfTest()
    for (let n = 0; n < 100; n++) budget.charge(stranger(`peer ${n}`), ms(75))
    assert.equal(budget.waitMs(stranger('new')), 5_000)
    assert.equal(budget.waitMs({ ...stranger('known'), standing: 'device' }), 0)
    assert.equal(budget.waitMs(stranger('elsewhere', '192.0.2.2')), 0)
  })

  it('for questions is shared by all strangers of all addresses, and what they owe together is soon forgiven', () => {
    const { budget, clock } = budgetOfTest()
    for (let n = 0; n < 100; n++) budget.chargeQuestion({ ...stranger(`member ${n}`), standing: 'member' }, ms(110))
    assert.equal(budget.strangersWaitMs(), 0)
    for (let n = 0; n < 100; n++) budget.chargeQuestion(stranger(`peer ${n}`, `192.0.2.${n}`), ms(105))
    assert.equal(budget.strangersWaitMs(), 1_000)
    for (let n = 0; n < 1_000; n++) budget.chargeQuestion(stranger(`more ${n}`, `192.0.2.${n % 100}`), ms(105))
    assert.equal(budget.strangersWaitMs(), 2_000)
    assert.equal(budget.waitMs(stranger('new', '198.51.100.1')), 0)
    clock.advance(2_000)
    assert.equal(budget.strangersWaitMs(), 0)
  })

  it('is that of a key for all peers that have shown it', () => {
    const { budget, cutOffs } = budgetOfTest()
    const ofKey = (peer: string): Party => ({ ...stranger(peer), standing: 'device', key: 'one key' })
    for (let n = 0; n < 45; n++) budget.charge(ofKey(`peer ${n}`), ms(100))
    assert.equal(budget.waitMs(ofKey('new')), 1_250)
    assert.equal(budget.waitMs({ ...ofKey('other'), key: 'another key' }), 0)
    budget.charge(ofKey('peer 0'), ms(10_000))
    assert.equal(budget.isCutOff(ofKey('new')), true)
    assert.deepEqual(
      cutOffs.map(({ whose, peer }) => [whose, peer]),
      [['peer', 'peer 0']],
    )
  })

  it('of handshakes where devices are at home is small, and comes back', () => {
    const { budget, clock } = budgetOfTest()
    const takes = () => budget.takeHome('192.0.2.1', ms(10))
    let taken = 0
    while (takes()) taken++
    assert.equal(taken, 20)
    assert.equal(budget.takeHome('192.0.2.2', ms(10)), true)
    clock.advance(1_000)
    assert.deepEqual([takes(), takes(), takes()], [true, true, false])
  })

  it('cuts off who overdraws it by much, for a while, and for longer each time', () => {
    const { clock, budget, cutOffs } = budgetOfTest()
    const peer = stranger('a')
    budget.charge(peer, ms(5_900))
    assert.equal(budget.isCutOff(peer), false)
    budget.charge(peer, ms(200))
    assert.equal(budget.isCutOff(peer), true)
    budget.charge(peer, ms(200))
    assert.equal(cutOffs.length, 1, 'who is cut off is told once')
    clock.advance(CUT_OFF_MS)
    assert.equal(budget.isCutOff(peer), false)
    budget.charge(peer, ms(6_100))
    assert.deepEqual(
      cutOffs.map(({ whose, forMs }) => [whose, forMs]),
      [
        ['peer', CUT_OFF_MS],
        ['peer', 2 * CUT_OFF_MS],
      ],
    )
    clock.advance(24 * 60 * 60_000)
    budget.charge(peer, ms(6_100))
    assert.equal(cutOffs[2]?.forMs, CUT_OFF_MS, 'what was long ago is forgiven')
  })

  it('cuts off the strangers of an address that overdraw theirs together, and nobody else', () => {
    const { budget, cutOffs } = budgetOfTest()
    for (let n = 0; n < 10; n++) budget.charge(stranger(`peer ${n}`), ms(2_000))
    assert.deepEqual(
      cutOffs.map(({ whose }) => whose),
      ['address'],
    )
    assert.equal(budget.isCutOff(stranger(undefined)), true)
    assert.equal(budget.isCutOff(stranger('new')), true)
    assert.equal(budget.isCutOff({ ...stranger('known'), standing: 'device' }), false)
    assert.equal(budget.isCutOff(stranger('elsewhere', '192.0.2.2')), false)
  })

  it('of an address is none for this machine: a proxy connects from it for everybody', () => {
    const { budget, cutOffs } = budgetOfTest()
    for (const address of ['127.0.0.1', hostKey('::1'), hostKey('::ffff:127.0.0.1')]) {
      for (let n = 0; n < 20; n++) budget.charge(stranger(`${address} ${n}`, address), ms(1_000))
      assert.equal(budget.isCutOff(stranger(undefined, address)), false)
    }
    assert.deepEqual(cutOffs, [])
  })

  it('pays for what is no question by itself, and its address: not who has done nothing', () => {
    const { budget } = budgetOfTest()
    for (let n = 0; n < 10_000; n++) budget.charge(stranger(undefined, `192.0.2.${n % 10}`), ms(10))
    assert.ok(budget.waitMs(stranger('one more', '192.0.2.1')) > 0)
    assert.equal(budget.waitMs(stranger('new', '198.51.100.1')), 0)
    assert.equal(budget.strangersWaitMs(), 0)
  })

  it('pays by itself alone for being refused: its neighbours are not cut off for it', () => {
    const { budget, cutOffs } = budgetOfTest()
    for (let n = 0; n < 60_000; n++) budget.chargePeer(stranger(`light ${n % 60}`), ms(1))
    assert.deepEqual(cutOffs, [])
    assert.equal(budget.waitMs(stranger('new')), 0)
    budget.chargePeer(stranger('light 1'), ms(5_100))
    assert.equal(budget.isCutOff(stranger('light 1')), true)
  })

  it('of a connection that has not shown whose it is counts for its address alone', () => {
    const { budget } = budgetOfTest()
    budget.charge(stranger(undefined), ms(6_300))
    assert.equal(budget.waitMs(stranger('a')), 1_000)
    assert.equal(budget.size(), 2)
  })

  it('is remembered for so many, who has been quiet for longest is forgotten', () => {
    const { budget } = budgetOfTest()
    budget.charge(stranger('first', 'first'), ms(3_000))
    for (let n = 0; n < MAX_BUCKETS; n++) budget.charge({ ...stranger(`peer ${n}`), standing: 'device' }, ms(1))
    assert.equal(budget.size(), MAX_BUCKETS)
    assert.equal(budget.waitMs({ ...stranger('first'), standing: 'device' }), 0)
  })
})

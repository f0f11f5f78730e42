import assert from 'node:assert/strict'
import { createStandings, MAX_KNOWN, MAX_PEERS_OF_KEY } from '../../../src/network/standings.ts'

describe('the standing of a peer', () => {
  it('is what it has proven, and that of a member for who is named in the settings', () => {
    const standings = createStandings()
    assert.equal(standings.of('a'), 'stranger')
    standings.vouch('a', 'key of a', () => 'device', '192.0.2.1')
    assert.equal(standings.of('a'), 'device')
    standings.vouch('a', 'key of a validator', () => 'member', undefined)
    assert.equal(standings.of('a'), 'member')
    standings.trust('b')
    assert.equal(standings.of('b'), 'member')
    assert.ok(standings.isHome('192.0.2.1'))
    assert.equal(standings.isHome('192.0.2.2'), false)
  })

  it('is given by one key to a few peers: the oldest of them loses it', () => {
    const standings = createStandings()
    for (let n = 0; n <= MAX_PEERS_OF_KEY; n++) standings.vouch(`peer ${n}`, 'one key', () => 'device', undefined)
    assert.equal(standings.of('peer 0'), 'stranger')
    for (let n = 1; n <= MAX_PEERS_OF_KEY; n++) assert.equal(standings.of(`peer ${n}`), 'device')
    standings.vouch('peer 1', 'one key', () => 'device', undefined)
    standings.vouch('another', 'one key', () => 'device', undefined)
    assert.equal(standings.of('peer 1'), 'device', 'who has signed again is not the oldest')
    assert.equal(standings.of('peer 2'), 'stranger')
  })

  it('goes with the key that was shown, which others may have shown', () => {
    const standings = createStandings()
    assert.equal(standings.keyOf('a'), undefined)
    assert.deepEqual(standings.sharing('a'), ['a'])
    for (const peer of ['a', 'b']) standings.vouch(peer, 'one key', () => 'device', undefined)
    assert.equal(standings.keyOf('a'), 'one key')
    assert.deepEqual(standings.sharing('b'), ['a', 'b'])
    standings.vouch('a', 'another key', () => 'device', undefined)
    assert.deepEqual(standings.sharing('b'), ['b'])
  })

  it('ends with the registration of the key', () => {
    const standings = createStandings()
    let now: 'member' | undefined = 'member'
    standings.vouch('a', 'one key', () => now, undefined)
    assert.equal(standings.of('a'), 'member')
    now = undefined
    assert.equal(standings.of('a'), 'stranger')
    assert.equal(standings.keyOf('a'), 'one key', 'what it has cost is not forgotten')
  })

  it('is remembered for so many', () => {
    const standings = createStandings()
    for (let n = 0; n <= MAX_KNOWN; n++) {
      standings.vouch(`peer ${n}`, `key ${n}`, () => 'device', `address ${n}`)
      standings.trust(`named ${n}`)
    }
    assert.equal(standings.of('peer 0'), 'stranger')
    assert.equal(standings.of('named 0'), 'stranger')
    assert.equal(standings.isHome('address 0'), false)
    assert.equal(standings.of(`peer ${MAX_KNOWN}`), 'device')
  })
})

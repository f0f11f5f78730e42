import assert from 'node:assert/strict'
import type { Standing } from '../../../src/network/budget.ts'
import { createPlaces, MAX_CONNECTIONS_OF_PEER, type Place } from '../../../src/network/places.ts'

function placesOfTest(total: number) {
  const standings = new Map<string, Standing>()
  const closed: string[] = []
  const places = createPlaces(total, (peer) => standings.get(peer) ?? 'stranger')
  const place = (peer: string, address: string): Place => ({ peer, address, close: () => closed.push(peer) })
  const take = (peer: string, address = `address of ${peer}`) => places.take(place(peer, address)) === undefined
  return { places, standings, closed, place, take }
}

describe('the places for connections', () => {
  it('are given to so many connections of one peer', () => {
    const { take } = placesOfTest(100)
    for (let n = 0; n < MAX_CONNECTIONS_OF_PEER; n++) assert.ok(take('a'))
    assert.equal(take('a'), false)
    assert.ok(take('b'))
  })

  it('are free again once they are left', () => {
    const { places, place } = placesOfTest(100)
    const own = Array.from({ length: MAX_CONNECTIONS_OF_PEER }, () => place('a', 'one'))
    for (const one of own) assert.equal(places.take(one), undefined)
    const [first] = own
    assert.ok(first !== undefined)
    places.leave(first)
    places.leave(first)
    assert.equal(places.of('a').length, MAX_CONNECTIONS_OF_PEER - 1)
    assert.equal(places.take(place('a', 'one')), undefined)
  })

  it('are not all for strangers, nor all for devices: some are left for members', () => {
    const { take, standings } = placesOfTest(10)
    for (let n = 0; n < 7; n++) assert.ok(take(`stranger ${n}`))
    assert.equal(take('one more stranger'), false, 'none of an address of its own gives way')
    for (const n of [1, 2]) standings.set(`device ${n}`, 'device')
    assert.ok(take('device 1') && take('device 2'))
    standings.set('member', 'member')
    assert.ok(take('member'))
  })

  it('of strangers are given up by the address that has the most of them', () => {
    const { take, closed, places } = placesOfTest(10)
    for (let n = 0; n < 6; n++) take(`flood ${n}`, 'flood')
    take('quiet', 'quiet')
    assert.ok(take('newcomer', 'elsewhere'))
    assert.deepEqual(closed, ['flood 5'], 'its newest goes')
    assert.ok(take('flood again', 'flood'))
    assert.deepEqual(closed, ['flood 5', 'flood 0'], 'from its own address alone it gets it back')
    assert.equal(places.ofStrangersAt('flood').length, 5)
  })

  it('of strangers who share an address are had by newcomers, until they show whose they are', () => {
    const { take, closed, standings } = placesOfTest(10)
    for (let n = 0; n < 7; n++) take(`flood ${n}`, 'proxy')
    assert.ok(take('phone', 'proxy'))
    assert.deepEqual(closed, ['flood 0'])
    standings.set('phone', 'device')
    for (let n = 7; n < 20; n++) assert.ok(take(`flood ${n}`, 'proxy'))
    assert.ok(!closed.includes('phone'))
  })

  it('are given up by strangers for who is known', () => {
    const { take, closed, standings } = placesOfTest(10)
    for (let n = 0; n < 7; n++) take(`stranger ${n}`, 'flood')
    for (let n = 0; n < 4; n++) standings.set(`device ${n}`, 'device')
    for (let n = 0; n < 4; n++) assert.ok(take(`device ${n}`))
    assert.equal(closed.length, 2)
    assert.ok(closed.every((peer) => peer.startsWith('stranger')))
  })

  it('are kept by who is known', () => {
    const { take, closed, standings } = placesOfTest(10)
    for (let n = 0; n < 12; n++) standings.set(`device ${n}`, 'device')
    for (let n = 0; n < 9; n++) assert.ok(take(`device ${n}`))
    assert.equal(take('device 9'), false)
    assert.equal(take('stranger'), true)
    assert.equal(take('another stranger'), false)
    assert.deepEqual(closed, [])
  })
})

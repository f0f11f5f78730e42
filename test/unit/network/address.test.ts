import assert from 'node:assert/strict'
import { multiaddr } from '@multiformats/multiaddr'
import { addressOf, hostKey } from '../../../src/network/address.ts'

describe('what a connection is counted by', () => {
  for (const [host, key] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:0:12:a:b:c:d', '2001:db8:0:12::/64'],
    ['2001:0DB8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:12::', '2001:db8:0:12::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8:1:2:3::', '2001:db8:1:2::/64'],
    ['', ''],
  ] as const) {
    it(`of ${host === '' ? 'nothing' : host} is ${key === '' ? 'nothing' : key}`, () =>
      assert.equal(hostKey(host), key))
  }

  it('is the host of a multiaddr, whatever stands behind it', () => {
    assert.equal(addressOf(multiaddr('/ip4/192.0.2.1/tcp/4001/ws')), '192.0.2.1')
    assert.equal(addressOf(multiaddr('/ip6/2001:db8::5/tcp/4001')), '2001:db8:0:0::/64')
    assert.equal(addressOf(multiaddr('/dns4/ledger.example.org/tcp/443')), 'ledger.example.org')
  })
})

import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { createKeyFile, loadKeyFile } from '../../../src/keys/index.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { decodePostedRegistryTransaction, signRegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import { misbehaviourOf, verifyEvidence } from '../../../src/protocol/evidence.ts'
import { eventually } from '../../helpers/network.ts'
import { createValidatorNetwork, sealTick, type ValidatorNetwork } from '../../helpers/validator-network.ts'

describe('two authorities with one key', function () {
  this.timeout(60_000)
  let network: ValidatorNetwork

  beforeEach(async () => {
    network = await createValidatorNetwork({
      finality: 'authority',
      validators: ['v1'],
      voters: ['ann', 'ben', 'cem'],
    })
  })
  afterEach(() => network.stop())

  it('are shown by evidence that every connected node has within 2 s, and that anybody can check', async () => {
    // The first tells nobody before the second has sealed: it would hear that the height is taken, and not seal.
    const bothSealed = Promise.withResolvers<undefined>()
    const one = await network.startAuthority('authority', {
      wrapGossip: (gossip) => ({
        ...gossip,
        publish: async (...message) => {
          await bothSealed.promise
          return await gossip.publish(...message)
        },
      }),
    })
    const twin = await network.startAuthority('twin')
    const v1 = await network.startValidator('v1', [one.address, twin.address])
    const ann = await network.startHousehold('ann', [one.address])
    const ben = await network.startHousehold('ben', [twin.address])
    const cem = await network.startHousehold('cem', [one.address, twin.address])
    const households = [ann, ben, cem]
    for (const { node } of households) {
      await eventually('a household is live', () => node.status().state === 'live' && node.status().peers > 0)
    }
    await eventually('cem knows both', () => cem.node.status().peers === 2)

    await sealTick(one, 'here')
    await sealTick(twin, 'there')
    bothSealed.resolve(undefined)
    const since = Date.now()
    for (const { node } of households) {
      await eventually('a household is alarmed', () => node.status().state === 'alarm')
    }
    const took = Date.now() - since
    console.log(`        every light node showed the evidence ${took} ms after the second seal`)
    for (const { node } of households) {
      const [evidence] = await (await node.client).evidence(1)
      assert.ok(evidence)
      const { kind, signer_id, height } = misbehaviourOf(evidence)
      assert.deepEqual({ kind, signer_id, height }, { kind: 'double-seal', signer_id: 'authority', height: 0 })
      assert.ok(verifyEvidence(evidence, network.genesis, network.chainId).ok)
    }
    for (const url of [one.url, twin.url, v1.httpUrl]) {
      await eventually('it is listed over HTTP', async () => {
        const { evidence } = (await (await fetch(`${url}/evidence`)).json()) as { evidence: unknown[] }
        return evidence.length === 1
      })
    }
    // Who knows what the key has done does not seal with it any more, and seals again once it is replaced.
    for (const authority of [one, twin]) {
      const ready = await (await fetch(`${authority.url}/ready`)).text()
      assert.match(ready, /the key [0-9a-f]{64} of authority has sealed two blocks of one height/)
      await assert.rejects(sealTick(authority, 'later'), (error) => isSolarError(error, 'not_ready'))
    }
    const folder = join(network.folder, 'authority')
    const next = await createKeyFile(join(folder, 'authority-2.key'), { randomBytes: systemRandomBytes })
    const body = { kind: 'registry', id: 'new-key', action: 'rotate', subject_id: 'authority' } as const
    const rotation = { ...body, public_key: next.publicKey, timestamp: Date.now(), nonce: 'ab'.repeat(16) }
    const key = await loadKeyFile(join(folder, 'authority.key'), undefined)
    const signed = signRegistryTransaction(rotation, network.chainId, key)
    await one.node.ledger.register(decodePostedRegistryTransaction(signed))
    assert.equal((await sealTick(one, 'later')).height, 2)
  })
})

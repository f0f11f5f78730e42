import { strict as assert } from 'node:assert'
import { misbehaviourOf, verifyEvidence } from '../../../src/protocol/evidence.ts'
import { eventually } from '../../helpers/network.ts'
import { createValidatorNetwork, sealTick, type ValidatorNetwork } from '../../helpers/validator-network.ts'

describe('two authorities with one key', () => {
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
    const one = await network.startAuthority()
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
    // Nobody votes for that key any more.
    const voted = households.map(({ events }) => events.filter(({ type }) => type === 'vote').length)
    await sealTick(one, 'later')
    await eventually('ann follows what she saw first', () => ann.node.status().tip?.height === 1)
    assert.deepEqual(
      households.map(({ events }) => events.filter(({ type }) => type === 'vote').length),
      voted,
    )
  })
})

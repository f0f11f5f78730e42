import { strict as assert } from 'node:assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cosignerName } from '../../../src/protocol/checkpoint.ts'
import { eventually } from '../../helpers/network.ts'
import { createValidatorNetwork, sealTick, type ValidatorNetwork } from '../../helpers/validator-network.ts'
import { cliGroup } from '../main-job/cli.ts'
import { hasPython, runPython } from '../../unit/protocol/python.ts'

if (hasPython)
  describe('the checkpoint of an authority and its validators', () => {
    let network: ValidatorNetwork
    beforeEach(async () => {
      network = await createValidatorNetwork({ finality: 'validators:2', validators: ['v1', 'v2'] })
    })
    const clis = cliGroup()
    afterEach(async () => {
      await clis.killAll()
      await network.stop()
    })

    it('has the cosignatures of two validators, which a program that follows the C2SP text alone accepts', async () => {
      const { genesis } = network
      const keyOf = (id: string) => genesis.registry.find((entry) => entry.id === id)?.public_key ?? ''
      const first = await network.startAuthority()
      const validators = await Promise.all(['v1', 'v2'].map((id) => network.startValidator(id, [first.address])))
      const witnesses = ['v1', 'v2'].map((id, index) => ({
        url: validators[index]?.httpUrl,
        name: cosignerName(genesis.origin, id),
        public_key: keyOf(id),
      }))
      const listen = [first.address.replace(/\/p2p\/.*$/, '')]
      await first.node.stop()
      const authority = await network.startAuthority('authority', {}, { listen, witnesses })
      for (const id of ['t0', 't1', 't2']) await sealTick(authority, id)

      const checkpoint = async () => await (await fetch(`${authority.url}/checkpoint`)).text()
      const isWhole = (note: string) =>
        note.startsWith(`${genesis.origin}\n3\n`) && witnesses.every(({ name }) => note.includes(`\u2014 ${name} `))
      await eventually('both have cosigned the tree of three headers', async () => isWhole(await checkpoint()))

      const known = witnesses.map(({ name, public_key }) => `${name}=${public_key}`)
      const args = [genesis.origin, keyOf('authority'), ...known]
      const accepted = await runPython('checkpoint.py', args, await checkpoint())
      assert.equal(accepted.code, 0, accepted.stderr)
      const [size, , ...cosigners] = accepted.stdout.trim().split(' ')
      assert.equal(size, '3')
      // In the order in which they answered.
      assert.deepEqual(new Set(cosigners), new Set(witnesses.map(({ name }) => name)))
      assert.equal(cosigners.length, witnesses.length)

      // A household or an auditor who trusts these witnesses finds them in the receipt as well.
      const receipt = await fetch(`${authority.url}/transactions/t0.1/receipt`, {
        headers: { authorization: `Bearer ${authority.token('platform')}` },
      })
      const file = join(network.folder, 'receipt.json')
      await writeFile(file, await receipt.text())
      const trusted = validators.map(({ verifierKey }) => verifierKey ?? '')
      const verify = (...keys: readonly string[]) =>
        clis.run('verify', file, '--chain', network.chainId, '--witness', ...keys)
      const verified = await verify(...trusted)
      assert.equal(verified.code, 0, verified.stdout + verified.stderr)
      for (const { name } of witnesses)
        assert.match(verified.stdout, new RegExp(`^checkpoint .* cosigned by .*${name}`, 'm'))
      const mistyped = await verify((trusted[0] ?? '').replace(/\+[0-9a-f]{8}\+/, '+00000000+'))
      assert.equal(mistyped.code, 2)
      assert.match(mistyped.stderr, /--witness: .*key id/)

      const forged = await runPython('checkpoint.py', args, (await checkpoint()).replace('\n3\n', '\n2\n'))
      assert.notEqual(forged.code, 0)
    })
  })

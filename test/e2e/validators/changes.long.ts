import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../../helpers/network.ts'
import {
  blockStatus,
  createProcessNetwork,
  getJson,
  logged,
  postTick,
  type ProcessNetwork,
  type ProcessNode,
} from '../../helpers/process-network.ts'

interface LightView {
  readonly state: string
  readonly tip: { readonly height: number } | null
}

interface RegistryView {
  readonly finality: { readonly policy: string }
  readonly entries: readonly { readonly id: string; readonly status: string; readonly public_key: string }[]
}

/** What `solar-node keys` prints with --json. */
interface Changed {
  readonly id: string
  readonly tx_hash: string
  readonly height: number
  readonly public_key?: string
}

/** Changes of who decides, made from the command line against running processes, one after another on one chain. */
describe('a running network of processes whose registry is changed from the command line', () => {
  let network: ProcessNetwork
  let authority: ProcessNode
  const validators = new Map<string, ProcessNode>()
  const households = new Map<string, ProcessNode>()
  let ticks = 0

  before(async () => {
    network = await createProcessNetwork({
      finality: 'authority',
      validators: ['v1', 'v2'],
      voters: ['ann', 'ben', 'cem'],
    })
    authority = await network.startAuthority()
    for (const role of ['operator', 'platform'] as const) await writeFile(file(role), await network.tokenOf(role))
    await Promise.all([...['v1', 'v2'].map((id) => validate(id)), ...['ann', 'ben', 'cem'].map((id) => live(id))])
  })
  after(() => network.stop())

  const file = (...parts: readonly string[]): string => join(network.folder, ...parts)

  async function validate(id: string, ...flags: readonly string[]): Promise<void> {
    await end(validators.get(id))
    validators.set(id, await network.startValidator(id, [authority.address], ...flags))
  }
  async function live(id: string, peer = authority): Promise<void> {
    households.set(id, await network.startLight(id, [peer.address]))
    await eventually(`${id} is live`, async () => (await lightOf(id)).state === 'live')
  }
  async function end(node: ProcessNode | undefined): Promise<void> {
    node?.process.kill('SIGTERM')
    if (node !== undefined) assert.equal((await node.process.ended).code, 0)
  }
  const lightOf = (id: string) => getJson<LightView>(households.get(id)!, '/light')

  async function tick(): Promise<{ readonly height: number; readonly block_hash: string }> {
    return await postTick(authority, await network.tokenOf('platform'), `t${ticks++}`)
  }
  const isFinal = (hash: string, node = authority) =>
    eventually(`${hash} is final`, async () => (await blockStatus(node, hash)).status === 'final')
  async function finalTick(): Promise<number> {
    const { height, block_hash } = await tick()
    await isFinal(block_hash)
    return height
  }

  async function keys(...args: readonly string[]): Promise<Changed> {
    const { code, stdout, stderr } = await network.run('keys', ...args, '--to', authority.url, '--json')
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as Changed
  }
  const policy = (finality: string, key = 'authority.key') =>
    keys('policy', '--id', 'authority', '--key', file('authority', key), '--finality', finality)
  async function hashAt(height: number): Promise<string> {
    const { headers } = await getJson<{ headers: { header: { height: number }; header_hash: string }[] }>(
      authority,
      '/blocks/latest-headers/?n=100',
    )
    return headers.find(({ header }) => header.height === height)?.header_hash ?? ''
  }
  async function votersOn(hash: string, role: string): Promise<readonly string[]> {
    const { votes } = await getJson<{ votes: { entry: { id: string; role: string } }[] }>(
      authority,
      `/blocks/${hash}/votes/`,
    )
    return votes.flatMap(({ entry }) => (entry.role === role ? [entry.id] : [])).toSorted()
  }
  const coSigned = (hash: string) => votersOn(hash, 'validator')
  const registry = () => getJson<RegistryView>(authority, '/registry')

  /** A household that was away comes back, with a validator as its only peer. */
  async function wake(id: string, height: number): Promise<void> {
    await live(id, validators.get('v1'))
    const node = households.get(id)!
    const { from_height, to_height } = await node.process.awaitLine(
      logged(({ msg }) => /^caught up \d+ blocks by proofs/.test(String(msg))),
    )
    await eventually(`${id} is at the tip`, async () => (await lightOf(id)).tip?.height === height)
    assert.ok(Number(to_height) > Number(from_height) + 5, 'farther than its window of headers')
    assert.doesNotMatch(node.process.output(), /ALARM/)
  }

  it('goes from authority to votes:2 to validators:2, followed by proofs alone by who slept through both', async () => {
    await finalTick()
    await eventually('cem has seen the chain', async () => (await lightOf('cem')).tip?.height === 0)
    await end(households.get('cem'))

    const toVotes = await policy('votes:2')
    const voted = await tick()
    assert.ok(voted.height > toVotes.height)
    await isFinal(voted.block_hash)
    const byVotes = await getJson<{ policy: string; votes: { required: number } }>(
      authority,
      `/blocks/${voted.block_hash}/status/`,
    )
    assert.deepEqual([byVotes.policy, byVotes.votes.required], ['votes', 2])

    const toValidators = await policy('validators:2')
    // The households that decided until now must agree that others decide from then on.
    await isFinal(await hashAt(toValidators.height))
    await Promise.all([end(households.get('ann')), end(households.get('ben'))])
    let height = 0
    for (let n = 0; n < 8; n++) height = await finalTick()
    assert.equal((await registry()).finality.policy, 'validators')
    await wake('cem', height)
    await Promise.all([live('ann'), live('ben')])
  })

  it('is not co-signed on by validators whose operators have not allowed the new key of the authority', async () => {
    await finalTick()
    await end(households.get('cem'))
    const entry = (await registry()).entries.find(({ id }) => id === 'authority')
    const rotated = await keys(
      ...['rotate', '--id', 'authority', '--key', file('authority', 'authority.key')],
      ...['--new-key', file('authority', 'authority-2.key')],
    )
    assert.notEqual(rotated.public_key, entry?.public_key)
    const hash = await hashAt(rotated.height)
    for (const node of validators.values()) {
      await node.process.awaitLine(logged(({ msg }) => String(msg).includes(`--allow-changes ${rotated.tx_hash}`)))
    }
    const { block_hash } = await tick()
    const { status, votes } = await blockStatus(authority, block_hash)
    assert.equal(status, 'proposed')
    assert.equal(votes.required, 2)

    for (const id of ['v1', 'v2']) await validate(id, '--allow-changes', rotated.tx_hash)
    for (const one of [hash, block_hash]) await isFinal(one)
    await finalTick()
  })

  it('replaces a lost phone by its recovery key, and who slept through rotation, loss and recovery follows', async () => {
    await network.run('keys', 'new', '--out', file('phone.key'))
    await network.run('keys', 'new', '--out', file('safe.key'))
    await keys(
      ...['enrol', '--id', 'dora', '--role', 'voter', '--key', file('phone.key'), '--recovery-key', file('safe.key')],
      ...['--token-file', file('platform')],
    )
    const rotated = await keys(
      ...['rotate', '--id', 'ben', '--key', file('ben', 'voter.key'), '--new-key', file('ben', 'next.key')],
    )
    assert.match(rotated.public_key ?? '', /^[0-9a-f]{64}$/)
    await keys('revoke', '--id', 'dora', '--key', file('authority', 'authority-2.key'))
    assert.equal((await registry()).entries.find(({ id }) => id === 'dora')?.status, 'revoked')
    await mkdir(file('dora'), { mode: 0o700 })
    await keys(
      ...['recover', '--id', 'dora', '--recovery-key', file('safe.key'), '--new-key', file('dora', 'voter.key')],
      ...['--token-file', file('platform')],
    )
    assert.equal((await registry()).entries.find(({ id }) => id === 'dora')?.status, 'active')

    await live('dora')
    let height = 0
    for (let n = 0; n < 7; n++) height = await finalTick()
    const top = await hashAt(height)
    await eventually("the recovered key's vote counts", async () => (await votersOn(top, 'voter')).includes('dora'))
    await wake('cem', height)
  })

  it('takes a new validator once a quorum has allowed it, by the hash of its enrolment or by all', async () => {
    await mkdir(file('v3'), { mode: 0o700 })
    await network.run('keys', 'new', '--out', file('v3', 'validator.key'))
    const enrolled = await keys(
      ...['enrol', '--id', 'v3', '--role', 'validator', '--key', file('v3', 'validator.key')],
      ...['--token-file', file('operator'), '--authority-key', file('authority', 'authority-2.key')],
    )
    const hash = await hashAt(enrolled.height)
    await validate('v3')
    const asksToAllow = (id: string) =>
      validators
        .get(id)!
        .process.awaitLine(logged(({ msg }) => String(msg).includes(`--allow-changes ${enrolled.tx_hash}`)))
    // That v1 and v2 were allowed another change is no word on this one.
    await Promise.all(['v1', 'v2', 'v3'].map(asksToAllow))
    assert.deepEqual(await coSigned(hash), [])
    await validate('v1', '--allow-changes', enrolled.tx_hash)
    await eventually('v1 has co-signed', async () => (await coSigned(hash)).length === 1)
    assert.equal((await blockStatus(authority, hash)).status, 'proposed')
    await validate('v2', '--allow-changes', 'all')
    await isFinal(hash)

    // From here on any two of the three are enough; what a quorum has allowed, v3 need not be allowed again.
    await end(validators.get('v2'))
    const { block_hash } = await tick()
    await isFinal(block_hash)
    assert.deepEqual(await coSigned(block_hash), ['v1', 'v3'])
  })

  it('takes no fourth validator while two of four would be no majority', async () => {
    await mkdir(file('v4'), { mode: 0o700 })
    await network.run('keys', 'new', '--out', file('v4', 'validator.key'))
    const before = await registry()
    const { code, stderr } = await network.run(
      ...['keys', 'enrol', '--id', 'v4', '--role', 'validator', '--key', file('v4', 'validator.key')],
      ...['--token-file', file('operator'), '--authority-key', file('authority', 'authority-2.key')],
      ...['--to', authority.url],
    )
    assert.equal(code, 1)
    assert.match(stderr, /validators:2 of 4 is no majority/)
    assert.deepEqual(await registry(), before)
  })
})

import assert from 'node:assert/strict'
import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSignerClient } from '../../../src/node/signer-client.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { hashHeader, type SealedHeader } from '../../../src/protocol/header.ts'
import { signingBytes } from '../../../src/protocol/signature.ts'
import { eventually } from '../../helpers/network.ts'
import {
  blockStatus,
  createProcessNetwork,
  getJson,
  logged,
  postTick,
  tipHeight,
  type ProcessNetwork,
  type ProcessNode,
} from '../../helpers/process-network.ts'
import type { NodeProcess } from '../../helpers/processes.ts'
import { signerOf, type SignerOfNode } from './signer.ts'

interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
}

describe('an authority whose key is in a signer', () => {
  let network: ProcessNetwork
  let signer: SignerOfNode
  let running: NodeProcess

  beforeEach(async () => {
    network = await createProcessNetwork({ finality: 'authority', validators: [] })
    signer = await signerOf(network, 'authority', 'authorityKey')
    running = await signer.start()
  })
  afterEach(() => network.stop())

  const start = (...flags: readonly string[]): Promise<ProcessNode> =>
    network.startAuthority('authority', '--signer', signer.url(), ...flags)
  const token = () => network.tokenOf('platform')
  const keyOf = () => network.genesis.registry[0]!.public_key
  async function end(process: NodeProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    process.kill(signal)
    await process.ended
  }
  async function readiness({ url }: ProcessNode): Promise<Problem> {
    const response = await fetch(`${url}/ready`)
    return { ...((await response.json()) as Problem), status: response.status }
  }
  const latest = async (node: ProcessNode): Promise<SealedHeader> => {
    const { headers } = await getJson<{ headers: SealedHeader[] }>(node, '/blocks/latest-headers/?n=1')
    return headers[0]!
  }

  it('seals, and again after a restart of both', async () => {
    let node = await start()
    await postTick(node, await token(), 't0')
    await end(node.process)
    await end(running)
    await signer.start()
    node = await start()
    const { height } = await postTick(node, await token(), 't1')
    assert.equal(height, 1)
    assert.equal((await readiness(node)).status, 200)
    assert.match(running.output(), /signed block 0/)
  })

  it('seals nothing while the signer is gone, says so, and goes on once it is back', async () => {
    const node = await start()
    await postTick(node, await token(), 't0')
    await end(running, 'SIGKILL')
    await eventually('it is not ready', async () => (await readiness(node)).status === 503)
    assert.match(
      (await readiness(node)).detail,
      /^not ready: the signer at unix:.*authority\.sock does not answer: nothing listens/,
    )
    await assert.rejects(postTick(node, await token(), 't1'), /503: .*the signer at unix:/)
    await node.process.awaitLine(logged(({ msg }) => /^NOT SEALING: .*the signer at unix:/.test(String(msg))))
    assert.equal(await tipHeight(node), 0)
    // The receipt has no checkpoint then, which it may lack.
    const headers = { authorization: `Bearer ${await token()}` }
    const receipt = await fetch(`${node.url}/transactions/t0.1/receipt`, { headers })
    assert.equal(receipt.status, 200)
    assert.equal('checkpoint' in ((await receipt.json()) as object), false)
    await signer.start()
    await node.process.awaitLine(logged(({ msg }) => /^the signer at unix:.* signs again$/.test(String(msg))))
    assert.equal((await postTick(node, await token(), 't1')).height, 1)
    assert.equal((await readiness(node)).status, 200)
  })

  it('starts while a tick waits that its signer refuses, and seals it first once that signs again', async () => {
    let node = await start()
    await postTick(node, await token(), 't0')
    await end(running, 'SIGKILL')
    await eventually('it is not ready', async () => (await readiness(node)).status === 503)
    const empty = join(network.folder, 'empty')
    running = await signer.start('--data-dir', empty, '--signed-up-to', '5')
    await eventually('it is ready', async () => (await readiness(node)).status === 200)
    const refusal = /the signer refuses block 1: .*\(--signed-up-to\)/
    await assert.rejects(postTick(node, await token(), 't1'), refusal)
    await end(node.process)
    node = await start()
    await node.process.awaitLine(logged(({ msg }) => refusal.test(String(msg))))
    assert.equal(await tipHeight(node), 0)
    await end(running)
    running = await signer.start()
    await eventually('it is ready', async () => (await readiness(node)).status === 200)
    assert.equal((await postTick(node, await token(), 't2')).height, 2)
  })

  it('does not start without its signer, nor with one that lacks its key', async () => {
    const flags = ['--mode=authority', '--data', join(network.folder, 'authority'), '--tick', 'off', '--http', 'off']
    const own = [...flags, '--genesis', join(network.folder, 'genesis.json'), '--listen', '/ip4/127.0.0.1/tcp/0']
    const without = await network.run(...own)
    assert.equal(without.code, 1)
    assert.match(without.stderr, /authority\.key says that the key [0-9a-f]{64} is in a signer: start with --signer/)
    await end(running)
    const gone = await network.run(...own, '--signer', signer.url())
    assert.deepEqual([gone.code, gone.stderr.split('\n').length], [1, 2])
    assert.match(gone.stderr, /^solar-node: not ready: the signer at unix:.* does not answer: nothing listens there/)
    const [key, data, url] = ['other.key', 'other', 'other.sock'].map((name) => join(network.folder, name))
    assert.equal((await network.run('keys', 'new', '--out', key!)).code, 0)
    const common = ['--chain-id', network.chainId, '--key-file', key!, '--data-dir', data!, '--listen', `unix:${url}`]
    await network.spawn('signer', ...common).awaitLine((line) => (line.includes('is running') ? line : undefined))
    const lacking = await network.run(...own, '--signer', `unix:${url}`)
    assert.equal(lacking.code, 2)
    assert.match(
      lacking.stderr,
      /genesis.json has no authority with the public key [0-9a-f]{64} of the signer at unix:/,
    )
  })

  it('over a port takes a token on both sides', async () => {
    await end(running)
    const tokenFile = join(network.folder, 'signer.token')
    await writeFile(tokenFile, `${'a-token-for-the-signer'.repeat(2)}\n`, { mode: 0o600 })
    const port = ['--listen', '127.0.0.1:0']
    const refused = await network.run(
      'signer',
      ...['--chain-id', network.chainId],
      ...['--data-dir', signer.folder],
      ...['--key-file', join(signer.folder, 'authority.key')],
      ...port,
    )
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /--token-file: expected with --listen HOST:PORT/)
    await signer.start(...port, '--token-file', tokenFile)
    assert.match(signer.url(), /^http:\/\/127\.0\.0\.1:\d+$/)
    const node = await start('--signer-token-file', tokenFile)
    await postTick(node, await token(), 't0')
    assert.equal(await tipHeight(node), 0)
  })

  it('that is stolen gets no second block of a height, whichever way it asks', async () => {
    let node = await start()
    await postTick(node, await token(), 't0')
    await end(node.process)
    await cp(join(network.folder, 'authority'), join(network.folder, 'stolen'), { recursive: true })
    node = await start()
    await postTick(node, await token(), 't1')
    const mine = await latest(node)
    await end(node.process)

    // The whole server, a block behind, on another network: nothing there tells it of block 1 but the signer.
    const thief = await network.startAuthority('stolen', '--signer', signer.url())
    const stolen = await network.tokenOf('platform', 'stolen')
    await assert.rejects(postTick(thief, stolen, 'theirs'), /503: .*the signer has block 1 /)
    assert.match(
      (await readiness(thief)).detail,
      /the signer has block 1 \([0-9a-f]{64}\) sealed by authority, this database ends/,
    )
    assert.equal(await tipHeight(thief), 0)

    // By hand, with all that the server knows.
    const client = createSignerClient({
      address: { kind: 'unix', path: signer.url().slice('unix:'.length) },
      token: undefined,
    })
    for (const change of [{ merkle_root: 'ab'.repeat(32) }, { nonce: 1 }, { height: 0 }]) {
      const wanted = { ...mine.header, ...change }
      const refusal = await client
        .sign(keyOf(), signingBytes('header', network.chainId, wanted))
        .catch((error: unknown) => error)
      assert.ok(isSolarError(refusal, 'already_signed'), String(refusal))
      const { sealed } = refusal.fields as { readonly sealed: SealedHeader }
      assert.deepEqual(sealed, { header: mine.header, signature: mine.signature })
    }
    const enrolment = { kind: 'registry', action: 'enrol', role: 'authority', public_key: 'ab'.repeat(32) }
    await assert.rejects(client.sign(keyOf(), signingBytes('enrol', network.chainId, enrolment)), {
      code: 'signer_refused',
      message: /this signer signs no enrol, unless it is started with --allow-registry/,
    })
  })

  it('whose database and directory are older fetches what it lacks from a peer, and seals on', async () => {
    let node = await start()
    await postTick(node, await token(), 't0')
    await end(node.process)
    const backup = join(network.folder, 'backup')
    await cp(join(network.folder, 'authority'), backup, { recursive: true })
    node = await start()
    const { block_hash } = await postTick(node, await token(), 't1')
    const copy = join(network.folder, 'copy')
    await end(node.process)
    await cp(join(network.folder, 'authority'), copy, { recursive: true })
    await rm(join(network.folder, 'authority'), { recursive: true })
    await cp(backup, join(network.folder, 'authority'), { recursive: true })

    node = await start()
    await eventually('the signer says what is missed', async () => (await readiness(node)).detail.includes('block 1'))
    await rm(join(copy, 'peer.key'))
    const peer = await network.startAuthority('copy', '--signer', signer.url(), '--peer', node.address)
    await eventually('it has the block again', async () => (await tipHeight(node)) === 1)
    assert.equal(hashHeader((await latest(node)).header), block_hash)
    await end(peer.process)
    await eventually('it is ready', async () => (await readiness(node)).status === 200)
    assert.equal((await postTick(node, await token(), 't2')).height, 2)
  })
})

describe('a validator whose key is in a signer', () => {
  let network: ProcessNetwork

  beforeEach(async () => {
    network = await createProcessNetwork({ finality: 'validators:1', validators: ['v1'] })
  })
  afterEach(() => network.stop())

  it('co-signs, not without its signer, and goes on once that is back', async () => {
    const signer = await signerOf(network, 'v1', 'validatorKey')
    const running = await signer.start()
    const authority = await network.startAuthority()
    const token = await network.tokenOf('platform')
    const v1 = await network.startValidator('v1', [authority.address], '--signer', signer.url())
    const isFinal = async (hash: string) => (await blockStatus(authority, hash, token)).status === 'final'
    const first = await postTick(authority, token, 't0')
    await eventually('block 0 is final', () => isFinal(first.block_hash))

    running.kill('SIGKILL')
    await running.ended
    await v1.process.awaitLine(logged(({ msg }) => /^NOT CO-SIGNING: .*the signer at unix:/.test(String(msg))))
    const second = await postTick(authority, token, 't1')
    // It cannot even ask for the block: what it asks for is signed.
    assert.equal(await tipHeight(v1), 0)
    assert.equal(await isFinal(second.block_hash), false)
    const response = await fetch(`${v1.url}/ready`)
    assert.deepEqual([response.status, (await response.text()).includes('the signer at unix:')], [503, true])

    await signer.start()
    await eventually('block 1 is final', () => isFinal(second.block_hash))
  })

  it('is bound by what its signer has acked where its own disk is lost', async () => {
    const signer = await signerOf(network, 'v1', 'validatorKey')
    await signer.start()
    const authority = await network.startAuthority()
    const token = await network.tokenOf('platform')
    const client = createSignerClient({
      address: { kind: 'unix', path: signer.url().slice('unix:'.length) },
      token: undefined,
    })
    const { chainId: chain_id } = network
    const lost = { chain_id, header_hash: 'ab'.repeat(32), height: 0, voter_id: 'v1', decision: 'ack' }
    const [key] = (await client.keys()).keys
    await client.sign(key!.public_key, signingBytes('vote', chain_id, lost))
    const { block_hash } = await postTick(authority, token, 't0')
    const v1 = await network.startValidator('v1', [authority.address], '--signer', signer.url())
    await v1.process.awaitLine(logged(({ msg }) => String(msg).startsWith('the signer has acked block 0 (abab')))
    await eventually('it has the block', async () => (await tipHeight(v1)) === 0)
    const next = await postTick(authority, token, 't1')
    await v1.process.awaitLine(logged(({ msg }) => String(msg).startsWith('not voting on block 1: ')))
    for (const hash of [block_hash, next.block_hash]) {
      assert.equal((await blockStatus(authority, hash, token)).status, 'proposed')
    }
  })
})

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import { eventually, networkOptions, OTHER_CHAIN, TCP } from '../../helpers/network.ts'
import { spentMs } from '../../helpers/patience.ts'
import type { NodeProcess } from '../../helpers/processes.ts'
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

const IDS = ['v1', 'v2', 'v3', 'v4']
/** Nobody listens on port 1 of this machine. */
const NOBODY = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWCjUC8X3Sf7iosuiMi7cMP5YJe6pwmxBKYbkQbsoZLwyA'

async function endsOnTerm(process: NodeProcess): Promise<void> {
  const begun = spentMs()
  process.kill('SIGTERM')
  assert.deepEqual(await process.ended, { code: 0, signal: null }, `${process.output()}${process.errors()}`)
  const took = spentMs() - begun
  assert.ok(took < 5_000, `it took ${took} ms to stop`)
}

describe('an authority and four validators as processes, under validators:3', () => {
  let network: ProcessNetwork
  let authority: ProcessNode
  let validators: Map<string, ProcessNode>
  let token: string
  let ticks = 0

  before(async () => {
    network = await createProcessNetwork({ finality: 'validators:3', validators: IDS })
    authority = await network.startAuthority()
    token = await network.tokenOf('platform')
    validators = new Map()
    await Promise.all(IDS.map(begin))
  })
  after(() => network.stop())

  const nodeOf = (id: string): ProcessNode => validators.get(id)!
  async function begin(id: string): Promise<void> {
    validators.set(id, await network.startValidator(id, [authority.address]))
  }
  async function kill(id: string): Promise<void> {
    nodeOf(id).process.kill('SIGKILL')
    assert.equal((await nodeOf(id).process.ended).signal, 'SIGKILL')
  }
  const tick = () => postTick(authority, token, `t${ticks++}`)
  const isFinal = (hash: string, node = authority, limitMs?: number) =>
    eventually(`block ${hash} is final`, async () => (await blockStatus(node, hash)).status === 'final', limitMs)

  it('make every block final, whichever one of the four is killed', async () => {
    await isFinal((await tick()).block_hash)
    for (const id of IDS) {
      await kill(id)
      await isFinal((await tick()).block_hash)
      await isFinal((await tick()).block_hash)
      await begin(id)
    }
  })

  it('propose blocks and finalize none with two killed, and all within seconds of one coming back', async () => {
    await Promise.all(['v2', 'v3'].map(kill))
    const waiting = []
    for (let n = 0; n < 3; n++) waiting.push(await tick())
    const top = waiting.at(-1)!
    await eventually('both that live have acked the tip', async () => {
      const { votes } = await blockStatus(authority, top.block_hash)
      return votes.ack === 2 && votes.required === 3
    })
    for (const node of [authority, nodeOf('v1'), nodeOf('v4')]) {
      await eventually('it has the tip', async () => (await tipHeight(node)) === top.height)
      for (const { block_hash } of waiting) assert.equal((await blockStatus(node, block_hash)).status, 'proposed')
    }
    await begin('v3')
    for (const node of [authority, nodeOf('v1'), nodeOf('v4'), nodeOf('v3')]) {
      for (const { block_hash } of waiting) await isFinal(block_hash, node, 5_000)
    }
    await begin('v2')
  })

  it('stop within 5 s at SIGTERM, and nobody has acked two blocks of one height', async () => {
    await isFinal((await tick()).block_hash)
    assert.deepEqual((await getJson<{ evidence: unknown[] }>(authority, '/evidence')).evidence, [])
    await Promise.all(IDS.map((id) => endsOnTerm(nodeOf(id).process)))
  })
})

describe('a validator that is killed in the middle of a long sync', () => {
  const BLOCKS = 300
  let network: ProcessNetwork
  let authority: ProcessNode
  let newest: string

  before(async () => {
    network = await createProcessNetwork({ finality: 'validators:1', validators: ['v1'] })
    authority = await network.startAuthority()
    const token = await network.tokenOf('platform')
    for (let n = 0; n < BLOCKS; n++) newest = (await postTick(authority, token, `t${n}`)).block_hash
  })
  after(() => network.stop())

  it('goes on where it was, each time, and its ack of the tip makes all of it final', async () => {
    let reached = 0
    for (const target of [50, 150]) {
      const v1 = await network.startValidator('v1', [authority.address])
      await eventually(`it has ${target} blocks`, async () => (reached = await tipHeight(v1)) >= target)
      v1.process.kill('SIGKILL')
      await v1.process.ended
      assert.ok(reached < BLOCKS - 1, 'it was killed before it had all')
      assert.equal((await blockStatus(authority, newest)).votes.ack, 0)
    }
    const v1 = await network.startValidator('v1', [authority.address])
    const taken = await v1.process.awaitLine(logged(({ to }) => to === BLOCKS - 1))
    assert.ok(Number(taken.from) >= reached, `it began again at ${String(taken.from)}`)
    for (const node of [authority, v1]) {
      await eventually('all is final', async () => (await blockStatus(node, newest)).status === 'final')
    }
    assert.equal((await blockStatus(authority, newest)).votes.ack, 1)
    await endsOnTerm(v1.process)
  })
})

describe('solar-node --mode=validator', () => {
  let network: ProcessNetwork
  before(async () => (network = await createProcessNetwork({ finality: 'authority', validators: ['v1'] })))
  after(() => network.stop())

  const keyOf = (id: string) => readFile(join(network.folder, id, 'validator.key'), 'utf8')
  const validatorOn = (data: string, ...peers: readonly string[]): NodeProcess =>
    network.spawn(
      ...['--mode=validator', '--data', join(network.folder, data), '--listen', '/ip4/127.0.0.1/tcp/0'],
      ...peers.flatMap((peer) => ['--peer', peer]),
    )
  const running = (process: NodeProcess) =>
    process.awaitLine(logged(({ msg }) => String(msg) === 'validator is running'))

  it('makes everything on the first start, finds it all on the second, and stops while it waits for a peer', async () => {
    const first = validatorOn('new', NOBODY)
    const { public_key } = await running(first)
    assert.match(String(public_key), /^[0-9a-f]{64}$/)
    const key = await keyOf('new')
    const second = validatorOn('new', NOBODY)
    assert.equal((await second.ended).code, 1)
    assert.match(second.errors(), /^solar-node: \S+ is in use by another process \(pid \d+\)[^\n]*\n$/)
    await endsOnTerm(first)
    const again = validatorOn('new', NOBODY)
    assert.equal((await running(again)).public_key, public_key)
    await endsOnTerm(again)
    assert.equal(await keyOf('new'), key)
  })

  it('stops within 5 s while its first peer takes the question for the genesis and never answers', async () => {
    const silent = await createNodeNetwork(networkOptions('silent', { listen: [TCP] }))
    const asked = new Promise<void>((resolve) => {
      silent.requests.serve('genesis', () => {
        resolve()
        return new Promise(() => undefined)
      })
    })
    await silent.start()
    try {
      const waiting = validatorOn('waiting', silent.multiaddrs()[0] ?? '')
      await running(waiting)
      await asked
      await endsOnTerm(waiting)
    } finally {
      await silent.stop()
    }
  })

  it('ends with one line and exit code 1 where it can never run: another mode, another chain, a taken port', async () => {
    const authority = await network.startAuthority()
    const v1 = await network.startValidator('v1', [authority.address])
    await endsOnTerm(v1.process)
    await endsOnTerm((await network.startAuthority('authority-2')).process)
    const ends = [
      [['--data', join(network.folder, 'authority-2')], /belongs to a node of --mode=authority/],
      [['--data', join(network.folder, 'v1'), '--chain', OTHER_CHAIN], /0d0d/],
      [['--data', join(network.folder, 'v1'), '--http', new URL(authority.url).host], / is taken: .*--http/],
    ] as const
    for (const [flags, pattern] of ends) {
      const peer = ['--peer', authority.address, '--listen', TCP]
      const { code, stderr } = await network.run('--mode=validator', ...peer, ...flags)
      assert.equal(code, 1)
      assert.match(stderr, /^solar-node: [^\n]+\n$/)
      assert.match(stderr, pattern)
    }
    await endsOnTerm(authority.process)
  })

  it('ends with one line and exit code 2 for what cannot be meant', async () => {
    const peer = ['--peer', NOBODY]
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [[], /a validator needs somebody to ask: --peer/],
      [['--peer', 'town'], /peer: expected multiaddrs .* got \["town"\] \(from --peer\)/],
      [[...peer, '--chain', 'abc'], /chain: expected a chain_id, .* got "abc" \(from --chain\)/],
      [[...peer, '--listen', 'here'], /listen: expected multiaddrs .* got \["here"\] \(from --listen\)/],
      [[...peer, '--allow-changes', 'all of it'], /allow_changes: expected all, or hashes .*\(from --allow-changes\)/],
      [[...peer, '--tick', '5'], /tick: .* of --mode=validator.*\(from --tick\)/],
    ]
    const ended = await Promise.all(wrong.map(([flags]) => network.run('--mode=validator', ...flags)))
    for (const [index, { code, stdout, stderr }] of ended.entries()) {
      assert.equal(code, 2, stderr)
      assert.equal(stdout, '')
      assert.match(stderr, /^solar-node: [^\n]+\n$/)
      assert.match(stderr, wrong[index]![1])
    }
  })
})

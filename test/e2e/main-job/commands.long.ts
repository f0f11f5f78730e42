import assert from 'node:assert/strict'
import { join } from 'node:path'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { eventually } from '../../helpers/network.ts'
import { spentMs } from '../../helpers/patience.ts'
import { tempDir } from '../../helpers/temp.ts'
import { cliGroup, jsonLines, temporaryFiles, type CliEnd } from './cli.ts'
import { sealTicks, type Sealed } from './trades.ts'

/** Nobody listens on port 1 of this machine. */
const NOBODY = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWCjUC8X3Sf7iosuiMi7cMP5YJe6pwmxBKYbkQbsoZLwyA'
const OTHER_CHAIN = '0c'.repeat(32)

describe('solar-node prove', () => {
  const clis = cliGroup()
  let community: Community
  let sealed: Sealed[]
  let nobodyThere: Promise<CliEnd & { readonly tookMs: number }>
  let temporary: Awaited<ReturnType<typeof temporaryFiles>>

  before(async () => {
    community = await startCommunity({ voters: ['ann', 'ben', 'cyd'] })
    temporary = await temporaryFiles(join(community.folder, 'tmp'))
    const begun = spentMs()
    nobodyThere = clis
      .start(['prove', 'tick-0.1', '--peer', NOBODY, '--chain', community.chainId])
      .ended.then((end) => ({ ...end, tookMs: spentMs() - begun }))
    sealed = await sealTicks(community, 0, 9)
  })
  after(async () => {
    await clis.killAll()
    await (community as Community | undefined)?.stop()
  })

  const prove = (transaction: string, ...more: readonly string[]): Promise<CliEnd> =>
    clis.start(
      ['prove', transaction, '--peer', community.addressOf('tcp'), '--chain', community.chainId, ...more],
      temporary.env,
    ).ended

  it('fetches and checks the proof of a trade of any age, over TCP and WebSocket, by id and by hash', async () => {
    const [first, third] = [sealed[0]!, sealed[2]!]
    const tip = sealed.at(-1)!
    const [byId, byHash, overWs] = await Promise.all([
      prove('tick-2.1'),
      prove(third.transactions[1]!.tx_hash, '--json'),
      prove('tick-8.0', '--json', '--peer', community.addressOf('ws')),
    ])
    assert.equal(byId.code, 0, byId.stderr)
    assert.match(byId.stdout, new RegExp(`^chain +${community.chainId}: .* hashes to the pinned chain_id$`, 'm'))
    assert.match(byId.stdout, new RegExp(`^anchor +block 8 ${tip.block_hash}: sealed by a registered authority$`, 'm'))
    assert.match(byId.stdout, new RegExp(`^block +2 ${third.block_hash}: is in the anchor's history`, 'm'))
    assert.match(byId.stdout, new RegExp(`^leaf +${third.transactions[1]!.tx_hash}: transaction 1 of 3`, 'm'))
    assert.match(byId.stdout, /^proved +tick-2\.1 is on the chain$/m)
    for (const [end, tx_hash, height] of [
      [byHash, third.transactions[1]!.tx_hash, 2],
      [overWs, tip.transactions[0]!.tx_hash, 8],
    ] as const) {
      assert.equal(end.code, 0, end.stderr)
      const [answer] = jsonLines(end.stdout)
      assert.equal(answer?.valid, true)
      assert.equal(answer.tx_hash, tx_hash)
      assert.equal((answer.header as { height: number }).height, height)
      assert.deepEqual(answer.trusted, { height: 8, header_hash: tip.block_hash })
    }
    assert.ok(first.height === 0)
    assert.deepEqual(await temporary.left(), [])
  })

  it("shows the trade itself to one of its parties, by that party's key, and to nobody else", async () => {
    const [party, other] = await Promise.all([
      prove('tick-3.0', '--json', '--key', join(community.folderOf('ben'), 'voter.key')),
      prove('tick-3.0', '--key', join(community.folderOf('cyd'), 'voter.key')),
    ])
    assert.equal(party.code, 0, party.stderr)
    const { transaction } = jsonLines(party.stdout)[0] as { transaction: Record<string, unknown> }
    assert.deepEqual(
      [transaction.id, transaction.from_user_id, transaction.to_user_id, transaction.kwh],
      ['tick-3.0', 'ann', 'ben', '1.5'],
    )
    assert.equal(other.code, 1)
    assert.match(other.stderr, /^solar-node: cyd is no party of transaction [0-9a-f]{64}\n$/)
    assert.equal(other.stdout, '')
  })

  it('exits with 1 and the reason on another chain, for an unknown trade, and with 2 for no chain_id', async () => {
    const peer = ['--peer', community.addressOf('tcp')]
    const [otherChain, unknown, noChain] = await Promise.all([
      clis.start(['prove', 'tick-2.1', ...peer, '--chain', OTHER_CHAIN], temporary.env).ended,
      prove('no-such-trade', '--json'),
      clis.run('prove', 'tick-2.1', ...peer, '--chain', 'abc'),
    ])
    assert.equal(otherChain.code, 1)
    assert.match(
      otherChain.stderr,
      new RegExp(
        `^solar-node: .*: it is on chain ${community.chainId}, this node is pinned to ${OTHER_CHAIN}: check --chain .*\n$`,
      ),
    )
    assert.equal(otherChain.stdout, '')
    assert.equal(unknown.code, 1)
    const [failure] = jsonLines(unknown.stderr)
    assert.match((failure?.error as { message: string }).message, /unknown_transaction.* no-such-trade/)
    assert.equal(noChain.code, 2)
    assert.match(
      noChain.stderr,
      /^solar-node: --chain: expected a chain_id, 64 lower-case hex characters, got "abc"\n$/,
    )
    assert.deepEqual(await temporary.left(), [])
  })

  it('fails with 1 where nobody listens, and says so, long before its time is over', async () => {
    const { code, stdout, stderr, tookMs } = await nobodyThere
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /^solar-node: .*\/ip4\/127\.0\.0\.1\/tcp\/1\/\S+: connection refused, .*\n$/)
    assert.ok(tookMs < 20_000, `it took ${tookMs} ms`)
  })
})

describe('solar-node demo', () => {
  const clis = cliGroup()
  after(() => clis.killAll())

  it('trades, seals, verifies and votes until SIGINT, then ends within 5 s and leaves nothing behind', async () => {
    const folder = await tempDir()
    try {
      const temporary = await temporaryFiles(join(folder.path, 'tmp'))
      const demo = clis.start(['demo', '--http', '127.0.0.1:0', '--tick', '0.3', '--json'], temporary.env)
      const dashboard = await demo.line((line) => (line.event === 'started' ? String(line.dashboard) : undefined))
      const tick = await demo.line((line) => (line.event === 'tick' && line.height !== null ? line : undefined))
      const verified = await demo.line((line) =>
        line.event === 'verified' && (line.transactions as string[]).length > 0 ? line : undefined,
      )
      const voters = new Map<unknown, unknown>()
      await demo.line((line) => {
        if (line.event === 'vote' && line.height === 0) voters.set(line.household, line.transport)
        return voters.size === 5 ? true : undefined
      })
      const coSigned = await demo.line((line) =>
        line.event === 'co-sign' && line.decision === 'ack' ? line : undefined,
      )
      assert.equal(coSigned.validator, 'validator')
      assert.ok(Number(tick.trades) > 0)
      assert.match(String(verified.household), /^casa-/)
      assert.deepEqual(new Set(voters.values()), new Set(['TCP', 'WebSocket']))
      const acks = async (block: unknown, role: string): Promise<number> => {
        const answer = await fetch(`${dashboard}blocks/${String(block)}/votes/`)
        const { votes } = (await answer.json()) as { votes: { vote: { decision: string }; entry: { role: string } }[] }
        return votes.filter(({ vote, entry }) => vote.decision === 'ack' && entry.role === role).length
      }
      await eventually('every household is counted', async () => (await acks(tick.block_hash, 'voter')) === 5)
      await eventually('so is the validator', async () => (await acks(coSigned.header_hash, 'validator')) === 1)
      assert.deepEqual((await temporary.left()).length, 1)

      const begun = spentMs()
      demo.kill('SIGINT')
      const { code, stdout, stderr } = await demo.ended
      assert.ok(spentMs() - begun < 5_000)
      assert.equal(code, 0, stderr)
      assert.equal(stderr, '')
      assert.ok(!jsonLines(stdout).some(({ event }) => event === 'alarm' || event === 'failed'), stdout)
      assert.deepEqual(await temporary.left(), [])
      // Its process group is empty: the compiler of the test runner ends with it, a moment later.
      await eventually('no process is left', () => !groupLives(demo.pid))
    } finally {
      await clis.killAll()
      await folder.remove()
    }
  })
})

function groupLives(pid: number): boolean {
  try {
    process.kill(-pid, 0)
    return true
  } catch {
    return false
  }
}

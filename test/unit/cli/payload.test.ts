import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommandLine } from '../../../src/cli/program.ts'
import { createKeyFile } from '../../../src/keys/key-file.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { encryptPayload } from '../../../src/payload/payload.ts'
import { recipientOf } from '../../../src/payload/recipient.ts'
import { tempDir } from '../../helpers/temp.ts'
import { TRADE } from '../../vectors/chain-cases.ts'

/** Runs a command line in this process, and catches what it writes. */
async function run(...args: readonly string[]) {
  const written = { stdout: '', stderr: '' }
  const streams = ['stdout', 'stderr'] as const
  const before = streams.map((name) => process[name].write.bind(process[name]))
  for (const name of streams) {
    process[name].write = (chunk: string | Uint8Array): boolean => {
      written[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8')
      return true
    }
  }
  try {
    return { code: await runCommandLine(['node', 'solar-node', ...args]), ...written }
  } finally {
    streams.forEach((name, index) => (process[name].write = before[index]!))
  }
}

describe('solar-node payload decrypt', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let recipient: string
  const file = (name: string) => join(folder.path, name)
  before(async () => {
    folder = await tempDir()
    const { publicKey } = await createKeyFile(file('phone.key'), { randomBytes: systemRandomBytes })
    await createKeyFile(file('other.key'), { randomBytes: systemRandomBytes })
    recipient = recipientOf(publicKey)
    const payload = await encryptPayload('contract 4711', [recipient])
    await writeFile(file('receipt.json'), JSON.stringify({ version: 1, transaction: { ...TRADE, payload } }))
    await writeFile(file('trade.json'), JSON.stringify({ ...TRADE, payload }))
    await writeFile(file('payload.txt'), `${payload}\n`)
    await writeFile(file('without.json'), JSON.stringify({ transaction: TRADE }))
    const bytes = await encryptPayload(Uint8Array.of(0xff, 0x00), [recipient])
    await writeFile(file('bytes.txt'), bytes)
  })
  after(() => folder.remove())

  const decrypt = (name: string, key = 'phone.key', ...more: string[]) =>
    run('payload', 'decrypt', file(name), '--key-file', file(key), ...more)

  it('opens a receipt, a trade, or a payload alone, with the key that keys show names', async () => {
    const shown = await run('keys', 'show', file('phone.key'))
    assert.match(shown.stdout, new RegExp(`^recipient {3}${recipient}$`, 'm'))
    for (const name of ['receipt.json', 'trade.json', 'payload.txt']) {
      assert.deepEqual(await decrypt(name), { code: 0, stdout: 'contract 4711', stderr: '' })
    }
  })

  it('gives JSON of text, and of what is none', async () => {
    assert.equal((await decrypt('receipt.json', 'phone.key', '--json')).stdout, '{"text":"contract 4711"}\n')
    assert.equal((await decrypt('bytes.txt', 'phone.key', '--json')).stdout, '{"base64":"/wA="}\n')
  })

  it('says in one line what it cannot open, and why', async () => {
    for (const [name, key, code, reason] of [
      ['receipt.json', 'other.key', 1, /expected an age file that is encrypted for this key/],
      ['without.json', 'phone.key', 1, /this trade has no payload/],
      ['phone.key', 'phone.key', 1, /this trade has no payload, or the file shows no trade/],
      ['nowhere.json', 'phone.key', 2, /expected a readable file/],
      ['receipt.json', 'nowhere.key', 1, /there is no such key file/],
    ] as const) {
      const refused = await decrypt(name, key)
      assert.deepEqual([refused.code, refused.stdout], [code, ''], name)
      assert.match(refused.stderr, reason)
      assert.equal(refused.stderr.trim().split('\n').length, 1)
    }
  })
})

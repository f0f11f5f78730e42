import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { UsageError } from '../../../src/cli/output.ts'
import { askHidden, newPassphrase, type Terminal } from '../../../src/cli/passphrase.ts'

/** A terminal where these lines are typed, one at each question, and what it shows. */
function typing(...lines: readonly string[]): { readonly terminal: Terminal; readonly shown: () => string } {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const output = new PassThrough()
  const answers = [...lines]
  let shown = ''
  output.on('data', (chunk: Buffer) => {
    shown += chunk.toString()
    if (!chunk.toString().endsWith(': ')) return
    const answer = answers.shift()
    if (answer === undefined) input.end()
    else input.write(`${answer}\n`)
  })
  return { terminal: { input, output }, shown: () => shown }
}

describe('cli/passphrase', () => {
  it('asks on the terminal and does not show what is typed', async () => {
    const { terminal, shown } = typing('a sunny day')
    assert.equal(await askHidden('Passphrase of a.key', terminal), 'a sunny day')
    assert.equal(shown(), 'Passphrase of a.key: \n')
  })

  it('says how to do without a terminal where there is none', async () => {
    const terminal = { input: new PassThrough(), output: new PassThrough() }
    await assert.rejects(askHidden('Passphrase', terminal), /no terminal to ask on, give --passphrase-file FILE/)
  })

  it('gives up when the terminal closes', async () => {
    await assert.rejects(askHidden('Passphrase', typing().terminal), UsageError)
  })

  it('asks for a new passphrase twice, and refuses two that differ and an empty one', async () => {
    assert.equal(await newPassphrase({ encrypt: true }, typing('sun', 'sun').terminal), 'sun')
    await assert.rejects(newPassphrase({ encrypt: true }, typing('sun', 'moon').terminal), /differ/)
    await assert.rejects(newPassphrase({ encrypt: true }, typing('').terminal), /at least one character/)
  })

  it('asks for none unless encryption is wanted', async () => {
    assert.equal(await newPassphrase({}, typing().terminal), undefined)
  })
})

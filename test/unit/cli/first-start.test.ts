import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { chooseChain } from '../../../src/cli/first-start.ts'
import { UsageError } from '../../../src/cli/output.ts'
import { currencyProblem } from '../../../src/config/currency.ts'
import { loadAuthorityConfig } from '../../../src/config/load.ts'

/** A terminal where these lines are typed, one at each question; it closes when they are used up. */
function typing(...lines: readonly string[]) {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const output = new PassThrough()
  const answers = [...lines]
  output.on('data', (chunk: Buffer) => {
    if (!chunk.toString().endsWith(']: ')) return
    const answer = answers.shift()
    if (answer === undefined) input.end()
    else input.write(`${answer}\n`)
  })
  return { input, output }
}
const config = (flags: object = {}) => loadAuthorityConfig({ flags: { data: '/nonexistent/solar', ...flags }, env: {} })

describe('cli/first-start', () => {
  it('asks for what nobody has chosen, again after an answer that cannot be', async () => {
    const { genesis } = await chooseChain(config({ currency: 'CHF' }), typing('Sonnenstraße', 'Sun street', '9', '2'))
    assert.deepEqual([genesis.name, genesis.currency, genesis.amountDecimals], ['Sun street', 'CHF', 2])
  })

  it('takes the defaults at Enter', async () => {
    const { genesis } = await chooseChain(config(), typing('', 'euro', '', ''))
    assert.deepEqual([genesis.name, genesis.currency, genesis.amountDecimals], ['Energy community', 'EUR', 6])
  })

  it('asks nothing without a terminal, or where all is chosen or given', async () => {
    const silent = { input: new PassThrough(), output: new PassThrough() }
    const plain = config()
    assert.equal(await chooseChain(plain, silent), plain)
    for (const flags of [{ name: 'a', currency: 'EUR', amountDecimals: '2' }, { genesis: 'genesis.json' }]) {
      const chosen = config(flags)
      assert.equal(await chooseChain(chosen, typing()), chosen)
    }
  })

  it('gives up when the terminal closes', async () => {
    await assert.rejects(chooseChain(config(), typing('Sun street')), UsageError)
  })

  it('takes ISO 4217 codes of currencies in use, and XXX', () => {
    for (const code of ['EUR', 'USD', 'CHF', 'JPY', 'XXX']) assert.equal(currencyProblem(code), undefined)
    for (const code of ['DEM', 'SUN', '€', '', 'toString']) assert.match(currencyProblem(code) ?? '', /ISO 4217/)
    assert.match(currencyProblem('usd') ?? '', /Is USD meant\?$/)
    assert.match(currencyProblem('euro') ?? '', /Is EUR meant\?$/)
  })
})

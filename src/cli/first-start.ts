import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { currencyProblem } from '../config/currency.ts'
import type { AuthorityConfig, GenesisSettings } from '../config/types.ts'
import { wholeNumber } from '../config/values.ts'
import { DATA_FILES } from '../node/data-directory.ts'
import { GENESIS_DEFAULTS } from '../node/genesis-file.ts'
import { chainName } from '../protocol/genesis.ts'
import { UsageError } from './output.ts'
import type { Terminal } from './passphrase.ts'

type Chosen = Pick<GenesisSettings, 'name' | 'currency' | 'amountDecimals'>

/** What is wrong with an answer; `undefined`: nothing. */
type Judge = (answer: string) => string | undefined

const nameProblem: Judge = (answer) => {
  try {
    chainName(answer, 'name')
    return undefined
  } catch {
    return 'expected 1 to 100 printable ASCII characters'
  }
}
const decimalsProblem: Judge = (answer) =>
  wholeNumber(0, 6)(answer) === undefined ? 'expected a whole number from 0 to 6' : undefined

/**
 * Before a first start makes a chain: asks for what it fixes for ever and nobody has chosen. Without a terminal, and where
 * a chain is there or given, it asks nothing. Throws `UsageError` if the terminal is closed.
 */
export async function chooseChain(config: AuthorityConfig, terminal: Terminal): Promise<AuthorityConfig> {
  const { genesis, genesisFile, dataDirectory } = config
  const isMade = genesisFile !== undefined || existsSync(join(dataDirectory, DATA_FILES.genesis))
  const isChosen = [genesis.name, genesis.currency, genesis.amountDecimals].every((value) => value !== undefined)
  if (isMade || isChosen || terminal.input.isTTY !== true) return config
  terminal.output.write(
    `The first start in ${dataDirectory} makes a chain. Its name, currency and decimals stay for ever; Enter takes what is in brackets.\n`,
  )
  return { ...config, genesis: { ...genesis, ...(await askAll(genesis, terminal)) } }
}

async function askAll(given: Chosen, { input, output }: Terminal): Promise<Chosen> {
  const reader = createInterface({ input, output })
  const closed = new AbortController()
  reader.once('close', () => closed.abort())
  const ask = async (question: string, fallback: string, judge: Judge): Promise<string> => {
    for (;;) {
      const answer = (await reader.question(`${question} [${fallback}]: `, { signal: closed.signal })).trim()
      const problem = answer === '' ? undefined : judge(answer)
      if (problem === undefined) return answer === '' ? fallback : answer
      output.write(`${problem}\n`)
    }
  }
  try {
    const defaults = GENESIS_DEFAULTS
    const name = given.name ?? (await ask('Name of the chain', defaults.name, nameProblem))
    const currency = given.currency ?? (await ask('Currency, ISO 4217', defaults.currency, currencyProblem))
    const amountDecimals =
      given.amountDecimals ??
      Number(await ask('Decimals of money amounts, 0 to 6', String(defaults.amountDecimals), decimalsProblem))
    return { name, currency, amountDecimals }
  } catch (error) {
    if (!closed.signal.aborted) throw error
    throw new UsageError('nothing was typed: give --name, --currency and --amount-decimals')
  } finally {
    reader.close()
  }
}

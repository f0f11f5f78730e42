import { openPostgres } from '../../../src/storage/sql/postgres.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import { commitTick, tick, trade } from '../../contract/fixtures.ts'

/** Commits ticks of 200 trades for ever and writes each number once its commit has returned: the test kills it. */
const [, , place = ''] = process.argv
const store = await (place.startsWith('postgres:') ? openPostgres(place) : openSqlite(place))
for (let number = 1; ; number++) {
  const rows = Array.from({ length: 200 }, (_, index) => trade(`t${number}`, `t${number}-${index}`))
  await commitTick(store, tick(`t${number}`, rows))
  process.stdout.write(`${number}\n`)
}

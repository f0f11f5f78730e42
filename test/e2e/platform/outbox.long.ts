import { postgresPlatform, sqlitePlatform } from '../../helpers/platform-database.ts'
import { tempDatabase } from '../../helpers/postgres.ts'
import { outboxBehaviour } from './outbox.ts'

outboxBehaviour('SQLite, which is looked at again and again', () =>
  Promise.resolve({
    flags: { outbox_poll: 0.1 },
    connect: ({ database }) => Promise.resolve(sqlitePlatform(database)),
    cleanup: () => Promise.resolve(),
  }),
)

outboxBehaviour('PostgreSQL', async () => {
  const database = await tempDatabase()
  const { url } = database
  return {
    flags: { database: url, outbox_poll: 0.2 },
    connect: () => postgresPlatform(url),
    cleanup: () => database.drop(),
  }
})

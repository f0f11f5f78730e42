import { sqlitePlatform } from '../../helpers/platform-database.ts'
import { outboxBehaviour } from './outbox.ts'

outboxBehaviour('SQLite, which is looked at again and again', () =>
  Promise.resolve({
    flags: { outbox_poll: 0.1 },
    connect: ({ database }) => Promise.resolve(sqlitePlatform(database)),
    cleanup: () => Promise.resolve(),
  }),
)

import { postgresOutbox, sqliteOutbox } from '../helpers/platform-database.ts'
import { tempArchivedChainStore, tempChainStore, tempLightStore, tempPostgres, tempSqlite } from '../helpers/stores.ts'
import { chainStoreContract } from './chain-store.ts'
import { rewindContract } from './chain-store-rewind.ts'
import { evidenceStoreContract } from './evidence-store.ts'
import { finalityStoreContract, rewoundFinalityContract } from './finality-store.ts'
import { lightStoreContract } from './light-store.ts'
import { marketStoreContract } from './market-store.ts'
import { marketStoreBookContract } from './market-store-book.ts'
import { marketStoreExactContract } from './market-store-exact.ts'
import { marketStoreOrdersContract } from './market-store-orders.ts'
import { marketStorePrivacyContract } from './market-store-privacy.ts'
import { marketStoreRedactContract } from './market-store-redact.ts'
import { marketStoreRegistryContract } from './market-store-registry.ts'
import { marketStoreRestoreContract } from './market-store-restore.ts'
import { marketStoreTipContract } from './market-store-tip.ts'
import {
  postgresFinality,
  replicaChain,
  replicaEvidence,
  replicaFinality,
  replicaVoter,
  sqliteFinality,
} from './openers.ts'
import { outboxStoreContract } from './outbox-store.ts'
import { voterStoreContract } from './voter-store.ts'

for (const [name, open] of [
  ['SQLite', tempSqlite],
  ['PostgreSQL', tempPostgres],
] as const) {
  marketStoreContract(name, open)
  marketStoreExactContract(name, open)
  marketStoreRegistryContract(name, open)
  marketStoreRestoreContract(name, open)
  marketStoreRedactContract(name, open)
  marketStoreTipContract(name, open)
  marketStoreBookContract(name, open)
  marketStoreOrdersContract(name, open)
  marketStorePrivacyContract(name, open)
}
outboxStoreContract('SQLite', sqliteOutbox)
outboxStoreContract('PostgreSQL', postgresOutbox)
chainStoreContract('LevelDB', tempChainStore)
chainStoreContract('LevelDB with old bodies in an archive', tempArchivedChainStore)
chainStoreContract('LevelDB of a validator', replicaChain)
rewindContract('LevelDB', tempChainStore)
lightStoreContract('LevelDB', tempLightStore)
finalityStoreContract('SQLite', sqliteFinality, { keepsBranches: false })
finalityStoreContract('LevelDB', replicaFinality, { keepsBranches: true })
finalityStoreContract('PostgreSQL', postgresFinality, { keepsBranches: false })
rewoundFinalityContract('LevelDB', replicaFinality)
evidenceStoreContract('SQLite', tempSqlite)
evidenceStoreContract('PostgreSQL', tempPostgres)
evidenceStoreContract('LevelDB of a light node', tempLightStore)
evidenceStoreContract('LevelDB of a validator', replicaEvidence)
voterStoreContract('LevelDB of a light node', tempLightStore)
voterStoreContract('LevelDB of a validator', replicaVoter)

import { tempArchivedChainStore, tempChainStore, tempLightStore, tempSqlite } from '../helpers/stores.ts'
import { chainStoreContract } from './chain-store.ts'
import { rewindContract } from './chain-store-rewind.ts'
import { evidenceStoreContract } from './evidence-store.ts'
import { finalityStoreContract, rewoundFinalityContract } from './finality-store.ts'
import { lightStoreContract } from './light-store.ts'
import { marketStoreContract } from './market-store.ts'
import { marketStoreRedactContract } from './market-store-redact.ts'
import { marketStoreRegistryContract } from './market-store-registry.ts'
import { marketStoreRestoreContract } from './market-store-restore.ts'
import { replicaChain, replicaEvidence, replicaFinality, replicaVoter, sqliteFinality } from './openers.ts'
import { voterStoreContract } from './voter-store.ts'

marketStoreContract('SQLite', tempSqlite)
marketStoreRegistryContract('SQLite', tempSqlite)
marketStoreRestoreContract('SQLite', tempSqlite)
marketStoreRedactContract('SQLite', tempSqlite)
chainStoreContract('LevelDB', tempChainStore)
chainStoreContract('LevelDB with old bodies in an archive', tempArchivedChainStore)
chainStoreContract('LevelDB of a validator', replicaChain)
rewindContract('LevelDB', tempChainStore)
lightStoreContract('LevelDB', tempLightStore)
finalityStoreContract('SQLite', sqliteFinality)
finalityStoreContract('LevelDB', replicaFinality)
rewoundFinalityContract('LevelDB', replicaFinality)
evidenceStoreContract('SQLite', tempSqlite)
evidenceStoreContract('LevelDB of a light node', tempLightStore)
evidenceStoreContract('LevelDB of a validator', replicaEvidence)
voterStoreContract('LevelDB of a light node', tempLightStore)
voterStoreContract('LevelDB of a validator', replicaVoter)

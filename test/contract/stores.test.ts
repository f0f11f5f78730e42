import { tempChainStore, tempLightStore, tempSqlite } from '../helpers/stores.ts'
import { chainStoreContract } from './chain-store.ts'
import { lightStoreContract } from './light-store.ts'
import { marketStoreContract } from './market-store.ts'
import { marketStoreRegistryContract } from './market-store-registry.ts'
import { marketStoreRestoreContract } from './market-store-restore.ts'

marketStoreContract('SQLite', tempSqlite)
marketStoreRegistryContract('SQLite', tempSqlite)
marketStoreRestoreContract('SQLite', tempSqlite)
chainStoreContract('LevelDB', tempChainStore)
lightStoreContract('LevelDB', tempLightStore)

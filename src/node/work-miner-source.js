// The entry of the mining thread where the node runs from source (tests, tsx): tsx teaches TypeScript to the main thread
// alone. Built code starts work-miner-thread.js itself.
import { register } from 'tsx/esm/api'

register()
await import('./work-miner-thread.ts')

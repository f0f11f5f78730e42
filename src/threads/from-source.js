// The entry of a thread where the node runs from source (tests): built code starts the thread's own file.
import { workerData } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register()
await import(workerData)

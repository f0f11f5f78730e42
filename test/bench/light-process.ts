/** A light node as a process of its own, as it runs in a household: tells its parent each header that it has checked. */
import { loadLightConfig } from '../../src/config/load.ts'
import { createLight } from '../../src/node/light.ts'
import { silentLogger } from '../../src/ports/logger.ts'

const [data, peer, chain] = process.argv.slice(2)
const config = loadLightConfig({ flags: { data, peer: [peer], chain, vote: false }, env: {} })
const light = createLight(config, {
  logger: silentLogger,
  onEvent: (event) => {
    if (event.type === 'header') process.send?.(event.sealed.header.height)
  },
})
process.once('disconnect', () => void light.stop().then(() => process.exit(0)))
await light.start()

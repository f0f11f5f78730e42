/** Light nodes that share a process, until it is killed: argv has their flags as JSON. */
import { loadLightConfig } from '../../src/config/load.ts'
import { createLight } from '../../src/node/light.ts'
import { silentLogger } from '../../src/ports/logger.ts'

const [, , flagsOfAll = '[]'] = process.argv

for (const flags of JSON.parse(flagsOfAll) as Record<string, unknown>[]) {
  const onEvent = (event: { readonly type: string }): void => {
    if (event.type === 'alarm') console.log(JSON.stringify(event))
  }
  await createLight(loadLightConfig({ flags, env: {} }), { logger: silentLogger, onEvent }).start()
}
console.log(JSON.stringify({ type: 'running' }))
// The test that started this process is gone.
process.stdin.resume().once('end', () => process.exit(1))

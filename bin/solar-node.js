#!/usr/bin/env node
// Plain syntax, and no names that an old Node does not know: it has to get as far as the line that says so.
import { existsSync } from 'fs'
import { fileURLToPath } from 'url'

const version = process.versions.node.split('.').map(Number)
const main = new URL('../dist/cli/main.js', import.meta.url)

if (version[0] < 20 || (version[0] === 20 && version[1] < 19)) {
  console.error('solar-node: needs Node.js 20.19 or newer, this is ' + process.versions.node)
  process.exitCode = 1
} else if (!existsSync(fileURLToPath(main))) {
  console.error('solar-node: not built yet: npm run build')
  process.exitCode = 1
} else {
  import(main.href).catch((error) => {
    console.error('solar-node: ' + error.message + ' (a broken installation: npm ci && npm run build)')
    process.exitCode = 1
  })
}

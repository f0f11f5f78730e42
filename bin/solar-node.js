#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { URL } from 'node:url'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const main = new URL('../dist/cli/main.js', import.meta.url)

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`solar-node: needs Node.js 20.19 or newer, this is ${process.versions.node}`)
  process.exitCode = 1
} else if (!existsSync(main)) {
  console.error('solar-node: not built yet: npm run build')
  process.exitCode = 1
} else {
  await import(main.href)
}

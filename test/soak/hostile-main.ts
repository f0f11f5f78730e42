import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { runHostile } from './hostile.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
const minutes = Number(values.minutes)
console.log(
  `an authority and light nodes beside silent sockets, slow readers, junk orders, junk questions and junk gossip from many ` +
    `addresses, ${minutes} minutes; node and attacker share ${cpus().length} cores`,
)
const report = await runHostile({ durationMs: minutes * 60_000, onNote: (note) => console.log(note) })
console.log(JSON.stringify(report))

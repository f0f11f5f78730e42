import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { loadReadings } from '../../../src/cli/replay/load-readings.ts'
import { readTokenFile } from '../../../src/cli/token-file.ts'
import { UsageError } from '../../../src/cli/output.ts'
import { loadNodeConfig } from '../../../src/config/load.ts'
import { readStart } from '../../../src/files/read-start.ts'
import { openHighWaterFile } from '../../../src/keys/high-water-file.ts'
import { createKeyFile, readKeyFile } from '../../../src/keys/key-file.ts'
import { readPassphraseFile } from '../../../src/keys/passphrase.ts'
import { readGenesisFile } from '../../../src/node/genesis-file.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { openArchiveFiles } from '../../../src/storage/archive/archive-files.ts'
import { bytesDecoder, type Decoder } from '../decoder.ts'
import { chains } from '../seeds.ts'

/** A file costs some ten times what a value does. */
const FILE = { cost: 10 }
const RANGE = { from: 0, to: 2 }

const YAML = `mode: authority
data: ./solar-data
http: 127.0.0.1:8080
tick: 300
finality: votes:2
voters:
  - id: alice
    public_key: &key ${'a'.repeat(64)}
  - { id: bob, public_key: *key }
`
const READINGS = [
  'timestamp,household,load_kwh,pv_kwh,price_per_kwh\n' +
    '2016-08-08T00:00:00,h1,0.25,1.5,0.2\n2016-08-08T00:00:00,h2,1,0,0.3\n2016-08-08T00:15:00,h1,1,0,0.3\n',
  'interval_start_local;household;load_kwh;pv_kwh;price_per_kwh\n2016-10-30T02:30;"h1";0,25;1,5;0,2\n',
]

/** An archive whose first line agrees with what follows, so that what is behind the checksum is looked at. */
function archiveOf(bodies: Uint8Array): Buffer {
  const content = gzipSync(bodies)
  const sha256 = createHash('sha256').update(content).digest('hex')
  const first = { format: 'solar-node bodies', version: 1, ...RANGE, bytes: content.length, sha256 }
  return Buffer.concat([Buffer.from(`${JSON.stringify(first)}\n`), content])
}

/** What is read from files, by the functions that read them. */
export async function fileDecoders(folder: string): Promise<readonly Decoder[]> {
  const file = join(folder, 'input')
  const archive = join(folder, 'archive')
  await mkdir(archive)
  const archives = await openArchiveFiles(archive)
  const archived = join(archive, archives.nameOf(RANGE))
  const written = (bytes: Uint8Array, path = file): Promise<void> => writeFile(path, bytes, { mode: 0o600 })
  const reading = (read: () => unknown) => async (bytes: Uint8Array) => {
    await written(bytes)
    await read()
  }

  const randomBytes = (length: number): Uint8Array => new Uint8Array(length).fill(7)
  const made = async (name: string, passphrase?: string): Promise<Buffer> => {
    const path = join(folder, name)
    // The least work that scrypt can have: an input is to be cheap.
    await createKeyFile(path, { randomBytes, passphrase, workFactor: 1 })
    return readStart(path, 100_000)
  }
  const mark = `${'3'.padStart(16, '0')} ${'a'.repeat(64)}`
  const slot = `${mark} ${sha256Hex(mark)}\n`.padEnd(4_096, '\n')

  return [
    bytesDecoder(
      'file of settings',
      [YAML],
      reading(() => loadNodeConfig({ flags: {}, env: {}, file })),
      // Its operator wrote it, and it is read once: a large one may take as long as YAML takes.
      { ...FILE, maxLength: 4_096 },
    ),
    bytesDecoder(
      'genesis file',
      chains.slice(0, 4).map(({ genesis }) => JSON.stringify(genesis, null, 2)),
      reading(() => readGenesisFile(file)),
      FILE,
    ),
    bytesDecoder(
      'key file',
      [await made('a.key')],
      reading(() => readKeyFile(file)),
      FILE,
    ),
    bytesDecoder(
      'encrypted key file',
      [await made('b.key', 'open')],
      reading(() => readKeyFile(file, 'open')),
      {
        cost: 20,
      },
    ),
    bytesDecoder(
      'passphrase file',
      ['open sesame\n', 'a\r\nb'],
      reading(() => readPassphraseFile(file)),
      FILE,
    ),
    bytesDecoder(
      'token file',
      ['abcdefghijklmnopqrstuvwxyz\n'],
      reading(() => readTokenFile(file)),
      {
        ...FILE,
        isRefusal: (error) => error instanceof UsageError,
      },
    ),
    bytesDecoder(
      'high-water file',
      [slot + slot],
      reading(async () => (await openHighWaterFile(file)).close()),
      FILE,
    ),
    bytesDecoder(
      'archive',
      [archiveOf(Buffer.from('{"a":1}\nnull\n'))],
      async (bytes) => {
        await written(bytes, archived)
        await archives.read(RANGE)
      },
      FILE,
    ),
    bytesDecoder(
      'archived bodies',
      ['{"a":1}\nnull\n'],
      async (bytes) => {
        await written(archiveOf(bytes), archived)
        await archives.read(RANGE)
      },
      FILE,
    ),
    bytesDecoder(
      'readings',
      READINGS,
      async (bytes) => {
        await written(bytes)
        const { table, bad } = await loadReadings([file], { notice: () => undefined, onProgress: () => undefined })
        table.close()
        return bad.rows.map(({ reason }) => reason.replace(/"[^"]*"|[0-9]+/g, '')).join('; ')
      },
      // Of each file a table is made, in which a row takes what it takes.
      { cost: 100, maxLength: 4_096 },
    ),
  ]
}

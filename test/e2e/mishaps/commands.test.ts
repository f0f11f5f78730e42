import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cliFile } from '../../helpers/bundle.ts'
import { within } from '../../helpers/patience.ts'
import { processGroup } from '../../helpers/processes.ts'
import { silentPostgres } from './silent-postgres.ts'

const HERE = ['--http', ':0', '--listen', '/ip4/127.0.0.1/tcp/0', '--tick', 'off']
const authority = (...args: readonly string[]): readonly string[] => ['--mode=authority', ...HERE, ...args]
const SECRET = 'hunter2'

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface Mishap {
  readonly name: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly code: 1 | 2
  /** What the line names: the value, what was expected, what to do. */
  readonly says: readonly RegExp[]
  /** The keys of a household are there before its LevelDB is opened. */
  readonly makesKeys?: true
  /** Makes the situation in the folder of the case. */
  readonly prepare?: (folder: string) => void
}

describe('a mishap ends with one line that says what to do', () => {
  const processes = processGroup()
  let root: string
  /** A chain of no block, made once; its node is stopped. */
  let started: string
  let takenPort: number
  const taken = createServer()
  let postgres: Awaited<ReturnType<typeof silentPostgres>>

  async function cli(
    folder: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ended> {
    const child = spawn(process.execPath, [cliFile(), ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    const end = once(child, 'close') as Promise<[number | null]>
    const [code] = await within(`the end of ${args.join(' ')}`, end).finally(() => child.kill('SIGKILL'))
    return { code, out, err }
  }

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'solar-mishaps-'))
    taken.listen(0, '127.0.0.1')
    await once(taken, 'listening')
    takenPort = (taken.address() as AddressInfo).port
    postgres = await silentPostgres()
    started = join(root, 'started')
    const node = processes.start([cliFile(), ...authority('--data', started)])
    await node.awaitLine((line) => (line.includes('authority is running') ? line : undefined))
    node.kill('SIGTERM')
    assert.equal((await node.ended).code, 0)
  })
  after(async () => {
    await processes.killAll()
    taken.close()
    postgres.close()
    rmSync(root, { recursive: true, force: true })
  })

  const inStarted = (change: (data: string) => void) => (folder: string) => {
    cpSync(started, join(folder, 'd'), { recursive: true })
    change(join(folder, 'd'))
  }
  const write = (name: string, text: string | Buffer) => (folder: string) => writeFileSync(join(folder, name), text)
  const damaged = (name: string, text: string) => inStarted((data) => writeFileSync(join(data, name), text))
  const atData = ['--data', 'd'] as const

  const CASES: readonly (() => Mishap)[] = [
    // Where the data goes.
    () => ({
      name: 'a data directory that is a file',
      args: authority(...atData),
      code: 1,
      says: [/d: .*is a file, expected a folder/],
      prepare: write('d', ''),
    }),
    () => ({
      name: 'a data directory below a file',
      args: authority('--data', 'f/d'),
      code: 1,
      says: [/is a file, expected a folder/],
      prepare: write('f', ''),
    }),
    () => ({
      name: 'a folder full of other things',
      args: authority(...atData),
      code: 1,
      says: [/holds other things \(notes\.txt\)/, /new or an empty folder/],
      prepare: (folder) => {
        mkdirSync(join(folder, 'd'))
        writeFileSync(join(folder, 'd/notes.txt'), '')
      },
    }),
    () => ({
      name: 'the folder of another mode',
      args: ['--mode=validator', ...HERE.slice(0, 4), ...atData, '--peer', '/ip4/127.0.0.1/tcp/1'],
      code: 1,
      says: [/belongs to a node of --mode=authority/],
      prepare: inStarted(() => undefined),
    }),
    ...(['audit', 'rebuild', 'export'] as const).flatMap((command): readonly (() => Mishap)[] => {
      const out = command === 'export' ? ['--out', 'o'] : []
      return [
        () => ({
          name: `${command} of an unknown folder`,
          args: [command, ...atData, ...out],
          code: 2,
          says: [/\/d: no such file or folder/],
        }),
        () => ({
          name: `${command} of a folder of nobody`,
          args: [command, '--data', '.', ...out],
          code: 2,
          says: [/no genesis\.json/],
        }),
        () => ({
          name: `${command} where SQL is elsewhere`,
          args: [command, ...atData, ...out],
          code: 2,
          says: [/SQL is not in it/, /--database/, /SOLAR_DATABASE/],
          prepare: inStarted((data) => rmSync(join(data, 'ledger.db'))),
        }),
        () => ({
          name: `${command} of a household`,
          args: [command, ...atData, ...out],
          code: 1,
          says: [/voter\.key/],
          prepare: (folder) => {
            mkdirSync(join(folder, 'd'))
            writeFileSync(join(folder, 'd/voter.key'), '')
          },
        }),
      ]
    }),
    // Damage.
    () => ({
      name: 'an empty CURRENT of LevelDB',
      args: authority(...atData),
      code: 1,
      says: [/LevelDB is damaged/, /solar-node rebuild --data \S+\/d /],
      prepare: damaged('level/CURRENT', ''),
    }),
    () => ({
      name: 'a MANIFEST of LevelDB that is gone',
      args: authority(...atData),
      code: 1,
      says: [/solar-node rebuild --data/],
      prepare: inStarted((data) => {
        for (const name of readdirSync(join(data, 'level')))
          if (name.startsWith('MANIFEST')) rmSync(join(data, 'level', name))
      }),
    }),
    () => ({
      name: 'damaged LevelDB of a household',
      makesKeys: true,
      args: ['--mode=light', ...atData, '--peer', '/ip4/127.0.0.1/tcp/1'],
      code: 1,
      says: [/delete \S+\/d\/level \(keep voter\.key\)/],
      prepare: (folder) => {
        mkdirSync(join(folder, 'd/level'), { recursive: true })
        writeFileSync(join(folder, 'd/level/CURRENT'), '')
      },
    }),
    () => ({
      name: 'SQL that is no database',
      args: authority(...atData),
      code: 1,
      says: [/not a database/, /backup of \S+ledger\.db/],
      prepare: damaged('ledger.db', 'x'.repeat(5_000)),
    }),
    () => ({
      name: 'audit of SQL that is no database',
      args: ['audit', ...atData],
      code: 1,
      says: [/not a database/, /backup/],
      prepare: damaged('ledger.db', 'x'.repeat(5_000)),
    }),
    () => ({
      name: 'a truncated genesis',
      args: authority(...atData),
      code: 2,
      says: [/genesis\.json: not JSON/],
      prepare: damaged('genesis.json', '{"version":'),
    }),
    () => ({
      name: 'an empty key',
      args: authority(...atData),
      code: 1,
      says: [/authority\.key is not a key file: not JSON/],
      prepare: damaged('authority.key', ''),
    }),
    () => ({
      name: 'damaged token hashes',
      args: authority(...atData),
      code: 1,
      says: [/token-hashes\.json is damaged/],
      prepare: damaged('token-hashes.json', '{'),
    }),
    // Settings.
    () => ({
      name: 'no such settings file',
      args: authority('--config', 'c.yaml'),
      code: 2,
      says: [/c\.yaml: no such file/],
    }),
    () => ({
      name: 'a settings file that is a folder',
      args: authority('--config', '.'),
      code: 2,
      says: [/^solar-node: \.: /],
    }),
    () => ({
      name: 'bad YAML',
      args: authority('--config', 'c.yaml'),
      code: 2,
      says: [/c\.yaml: not YAML, line 1/],
      prepare: write('c.yaml', 'a: ['),
    }),
    () => ({
      name: 'an unknown setting',
      args: authority('--config', 'c.yaml'),
      code: 2,
      says: [/frob: no such setting/],
      prepare: write('c.yaml', 'frob: 1'),
    }),
    () => ({
      name: 'a setting of the wrong type',
      args: authority('--config', 'c.yaml'),
      code: 2,
      says: [/min_trade_kwh: expected kWh/, /a mapping/],
      prepare: write('c.yaml', 'min_trade_kwh: {a: 1}'),
    }),
    // Addresses.
    () => ({
      name: 'the HTTP port is taken',
      args: ['--mode=authority', ...atData, '--http', `127.0.0.1:${takenPort}`, '--listen', '/ip4/127.0.0.1/tcp/0'],
      code: 1,
      says: [/^solar-node: http: 127\.0\.0\.1:\d+ is taken/, /--http 127\.0\.0\.1:0/],
    }),
    () => ({
      name: 'the TCP port is taken',
      args: ['--mode=authority', ...atData, '--http', ':0', '--listen', `/ip4/127.0.0.1/tcp/${takenPort}`],
      code: 1,
      says: [/^solar-node: listen: \/ip4\/127\.0\.0\.1\/tcp\/\d+ is taken/, /--listen \/ip4\/127\.0\.0\.1\/tcp\/0/],
    }),
    () => ({
      name: 'the WebSocket port of a validator is taken',
      args: [
        '--mode=validator',
        ...atData,
        '--peer',
        '/ip4/127.0.0.1/tcp/1',
        '--listen',
        `/ip4/127.0.0.1/tcp/${takenPort}/ws`,
      ],
      code: 1,
      says: [/\/ws is taken/, /tcp\/0\/ws/],
    }),
    () => ({
      name: 'the HTTP port of a household is taken',
      args: ['--mode=light', ...atData, '--peer', '/ip4/127.0.0.1/tcp/1', '--http', `127.0.0.1:${takenPort}`],
      code: 1,
      says: [/is taken/],
    }),
    () => ({
      name: 'an address of another machine',
      args: ['--mode=authority', ...atData, '--http', '192.0.2.1:0', '--listen', '/ip4/127.0.0.1/tcp/0'],
      code: 1,
      says: [/192\.0\.2\.1:0 cannot be listened on/, /127\.0\.0\.1:0/],
    }),
    () => ({
      name: 'a multiaddr that nobody listens on',
      args: ['--mode=authority', ...atData, '--listen', '/ip4/127.0.0.1/udp/1/quic-v1'],
      code: 2,
      says: [/listen: expected multiaddrs/],
    }),
    // Databases.
    ...['p@ss', 'p#ss', 'p/ss', 'p?ss', '12/34', 'p ss'].map((password) => (): Mishap => ({
      name: `a password that is not encoded: ${password}`,
      args: authority(...atData),
      env: { SOLAR_DATABASE: `postgres://ada:${password}${SECRET}@127.0.0.1/x` },
      code: 2,
      says: [/percent-encoded/, /%40/, /SOLAR_DATABASE/],
    })),
    () => ({
      name: 'no password where the server wants one',
      args: authority(...atData),
      env: { SOLAR_DATABASE: `postgres://ada@127.0.0.1:${postgres.port}/x` },
      code: 1,
      says: [/asks for a password/, /PGPASSWORD/],
    }),
    () => ({
      name: 'a server that is not there',
      args: authority(...atData),
      env: { SOLAR_DATABASE: `postgres://ada:${SECRET}@127.0.0.1:1/x` },
      code: 1,
      says: [/ECONNREFUSED/, /that PostgreSQL runs there/],
    }),
    () => ({
      name: 'SQLite in a folder that is not there',
      args: authority(...atData, '--database', 'sqlite:none/x.db'),
      code: 2,
      says: [/\/none of the SQLite file: no such/],
    }),
    // Files.
    () => ({
      name: 'export over a file',
      args: ['export', ...atData, '--out', 'o'],
      code: 2,
      says: [/--out: o exists already/, /--force/],
      prepare: write('o', 'mine'),
    }),
    () => ({
      name: 'export into no folder',
      args: ['export', ...atData, '--out', 'none/o'],
      code: 2,
      says: [/--out: the folder none: no such/],
    }),
    () => ({
      name: 'audit of a file that is a folder',
      args: ['audit', '--file', '.'],
      code: 2,
      says: [/--file: \.: expected a file/],
    }),
    () => ({
      name: 'audit of a file that is not there',
      args: ['audit', '--file', 'none'],
      code: 2,
      says: [/--file: none: no such/],
    }),
    () => ({
      name: 'verify of a folder',
      args: ['verify', '.', '--chain', '0'.repeat(64)],
      code: 2,
      says: [/^solar-node: \.: expected a readable file/],
    }),
    () => ({
      name: 'a key in a folder that is not there',
      args: ['keys', 'new', '--out', 'none/a.key'],
      code: 1,
      says: [/none\/a\.key cannot be read or written/],
    }),
  ]

  for (const [index, make] of CASES.entries()) {
    // The ports are known only when the tests run; the names are not made of them.
    it(String(index).padStart(2, '0'), async function () {
      const { name, args, env, code, says, prepare, makesKeys } = make()
      this.test!.title = name
      const folder = mkdtempSync(join(root, 'case-'))
      prepare?.(folder)
      const before = listing(folder)
      const ended = await cli(folder, args, env)
      assert.equal(ended.code, code, `${name}: ${ended.err}${ended.out}`)
      assert.match(ended.err, /^solar-node: [^\n]+\n$/, name)
      for (const pattern of says) assert.match(ended.err, pattern, name)
      assert.doesNotMatch(ended.err, new RegExp(`\\bat .*\\.[jt]s:\\d+|${SECRET}`), name)
      const made = listing(folder).filter((line) => makesKeys !== true || !line.includes('.key '))
      assert.deepEqual(made, before, `${name}: nothing is made`)
    })
  }

  it('a file that is exported has mode 0600, and is replaced with --force alone', async () => {
    const folder = mkdtempSync(join(root, 'case-'))
    cpSync(started, join(folder, 'd'), { recursive: true })
    writeFileSync(join(folder, 'o'), 'mine')
    chmodSync(join(folder, 'o'), 0o644)
    assert.equal((await cli(folder, ['export', '--data', 'd', '--out', 'o', '--force'])).code, 0)
    assert.equal(statSync(join(folder, 'o')).mode & 0o777, 0o600)
    assert.match(readFileSync(join(folder, 'o'), 'utf8'), /^\{"chain_id".*\n\{"end":.*\n$/)
    assert.deepEqual(readdirSync(folder).sort(), ['d', 'o'])
    assert.equal((await cli(folder, ['audit', '--file', 'o'])).code, 0)
  })

  it('an output that nobody reads ends a command without a word, and a node as SIGTERM does', async () => {
    for (const args of [['--help'], authority('--data', join(root, 'unread'))]) {
      const child = spawn(process.execPath, [cliFile(), ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
      let err = ''
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
      child.stdout.destroy()
      const [code] = (await once(child, 'close')) as [number | null]
      assert.deepEqual([code, err], [0, ''], args.join(' '))
    }
  })
})

/** Everything below a folder but what holding its lock leaves, with sizes. */
function listing(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/^node-lock|^LOG|^LOCK$|^ledger\.db-/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('/level/'))
    .map((path) => `${path} ${statSync(path).size}`)
    .sort()
}

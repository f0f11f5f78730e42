import { mkdirSync, readdirSync, rmSync, writeFileSync, cpSync } from 'node:fs'
import { join } from 'node:path'

const HERE = ['--http', ':0', '--listen', '/ip4/127.0.0.1/tcp/0', '--tick', 'off']
export const authority = (...args: readonly string[]): readonly string[] => ['--mode=authority', ...HERE, ...args]
/** Never in a line that a mishap prints. */
export const SECRET = 'hunter2'
/** Stand in arguments and variables for ports that only a running test knows. */
export const TAKEN = '{taken}'
export const POSTGRES = '{postgres}'

/** What was typed, and how it ends. */
export interface Mishap {
  readonly name: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly code: 1 | 2
  /** What the line names: the value, what was expected, what to do. */
  readonly says: readonly RegExp[]
  /** The keys of a household are there before its LevelDB is opened. */
  readonly makesKeys?: true
  /**
   * Makes the situation in the folder of the case.
   *
   * @param started the data directory of an authority that is stopped, with a chain of no block
   */
  readonly prepare?: (folder: string, started: string) => void
}

const inStarted = (change: (data: string) => void) => (folder: string, started: string) => {
  cpSync(started, join(folder, 'd'), { recursive: true })
  change(join(folder, 'd'))
}
const write = (name: string, text: string | Buffer) => (folder: string) => writeFileSync(join(folder, name), text)
const damaged = (name: string, text: string) => inStarted((data) => writeFileSync(join(data, name), text))
const atData = ['--data', 'd'] as const

export const MISHAPS: readonly Mishap[] = [
  // Where the data goes.
  {
    name: 'a data directory that is a file',
    args: authority(...atData),
    code: 1,
    says: [/d: .*is a file, expected a folder/],
    prepare: write('d', ''),
  },
  {
    name: 'a data directory below a file',
    args: authority('--data', 'f/d'),
    code: 1,
    says: [/is a file, expected a folder/],
    prepare: write('f', ''),
  },
  {
    name: 'a folder full of other things',
    args: authority(...atData),
    code: 1,
    says: [/holds other things \(notes\.txt\)/, /new or an empty folder/],
    prepare: (folder) => {
      mkdirSync(join(folder, 'd'))
      writeFileSync(join(folder, 'd/notes.txt'), '')
    },
  },
  {
    name: 'the folder of another mode',
    args: ['--mode=validator', ...HERE.slice(0, 4), ...atData, '--peer', '/ip4/127.0.0.1/tcp/1'],
    code: 1,
    says: [/belongs to a node of --mode=authority/],
    prepare: inStarted(() => undefined),
  },
  ...(['audit', 'rebuild', 'export'] as const).flatMap((command): readonly Mishap[] => {
    const out = command === 'export' ? ['--out', 'o'] : []
    return [
      {
        name: `${command} of an unknown folder`,
        args: [command, ...atData, ...out],
        code: 2,
        says: [/\/d: no such file or folder/],
      },
      {
        name: `${command} of a folder of nobody`,
        args: [command, '--data', '.', ...out],
        code: 2,
        says: [/no genesis\.json/],
      },
      {
        name: `${command} where SQL is elsewhere`,
        args: [command, ...atData, ...out],
        code: 2,
        says: [/SQL is not in it/, /--database/, /SOLAR_DATABASE/],
        prepare: inStarted((data) => rmSync(join(data, 'ledger.db'))),
      },
      {
        name: `${command} of a household`,
        args: [command, ...atData, ...out],
        code: 1,
        says: [/voter\.key/],
        prepare: (folder) => {
          mkdirSync(join(folder, 'd'))
          writeFileSync(join(folder, 'd/voter.key'), '')
        },
      },
    ]
  }),
  // Damage.
  {
    name: 'an empty CURRENT of LevelDB',
    args: authority(...atData),
    code: 1,
    says: [/LevelDB is damaged/, /solar-node rebuild --data \S+\/d /],
    prepare: damaged('level/CURRENT', ''),
  },
  {
    name: 'a MANIFEST of LevelDB that is gone',
    args: authority(...atData),
    code: 1,
    says: [/solar-node rebuild --data/],
    prepare: inStarted((data) => {
      for (const name of readdirSync(join(data, 'level')))
        if (name.startsWith('MANIFEST')) rmSync(join(data, 'level', name))
    }),
  },
  {
    name: 'damaged LevelDB of a household',
    makesKeys: true,
    args: ['--mode=light', ...atData, '--peer', '/ip4/127.0.0.1/tcp/1'],
    code: 1,
    says: [/delete \S+\/d\/level \(keep voter\.key\)/],
    prepare: (folder) => {
      mkdirSync(join(folder, 'd/level'), { recursive: true, mode: 0o700 })
      writeFileSync(join(folder, 'd/level/CURRENT'), '')
    },
  },
  {
    name: 'SQL that is no database',
    args: authority(...atData),
    code: 1,
    says: [/not a database/, /backup of \S+ledger\.db/],
    prepare: damaged('ledger.db', 'x'.repeat(5_000)),
  },
  {
    name: 'audit of SQL that is no database',
    args: ['audit', ...atData],
    code: 1,
    says: [/not a database/, /backup/],
    prepare: damaged('ledger.db', 'x'.repeat(5_000)),
  },
  {
    name: 'a truncated genesis',
    args: authority(...atData),
    code: 2,
    says: [/genesis\.json: not JSON/],
    prepare: damaged('genesis.json', '{"version":'),
  },
  {
    name: 'an empty key',
    args: authority(...atData),
    code: 1,
    says: [/authority\.key is not a key file: not JSON/],
    prepare: damaged('authority.key', ''),
  },
  {
    name: 'damaged token hashes',
    args: authority(...atData),
    code: 1,
    says: [/token-hashes\.json is damaged/],
    prepare: damaged('token-hashes.json', '{'),
  },
  // Settings.
  {
    name: 'no such settings file',
    args: authority('--config', 'c.yaml'),
    code: 2,
    says: [/c\.yaml: no such file/],
  },
  {
    name: 'a settings file that is a folder',
    args: authority('--config', '.'),
    code: 2,
    says: [/^solar-node: \.: /],
  },
  {
    name: 'bad YAML',
    args: authority('--config', 'c.yaml'),
    code: 2,
    says: [/c\.yaml: not YAML, line 1/],
    prepare: write('c.yaml', 'a: ['),
  },
  {
    name: 'an unknown setting',
    args: authority('--config', 'c.yaml'),
    code: 2,
    says: [/frob: no such setting/],
    prepare: write('c.yaml', 'frob: 1'),
  },
  {
    name: 'a setting of the wrong type',
    args: authority('--config', 'c.yaml'),
    code: 2,
    says: [/min_trade_kwh: expected kWh/, /a mapping/],
    prepare: write('c.yaml', 'min_trade_kwh: {a: 1}'),
  },
  // Addresses.
  {
    name: 'the HTTP port is taken',
    args: ['--mode=authority', ...atData, '--http', `127.0.0.1:${TAKEN}`, '--listen', '/ip4/127.0.0.1/tcp/0'],
    code: 1,
    says: [/^solar-node: http: 127\.0\.0\.1:\d+ is taken/, /--http 127\.0\.0\.1:0/],
  },
  {
    name: 'the TCP port is taken',
    args: ['--mode=authority', ...atData, '--http', ':0', '--listen', `/ip4/127.0.0.1/tcp/${TAKEN}`],
    code: 1,
    says: [/^solar-node: listen: \/ip4\/127\.0\.0\.1\/tcp\/\d+ is taken/, /--listen \/ip4\/127\.0\.0\.1\/tcp\/0/],
  },
  {
    name: 'the WebSocket port of a validator is taken',
    args: [
      '--mode=validator',
      ...atData,
      '--peer',
      '/ip4/127.0.0.1/tcp/1',
      '--listen',
      `/ip4/127.0.0.1/tcp/${TAKEN}/ws`,
    ],
    code: 1,
    says: [/\/ws is taken/, /tcp\/0\/ws/],
  },
  {
    name: 'the HTTP port of a household is taken',
    args: ['--mode=light', ...atData, '--peer', '/ip4/127.0.0.1/tcp/1', '--http', `127.0.0.1:${TAKEN}`],
    code: 1,
    says: [/is taken/],
  },
  {
    name: 'an address of another machine',
    args: ['--mode=authority', ...atData, '--http', '192.0.2.1:0', '--listen', '/ip4/127.0.0.1/tcp/0'],
    code: 1,
    says: [/192\.0\.2\.1:0 cannot be listened on/, /127\.0\.0\.1:0/],
  },
  {
    name: 'a multiaddr that nobody listens on',
    args: ['--mode=authority', ...atData, '--listen', '/ip4/127.0.0.1/udp/1/quic-v1'],
    code: 2,
    says: [/listen: expected multiaddrs/],
  },
  // Databases.
  ...['p@ss', 'p#ss', 'p/ss', 'p?ss', '12/34', 'p ss'].map((password): Mishap => ({
    name: `a password that is not encoded: ${password}`,
    args: authority(...atData),
    env: { SOLAR_DATABASE: `postgres://ada:${password}${SECRET}@127.0.0.1/x` },
    code: 2,
    says: [/percent-encoded/, /%40/, /SOLAR_DATABASE/],
  })),
  {
    name: 'no password where the server wants one',
    args: authority(...atData),
    env: { SOLAR_DATABASE: `postgres://ada@127.0.0.1:${POSTGRES}/x` },
    code: 1,
    says: [/asks for a password/, /PGPASSWORD/],
  },
  {
    name: 'a server that is not there',
    args: authority(...atData),
    env: { SOLAR_DATABASE: `postgres://ada:${SECRET}@127.0.0.1:1/x` },
    code: 1,
    says: [/ECONNREFUSED/, /that PostgreSQL runs there/],
  },
  {
    name: 'SQLite in a folder that is not there',
    args: authority(...atData, '--database', 'sqlite:none/x.db'),
    code: 2,
    says: [/\/none of the SQLite file: no such/],
  },
  // Files.
  {
    name: 'export over a file',
    args: ['export', ...atData, '--out', 'o'],
    code: 2,
    says: [/--out: o exists already/, /--force/],
    prepare: write('o', 'mine'),
  },
  {
    name: 'export below a file',
    args: ['export', ...atData, '--out', 'f/o'],
    code: 2,
    says: [/--out: f\/o: .*f/],
    prepare: write('f', ''),
  },
  {
    name: 'audit of a file that is a folder',
    args: ['audit', '--file', '.'],
    code: 2,
    says: [/--file: \.: expected a file/],
  },
  {
    name: 'audit of a file that is not there',
    args: ['audit', '--file', 'none'],
    code: 2,
    says: [/--file: none: no such/],
  },
  {
    name: 'verify of a folder',
    args: ['verify', '.', '--chain', '0'.repeat(64)],
    code: 2,
    says: [/^solar-node: \.: expected a readable file/],
  },
  {
    name: 'a key below a file',
    args: ['keys', 'new', '--out', 'f/a.key'],
    code: 1,
    says: [/f\/a\.key cannot be read or written: .* a file, expected a folder/],
    prepare: write('f', ''),
  },
]

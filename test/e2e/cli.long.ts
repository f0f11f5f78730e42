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
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cliFile } from '../helpers/bundle.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

describe('the command line', () => {
  let folder: string
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'solar-cli-'))))
  afterEach(() => rmSync(folder, { recursive: true }))

  async function runNode(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, out, err }
  }
  const cli = (args: readonly string[], env?: Record<string, string>): Promise<Ended> =>
    runNode([cliFile(), ...args], env)
  const json = (ended: Ended): Record<string, unknown> => JSON.parse(ended.out) as Record<string, unknown>
  const succeeds = async (args: readonly string[]): Promise<Record<string, unknown>> => {
    const ended = await cli([...args, '--json'])
    assert.equal(ended.code, 0, ended.err)
    return json(ended)
  }

  describe('what cannot be meant ends with one line on standard error and exit code 2', () => {
    const CASES: readonly (readonly [readonly string[], RegExp])[] = [
      [['frob'], /^solar-node: unknown command "frob", expected one of run,.* keys,.* genesis/],
      [['--mode=authority', '--frob'], /unknown option '--frob'/],
      [['--mode=full'], /mode: expected authority, light, validator, got "full" \(from --mode\)/],
      [[], /--mode=authority or --mode=light.*solar-node demo.*solar-node --help/],
      [['replay', 'r.csv'], /--to.*\(see solar-node replay --help\)/],
      [['keys', 'enrol'], /--id.*\(see solar-node keys enrol --help\)/],
      [['--mode=authority', '--config', '.'], /\.: it is a folder, expected a file/],
      [['--mode=authority', '--currency', 'euro', '--data', 'd'], /got "euro"\. Is EUR meant\?/],
      [['verify', 'none.json', '--chain', 'a'.repeat(64)], /none\.json: expected a readable file \(no such file/],
      [['--mode=authority', '--tick', 'soon'], /tick: expected seconds .* got "soon" \(from --tick\)/],
      [['--mode=authority', '--no-vote'], /vote: no such setting.*\(from --no-vote\)/],
      [['--mode=light'], /--peer/],
      [['--mode=authority', '--config', 'none.yaml'], /none\.yaml: no such file/],
      [['--mode=authority', '--log-level', 'loud'], /--log-level.*loud.*debug, info, warn, error/],
      [['keys', 'frob'], /unknown command 'frob'/],
      [['keys', 'show'], /missing required argument 'file'/],
      [['genesis', 'new', '--out', 'g.json'], /required option '--authority/],
      [
        ['genesis', 'new', '--out', 'g.json', '--authority', 'town'],
        /--authority: expected ID=PUBLIC_KEY.* got "town"/,
      ],
      [['genesis', 'show', 'none.json'], /none\.json: no such file/],
    ]
    for (const [args, pattern] of CASES) {
      it(`solar-node ${args.join(' ')}`, async () => {
        const { code, out, err } = await cli(args)
        assert.equal(code, 2, err)
        assert.equal(out, '')
        assert.match(err, /^solar-node: [^\n]+\n$/)
        assert.deepEqual(readdirSync(folder), [], 'something was made')
        assert.match(err, pattern)
      })
    }

    it('also with --json, as an object', async () => {
      for (const [args, code] of [
        [['--mode=authority', '--tick', 'soon'], 'config_bad_value'],
        [['--mode=authority', '--frob'], 'usage'],
      ] as const) {
        const ended = await cli([...args, '--json'])
        assert.equal(ended.code, 2)
        assert.equal((JSON.parse(ended.err) as { error: { code: string } }).error.code, code)
      }
    })

    it('names the variable, the value and what was expected, but never a secret', async () => {
      const { code, err } = await cli(['--mode=authority'], { SOLAR_DATABASE: 'mysql://ada:hunter2@db/solar' })
      assert.equal(code, 2)
      assert.match(err, /database: expected sqlite:PATH.*\(from SOLAR_DATABASE\)/)
      assert.doesNotMatch(err, /hunter2/)
    })
  })

  it('shows an example in the help of every command', async () => {
    const commands = [
      [],
      ['run'],
      ['keys'],
      ['keys', 'new'],
      ['keys', 'show'],
      ['keys', 'recovery'],
      ['keys', 'recovery', 'new'],
      ['keys', 'recovery', 'show'],
      ['genesis'],
      ['genesis', 'new'],
      ['genesis', 'show'],
    ]
    for (const command of commands) {
      const { code, out } = await cli([...command, '--help'])
      assert.equal(code, 0)
      assert.match(out, /\n {2}solar-node .+/, command.join(' '))
    }
  })

  it('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    assert.deepEqual(await cli(['--version']), { code: 0, out: `${version}\n`, err: '' })
  })

  it('makes a key, shows its public half, never its secret, and never overwrites it', async () => {
    const made = await cli(['keys', 'new', '--out', 'a.key'])
    assert.equal(made.code, 0, made.err)
    const file = JSON.parse(readFileSync(join(folder, 'a.key'), 'utf8')) as Record<string, string>
    assert.equal(statSync(join(folder, 'a.key')).mode & 0o777, 0o600)
    assert.match(made.out, new RegExp(`public key +${file.public_key}`))
    const { recipient, ...shown } = await succeeds(['keys', 'show', 'a.key'])
    assert.deepEqual(shown, { public_key: file.public_key, file: 'a.key' })
    assert.match(String(recipient), /^age1[0-9a-z]{58}$/)
    const again = await cli(['keys', 'new', '--out', 'a.key'])
    assert.equal(again.code, 1)
    assert.match(again.err, /^solar-node: a\.key exists already: key files are never overwritten\n$/)
    assert.ok(!`${made.out}${made.err}${again.err}`.includes(file.secret_key ?? ''))
  })

  it('makes a recovery key of 24 words, shown once, or in a file that serves as a key file', async () => {
    const { out } = await cli(['keys', 'recovery', 'new'])
    assert.deepEqual(readdirSync(folder), [], 'nothing is kept')
    const words = [...out.matchAll(/\d+ ([a-z]+)/g)].map(([, word]) => word).join(' ')
    writeFileSync(join(folder, 'typed.words'), words, { mode: 0o600 })
    const shown = await succeeds(['keys', 'recovery', 'show', 'typed.words', '--words'])
    assert.deepEqual([shown.words, out.includes(String(shown.public_key))], [words, true])
    const made = await succeeds(['keys', 'recovery', 'new', '--out', 'safe.words'])
    assert.deepEqual(Object.keys(made), ['public_key', 'file', 'encrypted'])
    assert.equal((await succeeds(['keys', 'show', 'safe.words'])).public_key, made.public_key)
    assert.equal(statSync(join(folder, 'safe.words')).mode & 0o777, 0o600)
    const nobody = await cli(['keys', 'recovery', 'show'])
    assert.deepEqual([nobody.code, nobody.out], [2, ''])
    assert.match(nobody.err, /Recovery phrase, 24 words: there is no terminal to ask on, give a file/)
  })

  it('makes the folder of an --out, closed to others', async () => {
    await succeeds(['keys', 'new', '--out', 'a/b/x.key'])
    await succeeds(['genesis', 'new', '--out', 'c/g.json', '--authority', 'town=a/b/x.key'])
    for (const made of ['a', 'a/b', 'c']) assert.equal(statSync(join(folder, made)).mode & 0o777, 0o700)
  })

  it('has help as a command, too', async () => {
    const [asCommand, asOption] = [await cli(['help', 'replay']), await cli(['replay', '--help'])]
    assert.deepEqual([asCommand.code, asCommand.out], [0, asOption.out])
  })

  it('says of a receipt that is cut short that it is', async () => {
    writeFileSync(join(folder, 'r.json'), '{"version":1,"transaction":{')
    const { code, out } = await cli(['verify', 'r.json', '--chain', 'a'.repeat(64), '--json'])
    assert.equal(code, 1)
    const { valid, code: found, reason } = JSON.parse(out) as Record<string, unknown>
    assert.deepEqual([valid, found], [false, 'malformed'])
    assert.match(String(reason), /cut short/)
  })

  it('shows where an error came from only to who debugs', async () => {
    assert.doesNotMatch((await cli(['keys', 'show', 'none.key'])).err, /\n {4}at /)
    const debugged = await cli(['keys', 'show', 'none.key', '--log-level', 'debug'])
    assert.equal(debugged.code, 1)
    assert.match(debugged.err, /^solar-node: none\.key: there is no such key file.*\n(.|\n)* {4}at /)
  })

  it('refuses a key file that others can read', async () => {
    await succeeds(['keys', 'new', '--out', 'a.key'])
    chmodSync(join(folder, 'a.key'), 0o644)
    const { code, err } = await cli(['keys', 'show', 'a.key'])
    assert.equal(code, 1)
    assert.match(err, /mode 0644\): chmod 600 a\.key/)
  })

  it('makes a genesis from key files and public keys, and shows the same chain_id', async () => {
    const keys = new Map<string, unknown>()
    for (const name of ['town', 'school', 'home']) {
      keys.set(name, (await succeeds(['keys', 'new', '--out', `${name}.key`])).public_key)
    }
    const made = await succeeds([
      ...['genesis', 'new', '--out', 'g.json', '--name', 'Sun street', '--origin', 'ledger.example.org/sun'],
      ...['--authority', 'town=town.key', '--validator', `school=${String(keys.get('school'))}`],
      ...['--voter', 'home=home.key', '--finality', 'validators:1', '--currency', 'USD', '--amount-decimals', '2'],
    ])
    assert.match(String(made.chain_id), /^[0-9a-f]{64}$/)
    const genesis = made.genesis as Record<string, unknown>
    assert.deepEqual(genesis.finality, { policy: 'validators', threshold: 1 })
    assert.deepEqual(genesis.registry, [
      { id: 'town', role: 'authority', public_key: keys.get('town'), recovery_key: null },
      { id: 'school', role: 'validator', public_key: keys.get('school'), recovery_key: null },
      { id: 'home', role: 'voter', public_key: keys.get('home'), recovery_key: null },
    ])
    assert.deepEqual(await succeeds(['genesis', 'show', 'g.json']), made)
    const shown = await cli(['genesis', 'show', 'g.json'])
    assert.match(shown.out, new RegExp(`^chain_id +${String(made.chain_id)}\n`))
    assert.match(shown.out, /\nfinality +validators:1\n/)
    const again = await cli(['genesis', 'new', '--out', 'g.json', '--authority', 'town=town.key'])
    assert.deepEqual([again.code, again.out], [2, ''])
    assert.match(again.err, /g\.json exists already/)
  })

  it('refuses a genesis that no chain can start from', async () => {
    await succeeds(['keys', 'new', '--out', 'town.key'])
    const { code, err } = await cli([
      ...['genesis', 'new', '--out', 'g.json', '--authority', 'town=town.key', '--finality', 'validators:1'],
    ])
    assert.equal(code, 2)
    assert.match(err, /no chain can start so: genesis: validators:1 needs 1 active validators, there are 0/)
    assert.deepEqual(readdirSync(folder), ['town.key'])
  })

  describe('the shim that npm installs', () => {
    const shim = join(root, 'bin/solar-node.js')

    it('says in one line which Node it needs', async () => {
      for (const [version, runs] of [
        ['18.20.4', false],
        ['20.18.3', false],
        ['20.19.0', true],
        ['24.1.0', true],
      ] as const) {
        const pretend = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`
        const preload = `data:text/javascript,${encodeURIComponent(pretend)}`
        // A copy without a build beside it: a Node that is new enough gets as far as missing that.
        mkdirSync(join(folder, 'bin'), { recursive: true })
        cpSync(shim, join(folder, 'bin/solar-node.js'))
        writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
        const { code, err } = await runNode([`--import=${preload}`, join(folder, 'bin/solar-node.js'), '--version'])
        const expected = runs ? 'not built yet: npm run build' : `needs Node.js 20.19 or newer, this is ${version}`
        assert.deepEqual([code, err], [1, `solar-node: ${expected}\n`])
      }
    })

    it('hands over to the built command line', async () => {
      mkdirSync(join(folder, 'bin'))
      mkdirSync(join(folder, 'dist/cli'), { recursive: true })
      cpSync(shim, join(folder, 'bin/solar-node.js'))
      writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
      writeFileSync(join(folder, 'dist/cli/main.js'), 'console.log(process.argv.slice(2).join()); process.exitCode = 7')
      const ended = await runNode([join(folder, 'bin/solar-node.js'), 'keys', 'new'])
      assert.deepEqual(ended, { code: 7, out: 'keys,new\n', err: '' })
    })
  })
})

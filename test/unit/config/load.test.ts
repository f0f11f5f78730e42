import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { isConfigError } from '../../../src/config/errors.ts'
import { loadAuthorityConfig, loadLightConfig, loadNodeConfig, loadValidatorConfig } from '../../../src/config/load.ts'
import type { ConfigSources } from '../../../src/config/sources.ts'

const KEY = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
const PEER = '/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWCjUC8X3Sf7iosuiMi7cMP5YJe6pwmxBKYbkQbsoZLwyA'

describe('config/load', () => {
  let folder: string
  before(() => (folder = mkdtempSync(join(tmpdir(), 'solar-config-'))))
  after(() => rmSync(folder, { recursive: true }))

  const yaml = (content: string): string => {
    const file = join(folder, 'node.yaml')
    writeFileSync(file, content)
    return file
  }
  const sources = (given: Partial<ConfigSources> = {}): ConfigSources => ({ flags: {}, env: {}, ...given })
  const refusal = (
    given: Partial<ConfigSources>,
    load: (s: ConfigSources) => unknown = loadAuthorityConfig,
  ): string => {
    try {
      load(sources(given))
    } catch (error) {
      assert.ok(isConfigError(error), String(error))
      assert.doesNotMatch(error.message, /\n/, 'one line')
      return error.message
    }
    assert.fail('it was accepted')
  }

  it('gives an authority the defaults of the contract', () => {
    assert.deepEqual(loadAuthorityConfig(sources()), {
      mode: 'authority',
      publicUrls: [],
      dataDirectory: resolve('solar-data'),
      http: { host: '127.0.0.1', port: 8080 },
      listen: ['/ip4/0.0.0.0/tcp/4001', '/ip4/0.0.0.0/tcp/4002/ws'],
      peers: [],
      database: { kind: 'sqlite', path: resolve('solar-data/ledger.db') },
      tickIntervalMs: 300_000,
      genesisFile: undefined,
      genesis: {
        name: undefined,
        origin: undefined,
        currency: undefined,
        amountDecimals: undefined,
        finality: undefined,
        seal: undefined,
        voters: [],
        validators: [],
      },
      privacy: undefined,
      payloadRecipients: [],
      outboxPollMs: 1_000,
      minTradeMicro: 10_000n,
      priceBand: undefined,
      changeLimits: { perHour: 10_000, perUserPerHour: 60 },
      witnesses: [],
      rateLimitPerSecond: 200,
      archiveAfterMs: 'off',
      corsOrigins: [],
      trustedProxies: [],
      passphraseFile: undefined,
      logLevel: 'info',
    })
  })

  it('gives a light node the defaults of the contract', () => {
    assert.deepEqual(loadLightConfig(sources({ flags: { peer: [PEER] } })), {
      mode: 'light',
      dataDirectory: resolve('solar-data'),
      http: 'off',
      peers: [PEER],
      chainId: undefined,
      headerWindow: 5,
      vote: true,
      staleAfterMs: 900_000,
      corsOrigins: [],
      trustedProxies: [],
      passphraseFile: undefined,
      logLevel: 'info',
    })
  })

  it('gives a validator the defaults of the contract', () => {
    assert.deepEqual(loadValidatorConfig(sources({ flags: { peer: [PEER] } })), {
      mode: 'validator',
      publicUrls: [],
      dataDirectory: resolve('solar-data'),
      http: 'off',
      listen: ['/ip4/0.0.0.0/tcp/4001', '/ip4/0.0.0.0/tcp/4002/ws'],
      peers: [PEER],
      chainId: undefined,
      allowedChanges: [],
      rateLimitPerSecond: 200,
      archiveAfterMs: 'off',
      corsOrigins: [],
      trustedProxies: [],
      passphraseFile: undefined,
      logLevel: 'info',
    })
  })

  it('reads which changes a validator may co-sign: none, some by their hashes, or all', () => {
    const allowed = (given: Partial<ConfigSources>) =>
      loadValidatorConfig(sources({ ...given, flags: { peer: [PEER], ...given.flags } })).allowedChanges
    const [one, two] = ['a1'.repeat(32), 'b2'.repeat(32)]
    assert.deepEqual(allowed({ flags: { allowChanges: [one, two] } }), [one, two])
    assert.deepEqual(allowed({ env: { SOLAR_ALLOW_CHANGES: `${one}, ${two}` } }), [one, two])
    assert.deepEqual(allowed({ file: yaml(`allow_changes:\n  - ${one}\n`) }), [one])
    assert.deepEqual(allowed({ file: yaml('allow_changes: []\n') }), [])
    for (const all of [
      { flags: { allowChanges: ['all'] } },
      { env: { SOLAR_ALLOW_CHANGES: 'all' } },
      { file: yaml('allow_changes: all\n') },
    ]) {
      assert.equal(allowed(all), 'all')
    }
    for (const bad of [['all of them'], [''], [7], ['enrol-1']]) {
      const given = { flags: { peer: [PEER], allowChanges: bad } }
      assert.match(
        refusal(given, loadValidatorConfig),
        /^allow_changes: expected all, or hashes of registry transactions/,
      )
    }
  })

  it('keeps settings of the other modes out of a validator, and its own out of an authority', () => {
    for (const name of ['tick', 'database', 'headers', 'genesis']) {
      const given = { flags: { peer: [PEER], [name]: '5' } }
      assert.match(refusal(given, loadValidatorConfig), new RegExp(`^${name}: .*--mode=validator`))
    }
    assert.match(refusal({ flags: { allowChanges: ['all'] } }), /^allow_changes: .*--mode=authority/)
    assert.match(refusal({ flags: { mode: 'validator' } }, loadNodeConfig), /a validator needs somebody to ask: --peer/)
  })

  it('lets a flag win over a variable, a variable over the file and the file over the default', () => {
    const file = yaml('tick: 10\nrate_limit: 300\nname: From file\n')
    const env = { SOLAR_TICK: '20', SOLAR_RATE_LIMIT: '400', HOME: '/root' }
    const config = loadAuthorityConfig(sources({ flags: { tick: '30' }, env, file }))
    assert.equal(config.tickIntervalMs, 30_000)
    assert.equal(config.rateLimitPerSecond, 400)
    assert.equal(config.genesis.name, 'From file')
    assert.equal(config.http !== 'off' && config.http.port, 8080)
  })

  it('takes the mode and the file from the environment too', () => {
    const file = yaml('mode: authority\n')
    assert.equal(loadNodeConfig(sources({ env: { SOLAR_CONFIG: file } })).mode, 'authority')
    const light = sources({ env: { SOLAR_CONFIG: file, SOLAR_MODE: 'light', SOLAR_PEER: PEER } })
    assert.equal(loadNodeConfig(light).mode, 'light')
  })

  it('reads every setting from YAML, with its own types', () => {
    const config = loadAuthorityConfig(
      sources({
        file: yaml(`
data: ${folder}/d
http: "[::1]:0"
listen: /ip4/127.0.0.1/tcp/0
database: sqlite:${folder}/other.db
tick: 0.5
finality: votes:2
seal: work:3
name: Sun street
origin: ledger.example.org/sun
currency: USD
amount_decimals: 2
min_trade_kwh: 0.25
feed_in_price: 0.08
retail_price: "0.3"
outbox_poll: 0.5
rate_limit: 500
log_level: debug
voters:
  - {id: 17, public_key: ${KEY}, user_id: 99}
`),
      }),
    )
    assert.equal(config.dataDirectory, join(folder, 'd'))
    assert.deepEqual(config.http, { host: '::1', port: 0 })
    assert.deepEqual(config.listen, ['/ip4/127.0.0.1/tcp/0'])
    assert.deepEqual(config.database, { kind: 'sqlite', path: join(folder, 'other.db') })
    assert.equal(config.tickIntervalMs, 500)
    assert.equal(config.minTradeMicro, 250_000n)
    assert.equal(config.outboxPollMs, 500)
    assert.deepEqual(config.priceBand, { feedInMicro: 80_000n, retailMicro: 300_000n })
    assert.deepEqual(config.genesis, {
      name: 'Sun street',
      origin: 'ledger.example.org/sun',
      currency: 'USD',
      amountDecimals: 2,
      finality: { policy: 'votes', threshold: 2 },
      seal: { kind: 'work', difficulty: 3 },
      voters: [{ id: '17', publicKey: KEY, recoveryKey: null, userId: '99' }],
      validators: [],
    })
  })

  it('reads a list from a variable, and an empty variable as not set', () => {
    const env = { SOLAR_PEER: `${PEER}, /dns4/a.example/tcp/4002/ws`, SOLAR_TICK: '' }
    const config = loadAuthorityConfig(sources({ env }))
    assert.deepEqual(config.peers, [PEER, '/dns4/a.example/tcp/4002/ws'])
    assert.equal(config.tickIntervalMs, 300_000)
  })

  it('reads how old a block is when it is archived, in days, hours, minutes or seconds', () => {
    const ages = ['90d', '12h', '30m', '0s'].map((age) => {
      const { archiveAfterMs } = loadAuthorityConfig(sources({ flags: { archiveAfter: age } }))
      assert.equal(
        loadValidatorConfig(sources({ flags: { peer: [PEER], archiveAfter: age } })).archiveAfterMs,
        archiveAfterMs,
      )
      return archiveAfterMs
    })
    assert.deepEqual(ages, [90 * 86_400_000, 12 * 3_600_000, 30 * 60_000, 0])
  })

  it('turns off what can be off', () => {
    const config = loadAuthorityConfig(sources({ file: yaml('http: off\ntick: off\n') }))
    assert.equal(config.http, 'off')
    assert.equal(config.tickIntervalMs, 'off')
    assert.equal(config.archiveAfterMs, 'off')
    assert.equal(loadLightConfig(sources({ flags: { peer: [PEER], vote: false } })).vote, false)
    assert.deepEqual(loadAuthorityConfig(sources({ flags: { http: ':0' } })).http, { host: '127.0.0.1', port: 0 })
  })

  const BAD: readonly (readonly [string, string])[] = [
    ['tick', 'soon'],
    ['tick', '0'],
    ['tick', '1e3'],
    ['tick', '86401'],
    ['outbox_poll', 'off'],
    ['outbox_poll', '0.09'],
    ['outbox_poll', '3601'],
    ['http', '8080'],
    ['http', 'localhost:65536'],
    ['http', '[zz]:80'],
    ['finality', 'votes'],
    ['finality', 'votes:0'],
    ['finality', 'validators:-1'],
    ['seal', 'work:0'],
    ['seal', 'work:9'],
    ['listen', '0.0.0.0:4001'],
    ['peer', '/ip4/1.2.3/tcp/1'],
    ['amount_decimals', '7'],
    ['min_trade_kwh', '0.0000001'],
    ['min_trade_kwh', '-1'],
    ['rate_limit', '0'],
    ['changes_per_hour', '0'],
    ['user_changes_per_hour', 'many'],
    ['log_level', 'loud'],
    ['database', 'sqlite:'],
    ['database', 'ledger.db'],
    ['database', 'mysql://ada@db/solar'],
    ['database', 'postgres:solar'],
    ['database', 'postgres://ada@db:port/solar'],
    ['database', 'postgres://ada@db/so lar'],
    ['archive_after', '90'],
    ['archive_after', '1.5d'],
    ['archive_after', '-1d'],
  ]
  for (const [key, value] of BAD) {
    it(`refuses ${key}=${value} with a line that names the key, the variable and what was expected`, () => {
      const name = `SOLAR_${key.toUpperCase()}`
      const line = refusal({ env: { [name]: value } })
      assert.match(line, new RegExp(`^${key}: expected .+, got .+ \\(from ${name}\\)$`))
      if (key !== 'database') assert.ok(line.includes(value), line)
    })
  }

  it('says from which source a bad value came', () => {
    const file = yaml('tick: soon\n')
    assert.equal(refusal({ file }), `tick: expected seconds from 0.1 to 86400, or off, got "soon" (from ${file}:tick)`)
    assert.match(refusal({ flags: { tick: 'soon' } }), /\(from --tick\)$/)
    assert.match(refusal({ flags: { passphraseFile: '' } }), /^passphrase_file: .* \(from --passphrase-file\)$/)
  })

  it('takes witnesses from the file, each with its URL, name and key', () => {
    const witness = { url: 'https://witness.example.org/', name: 'witness.example.org/w1', public_key: KEY }
    const file = yaml(`witnesses:\n  - ${JSON.stringify(witness)}\n`)
    assert.deepEqual(loadAuthorityConfig({ flags: {}, env: {}, file }).witnesses, [witness])
    for (const wrong of [{ url: 'ftp://x' }, { name: 'a b' }, { public_key: 'abc' }]) {
      const bad = yaml(`witnesses:\n  - ${JSON.stringify({ ...witness, ...wrong })}\n`)
      assert.match(refusal({ file: bad }), new RegExp(`^witnesses\\[0\\]\\.${Object.keys(wrong).join('')}: `))
    }
  })

  it('refuses aliases, of what they stand in too, and tags, and quotes nothing of the file to anybody', async () => {
    const warned: Error[] = []
    const listen = (warning: Error) => void warned.push(warning)
    process.on('warning', listen)
    for (const key of ['peer', 'voters', 'mode']) {
      assert.match(refusal({ file: yaml(`${key}: &a [*a, *a]\n`) }), /node\.yaml: it has aliases/)
    }
    assert.match(
      refusal({ file: yaml(`name: &n Elm\norigin: *n\n`) }),
      /node\.yaml: it has aliases .* write each value out$/,
    )
    const tag = refusal({ file: yaml('name: Elm\ndatabase: !hunter2 x\n') })
    assert.match(tag, /not YAML, line 2: a value begins with !/)
    assert.doesNotMatch(tag, /hunter2/)
    // Warnings are told in a later turn.
    await new Promise(setImmediate)
    process.off('warning', listen)
    assert.deepEqual(warned, [])
  })

  it('shows the beginning of a list', () => {
    const line = refusal({ file: yaml(`peer: [${'1, '.repeat(5_000)}[[2]]]\n`) })
    assert.match(line, /got \[1, 1, 1, 1, 1, 4996 more\]/)
    assert.match(refusal({ file: yaml('peer: [[[2]]]\n') }), /got \[an array of 1\]/)
  })

  it('finds its signer at a Unix socket, or at a port of this machine with a token', () => {
    const load = (given: Record<string, string>) => loadAuthorityConfig({ flags: given, env: {} }).signer
    assert.equal(load({}), undefined)
    assert.deepEqual(load({ signer: 'unix:/run/s.sock' }), { address: { kind: 'unix', path: '/run/s.sock' } })
    const signer_token_file = '/run/signer.token'
    for (const [signer, host] of [
      ['http://127.0.0.1:8090', '127.0.0.1'],
      ['http://localhost:8090/', 'localhost'],
      ['http://[::1]:8090', '::1'],
    ] as const) {
      const address = { kind: 'tcp', host, port: 8090 }
      assert.deepEqual(load({ signer, signer_token_file }), { address, tokenFile: signer_token_file })
    }
    const wrong = ['unix:relative', `unix:/${'a'.repeat(103)}`, 'https://127.0.0.1:1', 'http://192.0.2.1:8090']
    for (const signer of [
      ...wrong,
      'http://127.0.0.1',
      'http://127.0.0.1:0',
      'http://127.0.0.1:1/sign',
      '127.0.0.1:1',
    ]) {
      assert.match(refusal({ flags: { signer, signer_token_file } }), /^signer: expected unix:\/PATH, or http:/, signer)
    }
    assert.match(refusal({ flags: { signer: 'http://127.0.0.1:8090' } }), /^signer_token_file: expected with a signer/)
    assert.match(refusal({ flags: { signer_token_file } }), /^signer: expected with signer_token_file, got nothing/)
  })

  it('has a private network over TCP alone', () => {
    const swarm_key_file = '/run/swarm.key'
    const config = loadAuthorityConfig({ flags: { swarm_key_file }, env: {} })
    assert.deepEqual([config.swarmKeyFile, config.listen], [swarm_key_file, ['/ip4/0.0.0.0/tcp/4001']])
    const ws = '/ip4/127.0.0.1/tcp/4002/ws'
    for (const flags of [{ listen: [ws] }, { peer: ws }]) {
      assert.match(refusal({ flags: { ...flags, swarm_key_file } }), /^swarm_key_file: .* over TCP alone, .*4002\/ws$/)
    }
    const light = { peer: ws, swarm_key_file }
    assert.match(refusal({ flags: light }, loadLightConfig), /^swarm_key_file: .* over TCP alone/)
  })

  it('takes tokens of users with all that checks them, or none', () => {
    const whole = {
      jwt_jwks_url: 'https://login.example.org/jwks',
      jwt_issuer: 'https://login.example.org/',
      jwt_audience: 'solar',
    }
    const load = (given: Readonly<Record<string, string>>) => loadAuthorityConfig({ flags: given, env: {} }).userTokens
    assert.equal(load({}), undefined)
    assert.deepEqual(load(whole), {
      source: { kind: 'jwks', url: 'https://login.example.org/jwks' },
      issuer: 'https://login.example.org/',
      audience: 'solar',
      userClaim: 'sub',
    })
    assert.equal(load({ ...whole, jwt_user_claim: 'user' })?.userClaim, 'user')
    const rest = { jwt_issuer: whole.jwt_issuer, jwt_audience: whole.jwt_audience }
    assert.deepEqual(load({ ...rest, jwt_secret_file: '/run/secret' })?.source, { kind: 'secret', file: '/run/secret' })
    for (const half of [
      rest,
      { ...whole, jwt_secret_file: 'x' },
      { jwt_user_claim: 'user' },
      { jwt_jwks_url: whole.jwt_jwks_url },
    ]) {
      assert.match(refusal({ flags: half }), /^tokens of users: expected jwt_issuer, jwt_audience, and either/)
    }
    for (const url of [
      'http://login.example.org/jwks',
      'ftp://x',
      'https://ada:pw@login.example.org/',
      'file:///etc/passwd',
    ]) {
      assert.match(refusal({ flags: { ...whole, jwt_jwks_url: url } }), /^jwt_jwks_url: expected an https URL/, url)
    }
    assert.equal(load({ ...whole, jwt_jwks_url: 'http://127.0.0.1:9/jwks' })?.source.kind, 'jwks')
  })

  it('names the item and the field in a list', () => {
    const file = yaml(`voters:\n  - {id: a, public_key: ${KEY}}\n  - {id: b, public_key: abc}\n`)
    assert.equal(
      refusal({ file }),
      `voters[1].public_key: expected an Ed25519 public key, 64 lower-case hex characters, got "abc" (from ${file}:voters)`,
    )
    assert.match(refusal({ file: yaml('voters:\n  - {id: a}\n') }), /^voters\[0\]\.public_key: .* got nothing/)
    assert.match(refusal({ file: yaml('voters: 5\n') }), /^voters: expected a list of .* got 5/)
    const extra = refusal({ file: yaml(`voters:\n  - {id: a, public_key: ${KEY}, secret: tell-nobody}\n`) })
    assert.match(extra, /^voters\[0\]\.secret: no such setting/)
    assert.doesNotMatch(extra, /tell-nobody/)
  })

  it('refuses names that it does not know, in every source, without showing the value', () => {
    const file = yaml('tikc: tell-nobody\n')
    for (const given of [{ file }, { env: { SOLAR_TIKC: 'tell-nobody' } }, { flags: { tikc: 'tell-nobody' } }]) {
      const line = refusal(given)
      assert.match(line, /tikc: no such setting, expected one of mode, data, /i)
      assert.doesNotMatch(line, /tell-nobody/)
    }
    assert.match(
      refusal({ env: { SOLAR_VOTERS: 'x' } }),
      /SOLAR_VOTERS: no such setting, expected voters in the --config/,
    )
    assert.match(refusal({ env: { SOLAR_tick: '5' } }), /SOLAR_tick: no such setting/)
  })

  it('refuses a setting of the other mode', () => {
    assert.equal(
      refusal({ flags: { headers: '5' } }),
      'headers: no such setting, expected a setting of --mode=authority (from --headers)',
    )
    assert.match(refusal({ flags: { tick: '5', peer: [PEER] } }, loadLightConfig), /^tick: .*--mode=light/)
  })

  it('takes a PostgreSQL URL from every source, as it is', () => {
    const url = 'postgresql://ada:h%40nter2@db.example:5433/solar?sslmode=verify-full'
    const expected = { kind: 'postgres', url }
    const file = yaml(`database: ${url}\n`)
    for (const given of [{ flags: { database: url } }, { env: { SOLAR_DATABASE: url } }, { file }]) {
      assert.deepEqual(loadAuthorityConfig(sources(given)).database, expected)
    }
    for (const short of [
      'postgres://db/solar',
      'postgres:///solar',
      'postgres://ada@/solar',
      'postgres://[::1]/solar',
    ]) {
      assert.deepEqual(loadAuthorityConfig(sources({ flags: { database: short } })).database, {
        kind: 'postgres',
        url: short,
      })
    }
  })

  it('never shows what a database URL carries', () => {
    const line = refusal({ env: { SOLAR_DATABASE: 'postgres://ada:hunter2@db example/solar?password=hunter3' } })
    assert.match(line, /^database: expected sqlite:PATH or .* got "postgres:\.\.\." \(from SOLAR_DATABASE\)$/)
    assert.doesNotMatch(refusal({ env: { SOLAR_DATABASE: 'host=db password=hunter2' } }), /hunter/)
    // Pasted into the wrong variable it stays hidden too.
    assert.doesNotMatch(refusal({ env: { SOLAR_HTTP: 'postgres://ada:hunter2@db/x' } }), /hunter|ada/)
  })

  it('takes origins as they are written in URLs, in one spelling, such as a credential can name', () => {
    const urls = (value: string) => loadAuthorityConfig(sources({ env: { SOLAR_PUBLIC_URLS: value } })).publicUrls
    assert.deepEqual(urls('https://Ledger.Example.org:443/, http://[2001:DB8::1]:80 http://bücher.example:8080'), [
      'https://ledger.example.org',
      'http://[2001:db8::1]',
      'http://xn--bcher-kva.example:8080',
    ])
    for (const bad of [
      'ledger.example.org',
      'https://ledger.example.org/path',
      'https://ledger.example.org/?',
      'https://ledger.example.org/#x',
      'https://ada@ledger.example.org',
      'wss://ledger.example.org',
      'file:///etc',
      'https://ledger!.example.org',
      `https://${'a'.repeat(256)}`,
    ]) {
      assert.match(refusal({ env: { SOLAR_PUBLIC_URLS: bad } }), /^public_urls: expected origins such as https:/, bad)
    }
  })

  it('reads files of up to 1 MiB, and no more of a larger one', () => {
    const filled = (bytes: number) => yaml(`name: Elm\n#${'x'.repeat(bytes - 11)}`)
    assert.equal(loadAuthorityConfig(sources({ file: filled(2 ** 20) })).genesis.name, 'Elm')
    const tooMuch = /: it has more than 1048576 bytes, expected some settings$/
    assert.match(refusal({ file: filled(2 ** 20 + 1) }), tooMuch)
    // It has no size and no end.
    if (existsSync('/dev/zero')) assert.match(refusal({ file: '/dev/zero' }), tooMuch)
  })

  it('takes as many voters and validators as may be named, with the longest ids', () => {
    const entries = (role: string) =>
      Array.from({ length: 1_000 }, (_, n) => {
        const id = `${role}-${n}`.padEnd(64, 'x')
        const owner = role === 'voter' ? `    user_id: ${'user'.padEnd(64, 'x')}\n` : ''
        return `  - id: ${id}\n    public_key: "${KEY}"\n    recovery_key: "${KEY}"\n${owner}`
      })
    const text = `voters:\n${entries('voter').join('')}validators:\n${entries('validator').join('')}`
    const { genesis } = loadAuthorityConfig(sources({ file: yaml(text) }))
    assert.deepEqual([genesis.voters.length, genesis.validators.length], [1_000, 1_000])
  })

  it('refuses files that are missing, not YAML, not a mapping, or say a key twice', () => {
    assert.match(refusal({ file: join(folder, 'nowhere.yaml') }), /nowhere\.yaml: no such file or folder$/)
    assert.match(refusal({ file: yaml('a: [1\npassword: hunter2') }), /node\.yaml: not YAML, line \d+: [^\n]+$/)
    assert.match(refusal({ file: yaml('- tick') }), /expected a YAML mapping/)
    assert.match(refusal({ file: yaml('tick: 5\ntick: 6\n') }), /not YAML, line 2: the same setting is there twice$/)
    assert.equal(loadAuthorityConfig(sources({ file: yaml('# nothing\n') })).mode, 'authority')
    assert.equal(loadAuthorityConfig(sources({ file: yaml('name:\n') })).genesis.name, undefined)
  })

  it('refuses half a price band and one that is upside down', () => {
    for (const env of [{ SOLAR_RETAIL_PRICE: '0.3' }, { SOLAR_FEED_IN_PRICE: '0.4', SOLAR_RETAIL_PRICE: '0.3' }]) {
      assert.match(refusal({ env }), /^feed_in_price and retail_price: expected both/)
    }
  })

  it('asks for a mode and for a peer where they are missing', () => {
    assert.match(refusal({}, loadNodeConfig), /--mode=authority or --mode=light/)
    assert.match(
      refusal({ flags: { mode: 'full' } }, loadNodeConfig),
      /^mode: expected authority, light, validator, got "full"/,
    )
    assert.match(refusal({ flags: { mode: 'light' } }, loadNodeConfig), /--peer/)
  })

  it('never answers a hostile value with anything but a config or a one-line refusal', () => {
    const key = fc.constantFrom('tick', 'http', 'listen', 'finality', 'seal', 'database', 'min_trade_kwh', 'voters')
    const value = fc.oneof(fc.string(), fc.jsonValue(), fc.double(), fc.constant(Symbol.iterator), fc.bigInt())
    fc.assert(
      fc.property(key, value, (name, given) => {
        try {
          loadAuthorityConfig({ flags: { [name]: given }, env: {} })
        } catch (error) {
          assert.ok(isConfigError(error), String(error))
        }
      }),
      { numRuns: 500 },
    )
  })

  it('accepts every file that ships in config/', () => {
    const shipped = fileURLToPath(new URL('../../../config/', import.meta.url))
    const files = readdirSync(shipped).filter((name) => name.endsWith('.yaml'))
    assert.ok(files.length >= 3, files.join())
    for (const name of files) {
      const file = join(shipped, name)
      const flags = name === 'light.yaml' || name === 'validator.yaml' ? { peer: [PEER] } : {}
      assert.ok(loadNodeConfig({ flags, env: {}, file }), name)
    }
  })
})

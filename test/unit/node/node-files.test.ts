import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isConfigError } from '../../../src/config/errors.ts'
import { loadAuthorityConfig, loadLightConfig, loadValidatorConfig } from '../../../src/config/load.ts'
import { createKeyFile, readKeyFile } from '../../../src/keys/key-file.ts'
import { systemRandomBytes as randomBytes } from '../../../src/node/clock.ts'
import { openDataDirectory, type DataDirectory } from '../../../src/node/data-directory.ts'
import {
  ensureAuthorityFiles,
  ensureLightFiles,
  ensureValidatorFiles,
  type AuthorityFiles,
} from '../../../src/node/node-files.ts'
import { bytesToHex } from '../../../src/protocol/bytes.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { chainIdOf, decodeGenesis, type Genesis } from '../../../src/protocol/genesis.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'

const NOW = 1_767_225_600_000
const clock = { now: () => NOW, after: () => () => undefined }
const KEY = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
const OTHER_KEY = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
const refusal = (pattern: RegExp) => (error: unknown) => {
  assert.ok(isConfigError(error), String(error))
  assert.match(error.message, pattern)
  return true
}

describe('node/node-files', () => {
  let folder: string
  let data: string
  let directory: DataDirectory
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'solar-files-'))
    data = join(folder, 'data')
    directory = await openDataDirectory(data)
  })
  afterEach(() => {
    directory.close()
    rmSync(folder, { recursive: true })
  })

  const path = (name: string): string => join(data, name)
  const json = (name: string): Record<string, string> =>
    JSON.parse(readFileSync(path(name), 'utf8')) as Record<string, string>
  const mode = (name: string): number => statSync(path(name)).mode & 0o777
  const start = (flags: Record<string, unknown> = {}): Promise<AuthorityFiles> =>
    ensureAuthorityFiles(directory, loadAuthorityConfig({ flags: { data, ...flags }, env: {} }), { randomBytes, clock })
  const yaml = (content: string): string => {
    const file = join(folder, 'node.yaml')
    writeFileSync(file, content)
    return file
  }
  const startWith = (content: string): Promise<AuthorityFiles> =>
    ensureAuthorityFiles(directory, loadAuthorityConfig({ flags: { data }, env: {}, file: yaml(content) }), {
      randomBytes,
      clock,
    })
  const genesisFile = (change: Partial<Genesis>, publicKey: string): string => {
    const file = join(folder, 'given.json')
    const genesis: Genesis = {
      version: 1,
      name: 'Given',
      origin: 'given.example.org',
      created_at: 1,
      currency: 'EUR',
      amount_decimals: 2,
      seal: 'authority',
      difficulty: 0,
      finality: { policy: 'authority' },
      registry: [{ id: 'town', role: 'authority', public_key: publicKey, recovery_key: null }],
      ...change,
    }
    writeFileSync(file, JSON.stringify(genesis))
    return file
  }

  it('makes everything on the first start, secrets closed to others', async () => {
    const files = await start()
    assert.ok(files.firstStart)
    const secret = ['authority.key', 'peer.key', 'tokens.json', 'token-hashes.json', 'recovery-phrase.txt']
    for (const name of secret) assert.equal(mode(name), 0o600)
    const entry = {
      id: 'authority',
      role: 'authority',
      public_key: json('authority.key').public_key ?? '',
      recovery_key: (await readKeyFile(path('recovery-phrase.txt'))).publicKey,
    }
    assert.deepEqual(files.genesis.registry, [entry])
    assert.equal(files.recoveryPhraseFile, path('recovery-phrase.txt'))
    assert.equal(files.genesis.created_at, NOW)
    assert.equal(files.peerSeed.length, 32)
  })

  it('goes on with the recovery key of a first start that was killed before it had a genesis', async () => {
    const words = await start().then(() => readFileSync(path('recovery-phrase.txt'), 'utf8'))
    unlinkSync(path('genesis.json'))
    const { genesis } = await start()
    assert.equal(readFileSync(path('recovery-phrase.txt'), 'utf8'), words)
    assert.equal(genesis.registry[0]?.recovery_key, (await readKeyFile(path('recovery-phrase.txt'))).publicKey)
    unlinkSync(path('recovery-phrase.txt'))
    const later = await start()
    assert.deepEqual([later.firstStart, later.recoveryPhraseFile], [false, null], 'who took it away has it')
  })

  it('keeps a genesis that reads back to the same chain', async () => {
    const { chainId, genesis } = await start({ name: 'Sun street' })
    const stored = decodeGenesis(json('genesis.json'))
    assert.deepEqual(stored, genesis)
    assert.equal(chainIdOf(stored), chainId)
  })

  it('gives four tokens of 256 bits and keeps only their hashes', async () => {
    const { tokens } = await start()
    const made = json('tokens.json')
    assert.deepEqual(Object.keys(made), ['operator', 'platform', 'auditor', 'validator'])
    assert.equal(new Set(Object.values(made)).size, 4)
    for (const [role, token] of Object.entries(made)) {
      assert.equal(Buffer.from(token, 'base64url').length, 32)
      assert.equal(tokens.hashes[role as keyof typeof tokens.hashes], sha256Hex(token))
    }
    assert.ok(tokens.created)
  })

  it('finds it all on the second start, also after the operator took tokens.json away', async () => {
    const first = await start()
    unlinkSync(path('tokens.json'))
    const second = await start()
    assert.equal(second.firstStart, false)
    assert.equal(second.chainId, first.chainId)
    assert.equal(
      (await second.authorityKeys.keyOf(json('authority.key').public_key ?? ''))?.publicKey,
      first.genesis.registry[0]?.public_key,
    )
    assert.deepEqual(second.peerSeed, first.peerSeed)
    assert.deepEqual(second.tokens, { hashes: first.tokens.hashes, created: false })
    assert.ok(!readdirSync(data).includes('tokens.json'))
  })

  it('does not read tokens.json again once the hashes are there', async () => {
    const first = await start()
    writeFileSync(path('tokens.json'), 'whatever')
    assert.deepEqual((await start()).tokens.hashes, first.tokens.hashes)
  })

  it('gives new tokens to the operator who removed both token files', async () => {
    const first = await start()
    unlinkSync(path('tokens.json'))
    unlinkSync(path('token-hashes.json'))
    const second = await start()
    assert.ok(second.tokens.created)
    assert.notEqual(second.tokens.hashes.operator, first.tokens.hashes.operator)
    assert.equal(second.chainId, first.chainId)
  })

  it('refuses damaged token files without showing a token', async () => {
    await start()
    const { operator = '' } = json('tokens.json')
    for (const content of [`{"operator":"${operator}"`, JSON.stringify({ operator }), '[]']) {
      writeFileSync(path('token-hashes.json'), content)
      await assert.rejects(start(), (error) => {
        assert.ok(isSolarError(error, 'file_damaged'), String(error))
        assert.ok(!error.message.includes(operator))
        return true
      })
    }
  })

  it('starts from a genesis that is given with the key it names', async () => {
    const { publicKey } = await createKeyFile(path('authority.key'), { randomBytes })
    const genesis = genesisFile({}, publicKey)
    const files = await start({ genesis })
    assert.equal(files.genesis.name, 'Given')
    assert.equal((await start({ genesis })).chainId, files.chainId)
    assert.equal((await start()).chainId, files.chainId)
    await assert.rejects(
      start({ genesis: genesisFile({ name: 'Another' }, publicKey) }),
      refusal(/^genesis: .* is chain [0-9a-f]{64}, but .* holds chain [0-9a-f]{64}/),
    )
  })

  it('refuses a given genesis before it has made anything, if the key is missing or another', async () => {
    const genesis = genesisFile({}, KEY)
    await assert.rejects(start({ genesis }), refusal(/put that key file at .*authority\.key before the first start/))
    assert.ok(!readdirSync(data).includes('authority.key'))
    await createKeyFile(path('authority.key'), { randomBytes })
    await assert.rejects(start({ genesis }), refusal(/given\.json has no authority with the public key/))
    assert.ok(!readdirSync(data).includes('genesis.json'))
    await assert.rejects(start({ genesis: join(folder, 'none.json') }), refusal(/none\.json: no such file/))
    writeFileSync(genesis, '{"version":1}')
    await assert.rejects(start({ genesis }), refusal(/given\.json: genesis\.name: expected/))
  })

  describe('of an authority that joins a database which holds a chain', () => {
    const joining = (chainOfDatabase: string, flags: Record<string, unknown> = {}): Promise<AuthorityFiles> => {
      const config = loadAuthorityConfig({ flags: { data, ...flags }, env: {} })
      return ensureAuthorityFiles(directory, config, { randomBytes, clock, chainOfDatabase })
    }

    it('are not made without the genesis of that chain', async () => {
      const before = readdirSync(data)
      await assert.rejects(
        joining('ab'.repeat(32)),
        refusal(/database holds chain (ab){32}, give the genesis of that chain with --genesis; there is none$/),
      )
      const genesis = genesisFile({}, KEY)
      await assert.rejects(joining('ab'.repeat(32), { genesis }), refusal(/given\.json is chain [0-9a-f]{64}$/))
      assert.deepEqual(readdirSync(data), before)
    })

    it('may hold a key that the genesis does not name: the registry may have it by now', async () => {
      await createKeyFile(path('authority.key'), { randomBytes })
      const genesis = genesisFile({}, KEY)
      const chainId = chainIdOf(decodeGenesis(JSON.parse(readFileSync(genesis, 'utf8'))))
      const files = await joining(chainId, { genesis })
      assert.deepEqual([files.chainId, files.firstStart], [chainId, true])
    })
  })

  it('refuses validators:M on a first start without M validators, before it has made anything', async () => {
    await assert.rejects(
      start({ finality: 'validators:2' }),
      refusal(/validators:2 needs --genesis FILE .* there are 0$/),
    )
    assert.ok(!readdirSync(data).includes('authority.key'))
  })

  it('puts voters and validators of the file into the genesis, without their platform users', async () => {
    const settings = `voters:\n  - {id: home, public_key: ${KEY}, user_id: 17}\nvalidators:\n  - {id: school, public_key: ${OTHER_KEY}}\n`
    const files = await startWith(settings)
    assert.deepEqual(
      files.genesis.registry.map(({ id, role }) => [id, role]),
      [
        ['authority', 'authority'],
        ['school', 'validator'],
        ['home', 'voter'],
      ],
    )
    assert.doesNotMatch(readFileSync(path('genesis.json'), 'utf8'), /user_id/)
    assert.equal((await startWith(settings)).chainId, files.chainId)
  })

  it('refuses settings that the chain does not have', async () => {
    await startWith('name: Sun street\ncurrency: USD\n')
    await startWith('name: Sun street\n')
    await assert.rejects(
      startWith('name: Moon street\n'),
      refusal(/^name: "Moon street" is asked for, but .* "Sun street"/),
    )
    await assert.rejects(start({ finality: 'votes:2' }), refusal(/^finality: .*"votes".*"authority"/))
    await assert.rejects(start({ seal: 'work:2' }), refusal(/^seal: /))
    await assert.rejects(
      startWith(`voters:\n  - {id: late, public_key: ${KEY}}\n`),
      refusal(/^voters: late .* takes new keys by POST \/registry\/$/),
    )
  })

  it('refuses settings that no chain can start from', async () => {
    await assert.rejects(startWith('origin: https://x\n'), refusal(/^no chain can start so: genesis\.origin: expected/))
    await assert.rejects(
      startWith(`voters:\n  - {id: authority, public_key: ${KEY}}\n`),
      refusal(/the id authority is there twice/),
    )
  })

  it('never makes a new key for a chain that is there', async () => {
    await start()
    unlinkSync(path('authority.key'))
    await assert.rejects(start(), (error) => isSolarError(error, 'data_directory_incomplete'))
    assert.ok(!readdirSync(data).includes('authority.key'))
  })

  const peerFlag = { peer: ['/ip4/127.0.0.1/tcp/4001'] }
  const light = () =>
    ensureLightFiles(directory, loadLightConfig({ flags: { data, ...peerFlag }, env: {} }), { randomBytes })
  const validator = (flags: Record<string, unknown> = {}) =>
    ensureValidatorFiles(directory, loadValidatorConfig({ flags: { data, ...peerFlag, ...flags }, env: {} }), {
      randomBytes,
      workFactor: 8,
    })

  it('gives a light node its keys, and finds them again', async () => {
    const first = await light()
    const second = await light()
    assert.equal(second.voterKey.publicKey, first.voterKey.publicKey)
    assert.equal(bytesToHex(second.peerSeed), bytesToHex(first.peerSeed))
  })

  it('gives a validator its key, its peer identity and its tokens, secrets closed to others', async () => {
    const first = await validator()
    for (const name of ['validator.key', 'peer.key', 'tokens.json', 'token-hashes.json']) {
      assert.equal(mode(name), 0o600, name)
    }
    assert.equal(json('validator.key').public_key, first.validatorKey.publicKey)
    assert.equal(first.tokens.hashes.validator, sha256Hex(json('tokens.json').validator ?? ''))
    assert.ok(!readdirSync(data).includes('genesis.json'), 'it has none before a peer has told it')
    unlinkSync(path('tokens.json'))
    const second = await validator()
    assert.equal(second.validatorKey.publicKey, first.validatorKey.publicKey)
    assert.equal(bytesToHex(second.peerSeed), bytesToHex(first.peerSeed))
    assert.deepEqual(second.tokens, { hashes: first.tokens.hashes, created: false })
  })

  it('encrypts a validator’s keys where a passphrase is given, and takes them with no other', async () => {
    const passphraseFile = (name: string, passphrase: string): string => {
      const file = join(folder, name)
      writeFileSync(file, `${passphrase}\n`, { mode: 0o600 })
      return file
    }
    const right = passphraseFile('right', 'eleven suns over a roof')
    const first = await validator({ passphraseFile: right })
    assert.equal((await validator({ passphraseFile: right })).validatorKey.publicKey, first.validatorKey.publicKey)
    await assert.rejects(validator({ passphraseFile: passphraseFile('wrong', 'twelve suns over a roof') }))
    await assert.rejects(validator())
  })

  it('keeps the three modes out of each other’s directory', async () => {
    const modes = [
      { name: 'authority', key: 'authority.key', make: start },
      { name: 'light', key: 'voter.key', make: light },
      { name: 'validator', key: 'validator.key', make: validator },
    ]
    for (const owner of modes) {
      await owner.make()
      const before = readdirSync(data).sort()
      for (const guest of modes) {
        if (guest === owner) continue
        await assert.rejects(guest.make(), (error) => {
          assert.ok(isSolarError(error, 'data_directory_unusable'), String(error))
          assert.match(error.message, new RegExp(`belongs to a node of --mode=${owner.name} \\(it has ${owner.key}\\)`))
          return true
        })
      }
      assert.deepEqual(readdirSync(data).sort(), before, 'nothing was made')
      for (const name of before) rmSync(path(name), { recursive: true })
      directory.close()
      directory = await openDataDirectory(data)
    }
  })
})

import assert from 'node:assert/strict'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAuthorityConfig, loadLightConfig, loadValidatorConfig } from '../../../src/config/load.ts'
import { createSigner } from '../../../src/engine/signer.ts'
import { createSignerServer, type SignerServer } from '../../../src/http/signer-server.ts'
import { createKeyFile, readKeyFile } from '../../../src/keys/key-file.ts'
import { systemClock, systemRandomBytes } from '../../../src/node/clock.ts'
import { openDataDirectory, type DataDirectory } from '../../../src/node/data-directory.ts'
import { createGenesisFile } from '../../../src/node/genesis-file.ts'
import { ensureAuthorityFiles, ensureLightFiles, ensureValidatorFiles } from '../../../src/node/node-files.ts'
import { signerOf, type NodeSigner } from '../../../src/node/node-signer.ts'
import { silentLogger, type Logger } from '../../../src/ports/logger.ts'
import type { SignerMemory } from '../../../src/ports/signer.ts'
import { utf8ToBytes } from '../../../src/protocol/bytes.ts'
import { checkpointText } from '../../../src/protocol/checkpoint.ts'
import { chainIdOf } from '../../../src/protocol/genesis.ts'
import type { SigningKey } from '../../../src/protocol/signature.ts'
import { openSignerMemory } from '../../../src/storage/level/signer-memory.ts'
import { eventually } from '../../helpers/network.ts'
import { tempDir } from '../../helpers/temp.ts'
import { entryOf, genesisOf, namedKey } from '../../helpers/test-chain.ts'

const genesis = genesisOf({ policy: 'authority' }, entryOf('town', 'authority'))
const chainId = chainIdOf(genesis)
const KEY = namedKey('town')
const OTHER = namedKey('other')
const MESSAGE = utf8ToBytes(checkpointText({ origin: genesis.origin, size: 1, root: 'ab'.repeat(32) }))
/** Ten seconds of patience are a quarter of one. */
const fastClock = { ...systemClock, after: (ms: number, task: () => void) => systemClock.after(ms / 40, task) }

describe('the signer of a node', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let memory: SignerMemory
  let server: SignerServer | undefined
  let directory: DataDirectory
  let watched: NodeSigner | undefined

  beforeEach(async () => {
    folder = await tempDir()
    memory = await openSignerMemory(join(folder.path, 'signed'), chainId)
    directory = await openDataDirectory(join(folder.path, 'node'))
  })
  afterEach(async () => {
    watched?.stop()
    await stopServer()
    await memory.close()
    directory.close()
    await folder.remove()
  })

  const path = () => join(folder.path, 'signer.sock')
  const config = () => ({ signer: { address: { kind: 'unix', path: path() } as const } })
  const file = (name: string) => join(folder.path, name)
  async function startServer(keys: readonly SigningKey[] = [KEY], ofChain = chainId): Promise<void> {
    const signer = createSigner({ chainId: ofChain, keys, memory, allowRegistry: false, logger: silentLogger })
    const options = { address: config().signer.address, socketMode: 0o600, tokenHash: undefined }
    server = createSignerServer({ signer, chainId: ofChain, logger: silentLogger }, options)
    await server.start()
  }
  async function stopServer(): Promise<void> {
    await server?.stop()
    server = undefined
  }
  async function find(logger: Logger = silentLogger): Promise<NodeSigner> {
    const found = await signerOf(config(), { clock: fastClock, logger })
    return found ?? assert.fail('there is none')
  }
  const parts = (signer: NodeSigner) => ({ randomBytes: systemRandomBytes, clock: systemClock, signer })
  const flags = () => ({ data: directory.path, signer: `unix:${path()}` })

  it('is waited for as the node starts, and not for ever', async () => {
    const finding = find()
    await startServer()
    const found = await finding
    assert.deepEqual([found.chainId, found.publicKeys, found.reason()], [chainId, [KEY.publicKey], undefined])
    await stopServer()
    let now = 0
    const after = (ms: number, task: () => void) => {
      now += ms
      return systemClock.after(0, task)
    }
    const hurried = { now: () => now, after }
    await assert.rejects(signerOf(config(), { clock: hurried, logger: silentLogger }), {
      code: 'not_ready',
      message: /the signer at unix:.*signer\.sock does not answer: nothing listens there/,
    })
  })

  it('says once what is wrong while it does not answer, and that it signs again', async () => {
    const said: string[] = []
    const note = (_: object, line: string) => void said.push(line)
    await startServer()
    const signer = await find({ ...silentLogger, error: note, info: note })
    watched = signer
    let back = 0
    signer.start({ failing: 'NOT SEALING', needed: () => KEY.publicKey, onBack: () => back++ })
    await stopServer()
    const key = await signer.keyOf(KEY.publicKey)
    await assert.rejects(key!.sign(MESSAGE), { code: 'not_ready' })
    assert.match(signer.reason() ?? '', /does not answer: nothing listens there/, 'at once, not with the next look')
    await assert.rejects(key!.sign(MESSAGE), { code: 'not_ready' })
    await startServer()
    await eventually('it is back', () => back === 1)
    assert.equal(signer.reason(), undefined)
    assert.equal((await key!.sign(MESSAGE)).length, 64)
    assert.deepEqual(
      said.map((line) => line.replace(/unix:\S+/, 'S')),
      [
        'NOT SEALING: the signer at S does not answer: nothing listens there (ENOENT), start it (solar-node signer)',
        'the signer at S signs again',
      ],
    )
  })

  it('is found to lack the key that the registry names, and to have it again', async () => {
    await startServer()
    const signer = await find()
    watched = signer
    let needed = KEY.publicKey
    let back = 0
    signer.start({ failing: 'NOT SEALING', needed: () => needed, onBack: () => back++ })
    needed = OTHER.publicKey
    assert.match(
      signer.reason() ?? '',
      new RegExp(`does not have the key ${OTHER.publicKey}, which the registry names`),
    )
    assert.equal(await signer.keyOf(OTHER.publicKey), undefined)
    await stopServer()
    await startServer([KEY, OTHER])
    await eventually('it is back', () => back === 1)
    assert.ok(await signer.keyOf(OTHER.publicKey))
  })

  it('stands in the place of the key file of a validator and of a household, by its public key', async () => {
    await startServer()
    const signer = await find()
    const peer = '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWHk7qyzSEaM7E8YAKU5MJxTmU3TiZGTh4uMhPn1oMdcDk'
    const validator = loadValidatorConfig({ flags: { ...flags(), peer }, env: {} })
    const { validatorKey } = await ensureValidatorFiles(directory, validator, parts(signer))
    assert.equal(validatorKey.publicKey, KEY.publicKey)
    const kept = directory.file('validatorKey')
    assert.ok(!(await readFile(kept, 'utf8')).includes('secret'))
    // Its mode and its key are known by it, as by a key file.
    const light = loadLightConfig({ flags: { ...flags(), peer }, env: {} })
    await assert.rejects(ensureLightFiles(directory, light, parts(signer)), /it belongs to a node of --mode=validator/)
    await assert.rejects(ensureValidatorFiles(directory, validator, { randomBytes: systemRandomBytes }), {
      code: 'key_in_signer',
    })
    await stopServer()
    await startServer([OTHER])
    await assert.rejects(ensureValidatorFiles(directory, validator, parts(await find())), {
      code: 'not_ready',
      message: new RegExp(`does not have the key ${KEY.publicKey}, which ${kept} names`),
    })
  })

  it('with several keys does not say which is that of a validator', async () => {
    await startServer([KEY, OTHER])
    const peer = '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWHk7qyzSEaM7E8YAKU5MJxTmU3TiZGTh4uMhPn1oMdcDk'
    const validator = loadValidatorConfig({ flags: { ...flags(), peer }, env: {} })
    await assert.rejects(ensureValidatorFiles(directory, validator, parts(await find())), {
      code: 'config_conflict',
      message: /with the one --key-file of this node/,
    })
  })

  it('is no signer beside a key file that a thief would find', async () => {
    await startServer()
    await createKeyFile(directory.file('authorityKey'), { randomBytes: systemRandomBytes })
    const given = file('genesis.json')
    await createGenesisFile(given, genesis)
    const authority = loadAuthorityConfig({ flags: { ...flags(), genesis: given }, env: {} })
    await assert.rejects(ensureAuthorityFiles(directory, authority, parts(await find())), {
      code: 'config_conflict',
      message: /authority\.key is there as well, and whoever steals this server has its key: move it/,
    })
    assert.ok((await readKeyFile(directory.file('authorityKey'))).secret, 'it is still there')
    // Nor beside that of a change of keys, which has another name.
    await rename(directory.file('authorityKey'), join(directory.path, 'authority-2.key'))
    await assert.rejects(
      ensureAuthorityFiles(directory, authority, parts(await find())),
      /authority-2\.key is there as well/,
    )
  })

  it('has the key that the genesis of a new chain names, and is for that chain', async () => {
    await startServer()
    const signer = await find()
    const alone = loadAuthorityConfig({ flags: flags(), env: {} })
    await assert.rejects(ensureAuthorityFiles(directory, alone, parts(signer)), /a new chain takes --genesis FILE/)
    const strange = file('strange.json')
    await createGenesisFile(strange, { ...genesis, registry: [entryOf('city', 'authority')] })
    const other = loadAuthorityConfig({ flags: { ...flags(), genesis: strange }, env: {} })
    await assert.rejects(
      ensureAuthorityFiles(directory, other, parts(signer)),
      new RegExp(`no authority with the public key ${KEY.publicKey} of the signer at unix:`),
    )
    const given = file('genesis.json')
    await createGenesisFile(given, genesis)
    const authority = loadAuthorityConfig({ flags: { ...flags(), genesis: given }, env: {} })
    const files = await ensureAuthorityFiles(directory, authority, parts(signer))
    assert.deepEqual([files.chainId, files.recoveryPhraseFile], [chainId, null])
    assert.equal((await files.authorityKeys.keyOf(KEY.publicKey))?.publicKey, KEY.publicKey)
    await stopServer()
    await startServer([KEY], 'ab'.repeat(32))
    await assert.rejects(ensureAuthorityFiles(directory, authority, parts(await find())), {
      code: 'config_conflict',
      message: new RegExp(`is for chain ${'ab'.repeat(32)}, this is ${chainId}: see its --chain-id`),
    })
  })

  it('takes its token from a file that is one, and that others cannot read', async () => {
    const token = file('signer.token')
    const refusals: [content: string, mode: number, expected: RegExp][] = [
      ['', 0o600, /expected one token as plain text/],
      [`two words ${'a'.repeat(32)}`, 0o600, /expected one token as plain text/],
      ['short', 0o600, /expected one token as plain text, of 32 characters or more/],
      ['a'.repeat(600), 0o600, /expected one token as plain text/],
    ]
    for (const [content, mode, expected] of refusals) {
      await writeFile(token, content, { mode })
      const withToken = { signer: { ...config().signer, tokenFile: token } }
      await assert.rejects(signerOf(withToken, { clock: systemClock, logger: silentLogger }), expected)
    }
    const missing = { signer: { ...config().signer, tokenFile: file('nowhere') } }
    await assert.rejects(
      signerOf(missing, { clock: systemClock, logger: silentLogger }),
      /signer_token_file: .*nowhere/,
    )
  })
})

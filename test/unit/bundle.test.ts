import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { builtinModules, createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { build, type BuildResult, type Metafile } from 'esbuild'
import * as protocol from '../../src/protocol/index.ts'
import { VECTOR_FOLDER } from '../vectors/generate.ts'

const PROTOCOL = fileURLToPath(new URL('../../src/protocol/', import.meta.url))

/** Bytes of the minified bundle: 15 % above what was measured, so that a heavy import is noticed when it comes in. */
const BUDGET_BYTES = 120_000

type Bundle = BuildResult<{ write: false; metafile: true }>
const bundle = (): Promise<Bundle> =>
  build({
    entryPoints: [`${PROTOCOL}index.ts`],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    platform: 'browser',
    format: 'iife',
    globalName: 'solar',
    target: 'es2022',
    logLevel: 'silent',
  })

/** Imports of a bundle that a browser has not. */
function nodeImports(metafile: Metafile): string[] {
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports.map(({ path }) => path))
  return imports.filter((path) => path.startsWith('node:') || builtinModules.includes(path))
}

interface BareContext {
  readonly solar: typeof protocol
  /** JSON.parse of the context: the protocol takes plain objects of its own world alone. */
  readonly parse: (text: string) => unknown
}

/** The bundle in a context that has what every browser has, and neither process nor Buffer nor require. */
function inBareContext(source: string): BareContext {
  const context = createContext({ TextEncoder, TextDecoder, crypto: globalThis.crypto })
  assert.equal(runInContext('typeof process + typeof Buffer + typeof require', context), 'undefinedundefinedundefined')
  runInContext(source, context)
  const parse = runInContext('JSON.parse', context) as BareContext['parse']
  return { solar: context.solar as typeof protocol, parse: (text) => parse(text) }
}

/** The fields of the vector files that are read here. */
interface Vector extends protocol.SealedHeader {
  readonly name: string
  readonly ok: boolean
  readonly bytes: string
  readonly transaction: protocol.Transaction
  readonly tx_hash: string
  readonly genesis: unknown
  readonly chain_id: string
  readonly registry_root: string
  readonly public_key: string
  readonly message: string
  readonly leaf: string
  readonly proof: unknown
  readonly header_hash: string
  readonly root: string
}

describe('the protocol in a browser', () => {
  let result: Bundle
  let solar: typeof protocol
  let parse: BareContext['parse']

  before(async () => {
    result = await bundle()
    ;({ solar, parse } = inBareContext(result.outputFiles[0]!.text))
  })

  const vectors = (name: string): readonly Vector[] =>
    (parse(readFileSync(`${VECTOR_FOLDER}${name}`, 'utf8')) as { cases: Vector[] }).cases

  it('is bundled without any import of Node', () => {
    assert.deepEqual(nodeImports(result.metafile), [])
    assert.ok(!result.outputFiles[0]!.text.includes('require('))
  })

  it('notices an import of Node', async () => {
    const withNode = build({
      stdin: { contents: "export * from 'node:fs'", resolveDir: PROTOCOL },
      bundle: true,
      write: false,
      platform: 'browser',
      logLevel: 'silent',
    })
    await assert.rejects(withNode, /node:fs/)
  })

  it('stays within its byte budget', () => {
    const size = result.outputFiles[0]!.contents.length
    assert.ok(size <= BUDGET_BYTES, `${size} bytes, the budget is ${BUDGET_BYTES}`)
    assert.ok(size > BUDGET_BYTES / 2, `${size} bytes: lower the budget of ${BUDGET_BYTES}`)
  })

  it('gives the same hashes', () => {
    for (const c of vectors('transactions.json')) {
      if (c.ok) assert.equal(solar.hashTransaction(c.transaction), c.tx_hash)
    }
    for (const c of vectors('genesis.json')) {
      if (!c.ok) continue
      const genesis = solar.decodeGenesis(c.genesis)
      assert.equal(solar.chainIdOf(genesis), c.chain_id)
      assert.equal(solar.Registry.fromGenesis(genesis).root, c.registry_root)
    }
  })

  it('gives the same verdicts on signatures, seals and proofs', () => {
    const verdict = (check: () => boolean): boolean => {
      try {
        return check()
      } catch (error) {
        // An error of the other context: the class differs, the name does not.
        assert.equal((error as Error).name, 'SolarError')
        return false
      }
    }
    for (const c of vectors('signatures.json')) {
      const ok = verdict(() =>
        solar.verifyBytes(
          solar.hexToBytes(c.signature),
          solar.hexToBytes(c.message),
          solar.importPublicKey(c.public_key),
        ),
      )
      assert.equal(ok, c.ok, c.name)
    }
    for (const c of vectors('sealed-headers.json')) {
      const { header, signature, public_key } = c
      const sealed = () => (c.name.includes('unknown field') ? c : { header, signature })
      const ok = verdict(() => solar.verifySeal(solar.sealedHeaderShape(sealed(), 'sealed'), public_key).ok)
      assert.equal(ok, c.ok, c.name)
    }
    for (const c of vectors('merkle-proofs.json')) {
      const ok = verdict(() => solar.verifyMerkleProof(c.leaf, solar.merkleProofShape(c.proof, 'proof'), c.header).ok)
      assert.equal(ok, c.ok, c.name)
    }
    for (const c of vectors('history-inclusion.json')) {
      const leaf = solar.historyLeaf(c.header_hash)
      const ok = verdict(() => solar.verifyInclusion(leaf, solar.inclusionProofShape(c.proof, 'proof'), c.root).ok)
      assert.equal(ok, c.ok, c.name)
    }
  })

  it('refuses the same received bytes', () => {
    for (const c of vectors('canonical-bytes.json')) {
      const read = () => solar.parseCanonicalBytes(solar.hexToBytes(c.bytes))
      if (c.ok) assert.doesNotThrow(read)
      else assert.throws(read, { code: 'not_canonical' })
    }
  })

  it('signs as Node does', async () => {
    const secret = 'ab'.repeat(32)
    const body = `{"chain_id":"${'0'.repeat(64)}","header_hash":"${'1'.repeat(64)}","height":7,"voter_id":"alice","decision":"ack"}`
    const here = await protocol.signVote(
      JSON.parse(body) as protocol.VoteBody,
      protocol.signingKeyFromSecret(protocol.hexToBytes(secret)),
    )
    const there = await solar.signVote(
      parse(body) as protocol.VoteBody,
      solar.signingKeyFromSecret(solar.hexToBytes(secret)),
    )
    assert.equal(there.signature, here.signature)
  })

  it('compiles without the types of Node and of the DOM', () => {
    const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', PROTOCOL], { encoding: 'utf8' })
    assert.equal(stdout, '')
    assert.equal(status, 0)
  })
})

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { chmod, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey, type JWTPayload } from 'jose'
import type { UserTokenConfig } from '../../../src/config/types.ts'
import type { PlatformUserTokens } from '../../../src/http/access.ts'
import { createUserTokens } from '../../../src/node/user-tokens.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { tempDir } from '../../helpers/temp.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'

const NOW = 1_760_000_400_000
const SECONDS = NOW / 1000
const ISSUER = 'https://login.example.org/'
const AUDIENCE = 'solar-ledger'
const CLAIMS = { sub: 'household-7', iss: ISSUER, aud: AUDIENCE, exp: SECONDS + 300 }
const SECRET = 'a shared secret of more than 32 bytes'

const refusal = (code: string, words: RegExp) => (error: unknown) => {
  assert.ok(isSolarError(error, code), String(error))
  assert.match(error.message, words)
  return true
}

describe('tokens of platform users', () => {
  const clock = createVirtualClock(NOW)
  let folder: Awaited<ReturnType<typeof tempDir>>
  let server: Server
  let jwks: { readonly body: string; readonly status: number; readonly location?: string }
  let asked = 0
  let keys: { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey }

  before(async () => {
    folder = await tempDir()
    keys = await generateKeyPair('ES256')
    server = createServer((_request, response) => {
      asked++
      response.writeHead(jwks.status, jwks.location === undefined ? {} : { location: jwks.location }).end(jwks.body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  beforeEach(async () => {
    asked = 0
    const key = { ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }
    jwks = { body: JSON.stringify({ keys: [key] }), status: 200 }
  })
  after(async () => {
    await new Promise((resolve) => server.close(resolve))
    await folder.remove()
  })

  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  const open = (changes: Partial<UserTokenConfig> = {}): Promise<PlatformUserTokens> => {
    const source = { kind: 'jwks', url: url() } as const
    const config = { source, issuer: ISSUER, audience: AUDIENCE, userClaim: 'sub', ...changes }
    return createUserTokens(config, { clock, logger: silentLogger })
  }
  const signed = (claims: Readonly<Record<string, unknown>>, key: CryptoKey = keys.privateKey, kid = 'k1') =>
    new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(key)
  const hs256 = (claims: JWTPayload, secret: string, alg = 'HS256') =>
    new SignJWT(claims).setProtectedHeader({ alg, kid: 'k1' }).sign(Buffer.from(secret))

  it('name a user, by the claim that the operator says', async () => {
    assert.equal(await (await open()).userOf(await signed(CLAIMS)), 'household-7')
    const custom = await open({ userClaim: 'https://example.org/user' })
    assert.equal(await custom.userOf(await signed({ ...CLAIMS, 'https://example.org/user': 'h-9' })), 'h-9')
    await assert.rejects(custom.userOf(await signed(CLAIMS)), refusal('bad_credential', /its https:.* is refused/))
  })

  it('are of this issuer and for this audience, of now, and end', async () => {
    const users = await open()
    for (const [wrong, words] of [
      [{ iss: 'https://evil.example/' }, /its iss is refused/],
      [{ aud: 'another-app' }, /its aud is refused/],
      [{ iss: undefined }, /its iss is refused/],
      [{ aud: undefined }, /its aud is refused/],
      [{ exp: undefined }, /its exp is refused/],
      [{ sub: undefined }, /its sub is refused/],
      [{ exp: SECONDS - 31 }, /has expired/],
      [{ nbf: SECONDS + 31 }, /its nbf is refused/],
    ] as const) {
      await assert.rejects(users.userOf(await signed({ ...CLAIMS, ...wrong })), refusal('bad_credential', words))
    }
    for (const near of [{ exp: SECONDS - 29 }, { nbf: SECONDS + 29 }]) {
      assert.equal(await users.userOf(await signed({ ...CLAIMS, ...near })), 'household-7')
    }
  })

  it('name a user id, and nothing that only looks like one', async () => {
    const users = await open({ userClaim: 'user' })
    for (const user of [7, null, ['household-7'], '', 'a b', 'a'.repeat(65), { id: 'household-7' }]) {
      await assert.rejects(users.userOf(await signed({ ...CLAIMS, user })), (error) =>
        isSolarError(error, 'bad_credential'),
      )
    }
  })

  it('are signed with a key of the issuer, by no algorithm that the token chooses', async () => {
    const users = await open()
    const stranger = await generateKeyPair('ES256')
    const notSigned = refusal('bad_credential', /not signed as this node expects/)
    await assert.rejects(users.userOf(await signed(CLAIMS, stranger.privateKey)), notSigned)
    await assert.rejects(users.userOf(new UnsecuredJWT(CLAIMS).encode()), notSigned)
    // The public key, which everybody has, taken for a shared secret.
    await assert.rejects(users.userOf(await hs256(CLAIMS, jwks.body)), notSigned)
    const [head = '', , signature = ''] = (await signed(CLAIMS)).split('.')
    const other = Buffer.from(JSON.stringify({ ...CLAIMS, sub: 'household-9' })).toString('base64url')
    await assert.rejects(users.userOf(`${head}.${other}.${signature}`), notSigned)
    for (const text of ['a.b.c', '..', `${head}..${signature}`]) await assert.rejects(users.userOf(text), notSigned)
  })

  it('with an unknown key do not have the keys fetched again and again', async () => {
    const users = await open()
    await users.userOf(await signed(CLAIMS))
    for (let i = 0; i < 20; i++) {
      const token = await signed(CLAIMS, keys.privateKey, `made-up-${i}`)
      await assert.rejects(users.userOf(token), refusal('bad_credential', /not signed/))
    }
    assert.equal(asked, 1)
  })

  it('made up have no keys fetched again and again where they cannot be had, or are none', async () => {
    const right = jwks
    for (const answer of [
      { body: 'gone', status: 500 },
      { body: '<html>', status: 200 },
    ]) {
      jwks = answer
      asked = 0
      const users = await open()
      for (let i = 0; i < 20; i++) {
        const token = await signed(CLAIMS, keys.privateKey, `made-up-${i}`)
        await assert.rejects(users.userOf(token), refusal('not_ready', /could not be fetched/))
      }
      assert.equal(asked, 1)
      jwks = right
      clock.advance(30_000)
      assert.equal(await users.userOf(await signed(CLAIMS)), CLAIMS.sub)
      assert.equal(asked, 2)
    }
  })

  it('are refused as not ready where the keys cannot be had: moved, too large, no keys, no answer', async () => {
    const elsewhere = { body: '', status: 302, location: 'http://127.0.0.1:1/' }
    const notReady = refusal('not_ready', /could not be fetched/)
    for (const answer of [
      elsewhere,
      { body: ' '.repeat(70_000) + jwks.body, status: 200 },
      { body: '{"keys":5}', status: 200 },
      { body: '<html>', status: 200 },
      { body: jwks.body, status: 500 },
    ]) {
      jwks = answer
      await assert.rejects((await open()).userOf(await signed(CLAIMS)), notReady, JSON.stringify(answer).slice(0, 60))
    }
    const nobody = await open({ source: { kind: 'jwks', url: 'http://127.0.0.1:1/jwks' } })
    await assert.rejects(nobody.userOf(await signed(CLAIMS)), notReady)
  })

  it('are signed with the secret of a file that others cannot read, by HS256 alone', async () => {
    const file = join(folder.path, 'secret')
    const fromFile = () => open({ source: { kind: 'secret', file } })
    await writeFile(file, `${SECRET}\n`, { mode: 0o600 })
    const users = await fromFile()
    assert.equal(await users.userOf(await hs256(CLAIMS, SECRET)), 'household-7')
    const notSigned = refusal('bad_credential', /not signed as this node expects/)
    await assert.rejects(users.userOf(await hs256(CLAIMS, 'another secret of more than 32 bytes')), notSigned)
    await assert.rejects(users.userOf(await hs256(CLAIMS, SECRET.repeat(2), 'HS512')), notSigned)
    await assert.rejects(users.userOf(await signed(CLAIMS)), notSigned)

    await writeFile(file, 'short\n')
    await assert.rejects(fromFile(), refusal('config_conflict', /at least 32 bytes on its first line, got 5/))
    await writeFile(file, SECRET)
    await chmod(file, 0o644)
    await chmod(folder.path, 0o755)
    await assert.rejects(fromFile(), refusal('config_conflict', /others on this machine can read it \(mode 0644\)/))
    await assert.rejects(
      open({ source: { kind: 'secret', file: join(folder.path, 'none') } }),
      refusal('config_conflict', /jwt_secret_file: .*no such file/),
    )
  })
})

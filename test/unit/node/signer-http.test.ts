import assert from 'node:assert/strict'
import { once } from 'node:events'
import { link, readdir, stat, writeFile } from 'node:fs/promises'
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { connect, createServer as createSocketServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { createSigner } from '../../../src/engine/signer.ts'
import { createSignerServer, type SignerServer, type SignerServerOptions } from '../../../src/http/signer-server.ts'
import { hashToken } from '../../../src/http/tokens.ts'
import { createSignerClient, type SignerClient } from '../../../src/node/signer-client.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { SignerAddress, SignerMemory } from '../../../src/ports/signer.ts'
import { bytesToHex } from '../../../src/protocol/bytes.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Header } from '../../../src/protocol/header.ts'
import { signingBytes } from '../../../src/protocol/signature.ts'
import { openSignerMemory } from '../../../src/storage/level/signer-memory.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'
import { sealHeader, signVote } from '../../helpers/sign-now.ts'
import { tempDir } from '../../helpers/temp.ts'

const street = createStreet()
const { chainId } = street
const { header } = street.start.grow('t0').blocks[0]!
const KEY = namedKey('authority')
const TOKEN = 'a-token-of-the-signer'
const bytesOf = (of: Header) => signingBytes('header', of.chain_id, of)
const message = bytesOf(header)
const other = { ...header, nonce: 1 }

describe('a signer over HTTP', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let memory: SignerMemory
  let servers: SignerServer[]

  beforeEach(async () => {
    folder = await tempDir()
    memory = await openSignerMemory(join(folder.path, 'signed'), chainId)
    servers = []
  })
  afterEach(async () => {
    await Promise.all(servers.map((server) => server.stop()))
    await memory.close()
    await folder.remove()
  })

  const socket = () => join(folder.path, 'signer.sock')
  async function listen(address: SignerAddress, changes: Partial<SignerServerOptions> = {}): Promise<string> {
    const signer = createSigner({ chainId, keys: [KEY], memory, allowRegistry: false, logger: silentLogger })
    const options = { address, socketMode: 0o600, tokenHash: undefined, ...changes }
    const server = createSignerServer({ signer, chainId, logger: silentLogger }, options)
    const url = await server.start()
    servers.push(server)
    return url
  }
  /** The client of one that listens on a port, with a token. */
  async function overTcp(token: string | undefined = TOKEN): Promise<SignerClient> {
    const tokenHash = hashToken(TOKEN)
    const url = new URL(await listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, { tokenHash }))
    return createSignerClient({ address: { kind: 'tcp', host: '127.0.0.1', port: Number(url.port) }, token })
  }
  const clientOf = (path: string) => createSignerClient({ address: { kind: 'unix', path }, token: undefined })

  async function refusalOf(asked: Promise<unknown>): Promise<{ readonly code: string; readonly message: string }> {
    try {
      await asked
    } catch (error) {
      assert.ok(isSolarError(error), String(error))
      return error
    }
    return assert.fail('it was answered')
  }

  /** Asks without the client's care. */
  async function post(body: string, headers: Record<string, string> = {}, path = '/sign') {
    const sent = request({ socketPath: socket(), method: 'POST', path, headers: { host: 'signer', ...headers } })
    sent.end(body)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of response) text += String(chunk)
    return { status: response.statusCode, type: response.headers['content-type'], text }
  }
  const JSON_TYPE = { 'content-type': 'application/json' }

  it('answers its node while somebody without the token holds all its places, and takes new ones again and again', async () => {
    const tokenHash = hashToken(TOKEN)
    const { port } = new URL(await listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, { tokenHash }))
    const held = new Set<Socket>()
    let ended = 0
    let isHolding = true
    const hold = (): void => {
      const one = connect(Number(port), '127.0.0.1')
      held.add(one)
      one.on('error', () => undefined)
      one.once('close', () => {
        held.delete(one)
        ended++
        if (isHolding) hold()
      })
    }
    try {
      for (let n = 0; n < 64; n++) hold()
      await Promise.all([...held].map((one) => once(one, 'connect')))
      for (let n = 0; n < 10; n++) {
        const client = createSignerClient({
          address: { kind: 'tcp', host: '127.0.0.1', port: Number(port) },
          token: TOKEN,
        })
        assert.equal((await client.keys()).keys.length, 1)
        await client.sign(KEY.publicKey, message)
      }
      assert.ok(ended > 0)
    } finally {
      isHolding = false
      for (const one of held) one.destroy()
    }
  })

  it('signs over a Unix socket that its owner alone can reach, and over a port with its token', async () => {
    assert.equal(await listen({ kind: 'unix', path: socket() }), `unix:${socket()}`)
    assert.equal((await stat(socket())).mode & 0o777, 0o600)
    const local = clientOf(socket())
    const signature = await local.sign(KEY.publicKey, message)
    assert.deepEqual(Buffer.from(signature), Buffer.from(KEY.signNow(message)))
    const remote = await overTcp()
    assert.deepEqual(await remote.sign(KEY.publicKey, message), signature)
    const sealed = { header, signature: bytesToHex(signature) }
    assert.deepEqual(await remote.keys(), {
      chain_id: chainId,
      keys: [{ public_key: KEY.publicKey, sealed, acked: null }],
    })
  })

  it('lets the group of the process connect where it is told to, and takes the place of a socket that a kill left', async () => {
    const dead = createSocketServer().listen(socket())
    await once(dead, 'listening')
    // As a kill does: the file stays.
    const left = join(folder.path, 'left.sock')
    await link(socket(), left)
    dead.close()
    await once(dead, 'close')
    await listen({ kind: 'unix', path: left }, { socketMode: 0o660 })
    assert.equal((await stat(left)).mode & 0o777, 0o660)
    assert.equal((await clientOf(left).keys()).chain_id, chainId)
  })

  it('takes neither the place of a signer that runs, nor that of a file', async () => {
    await listen({ kind: 'unix', path: socket() })
    await assert.rejects(listen({ kind: 'unix', path: socket() }), { code: 'EADDRINUSE' })
    assert.equal((await clientOf(socket()).keys()).chain_id, chainId)
    const file = join(folder.path, 'a-file')
    await writeFile(file, 'kept')
    await assert.rejects(listen({ kind: 'unix', path: file }), { code: 'EADDRINUSE' })
    assert.ok((await readdir(folder.path)).includes('a-file'))
  })

  it('answers nobody without the token, and shows the header that it has signed to who asks for another', async () => {
    const client = await overTcp()
    await client.sign(KEY.publicKey, message)
    const again = await client.sign(KEY.publicKey, bytesOf(other)).catch((error: unknown) => error)
    assert.ok(isSolarError(again, 'already_signed'), String(again))
    assert.deepEqual((again.fields as { sealed?: unknown }).sealed, sealHeader(header, KEY))
    for (const wrong of [undefined, 'another-token', '', TOKEN.slice(1)]) {
      const stranger = await overTcp(wrong ?? '')
      assert.match((await refusalOf(stranger.keys())).message, /missing_credential/, String(wrong))
      assert.equal((await refusalOf(stranger.sign(KEY.publicKey, message))).code, 'signer_refused')
    }
  })

  it('refuses what is no request of a node in one form of answer, and goes on', async () => {
    await listen({ kind: 'unix', path: socket() })
    const asked = (public_key: unknown, hex: unknown) => JSON.stringify({ public_key, message: hex })
    const bodies: [status: number, body: string, headers: Record<string, string>][] = [
      [400, '', JSON_TYPE],
      [400, '{', JSON_TYPE],
      [400, '[]', JSON_TYPE],
      [400, '{"public_key":1}', JSON_TYPE],
      [400, asked(KEY.publicKey, 'abc'), JSON_TYPE],
      [400, asked(KEY.publicKey, 'AB'), JSON_TYPE],
      [400, asked(KEY.publicKey, ''), JSON_TYPE],
      [400, asked(KEY.publicKey, 'ff'), JSON_TYPE],
      [400, asked(KEY.publicKey, bytesToHex(message)).replace('{', '{"more":1,'), JSON_TYPE],
      [400, asked(KEY.publicKey, bytesToHex(message)).replace('{', '{"message":"ab",'), JSON_TYPE],
      [400, `${'['.repeat(5_000)}${']'.repeat(5_000)}`, JSON_TYPE],
      [403, asked('ab'.repeat(32), bytesToHex(message)), JSON_TYPE],
      [413, 'a'.repeat(200_000), JSON_TYPE],
      [415, 'public_key=1', { 'content-type': 'application/x-www-form-urlencoded' }],
    ]
    for (const [status, body, headers] of bodies) {
      const answer = await post(body, headers)
      assert.deepEqual([answer.status, answer.type], [status, 'application/problem+json'], body.slice(0, 80))
    }
    assert.equal((await post('{}', JSON_TYPE, '/keys')).status, 404)
    await clientOf(socket()).sign(KEY.publicKey, message)
  })

  it('is not kept busy by who connects and says nothing', async () => {
    await listen({ kind: 'unix', path: socket() })
    const silent = Array.from({ length: 20 }, () => connect(socket()))
    await Promise.all(silent.map((one) => once(one, 'connect')))
    await clientOf(socket()).sign(KEY.publicKey, message)
    silent.forEach((one) => one.destroy())
  })
})

describe('what a node takes from a signer', () => {
  let server: Server | undefined

  afterEach(async () => {
    server?.closeAllConnections()
    await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)))
    server = undefined
  })

  async function clientOf(answer: RequestListener): Promise<SignerClient> {
    server = createServer(answer).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return createSignerClient({ address: { kind: 'tcp', host: '127.0.0.1', port }, token: TOKEN })
  }
  const answering = (status: number, body: unknown) =>
    clientOf((_, response) => {
      response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
    })

  it('is a signature that holds, or a refusal', async () => {
    const signature = bytesToHex(KEY.signNow(message))
    const sealed = sealHeader(header, KEY)
    const forged = sealHeader(header, namedKey('mallory'))
    const ack = { chain_id: chainId, header_hash: 'ab'.repeat(32), height: 1, voter_id: 'v1', decision: 'ack' } as const
    const acked = signVote(ack, KEY)
    const answers: [code: string, status: number, body: unknown][] = [
      ['signer_refused', 200, { signature: bytesToHex(namedKey('mallory').signNow(message)) }],
      ['signer_refused', 200, { signature: 'ab' }],
      ['signer_refused', 200, { signature, more: 1 }],
      ['signer_refused', 200, 'signed'],
      ['signer_refused', 302, ''],
      ['signer_refused', 500, { code: 'internal', detail: 'broken' }],
      ['signer_refused', 409, { code: 'already_signed', detail: 'before', sealed: forged }],
      ['signer_refused', 409, { code: 'already_signed', detail: 'before', sealed: { header } }],
      ['signer_refused', 409, { code: 'already_signed', detail: 'before', acked: { ...acked, height: 2 } }],
      [
        'signer_refused',
        409,
        { code: 'already_signed', detail: 'before', acked: signVote({ ...ack, decision: 'reject' }, KEY) },
      ],
      ['signer_refused', 409, { code: 'already_signed', detail: 'before', acked: signVote(ack, namedKey('mallory')) }],
      ['signer_refused', 409, { code: 'already_signed', detail: 'before', acked: ack }],
      ['not_ready', 200, 'a'.repeat(100_000)],
      ['already_signed', 409, { code: 'already_signed', detail: 'before', sealed }],
      ['already_signed', 409, { code: 'already_signed', detail: 'before', acked }],
      ['already_signed', 409, { code: 'already_signed', detail: 'before' }],
    ]
    for (const [code, status, body] of answers) {
      const client = await answering(status, body)
      await assert.rejects(client.sign(KEY.publicKey, message), { code }, JSON.stringify(body).slice(0, 80))
      server?.close()
    }
    for (const wrong of [{ sealed: forged }, { acked: signVote(ack, namedKey('mallory')) }]) {
      const key = { public_key: KEY.publicKey, sealed, acked, ...wrong }
      const client = await answering(200, { chain_id: chainId, keys: [key] })
      await assert.rejects(client.keys(), { code: 'signer_refused', message: /it shows an? (?:header|ack) that/ })
      server?.close()
    }
    const client = await answering(200, { signature })
    assert.equal(bytesToHex(await client.sign(KEY.publicKey, message)), signature)
  })

  it('is waited for no longer than a node may take to stop, be it silent or slow', async () => {
    const slow: RequestListener[] = [
      () => undefined,
      (_, response) => {
        response.writeHead(200).write('{')
      },
    ]
    for (const answer of slow) {
      const client = await clientOf(answer)
      const startedAt = performance.now()
      await assert.rejects(client.keys(), /the signer at http:\/\/127\.0\.0\.1:\d+ does not answer: /)
      assert.ok(performance.now() - startedAt < 8_000)
      server?.closeAllConnections()
      server?.close()
    }
  })

  it('is said to be missing in words that tell what to do', async () => {
    const nowhere = createSignerClient({ address: { kind: 'unix', path: '/nowhere/signer.sock' }, token: undefined })
    await assert.rejects(nowhere.keys(), {
      code: 'not_ready',
      message:
        'not ready: the signer at unix:/nowhere/signer.sock does not answer: nothing listens there (ENOENT), start it (solar-node signer)',
    })
  })
})

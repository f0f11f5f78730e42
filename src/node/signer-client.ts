import { request, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { ackedBefore, signedBefore } from '../engine/signed-before.ts'
import { ledgerError } from '../ports/errors.ts'
import { codeOf } from '../ports/file-trouble.ts'
import { parseJsonText } from '../ports/json-file.ts'
import type { SignerAddress, SignerKey } from '../ports/signer.ts'
import { bytesToHex, hexToBytes, type Hash, type Hex } from '../protocol/bytes.ts'
import { sealedHeaderShape, verifySeal, type SealedHeader } from '../protocol/header.ts'
import { array, hash32, isJsonObject, nullable, object, publicKeyHex, signatureHex } from '../protocol/shape.ts'
import { shown } from '../protocol/shown.ts'
import { cachedPublicKey, verifyBytes, verifyObject } from '../protocol/signature.ts'
import { voteShape, type Vote } from '../protocol/vote.ts'

/** Asks a signer (docs/protocol.md 11). Every call takes at most CALL_LIMIT_MS, and rejects with `not_ready` without an answer. */
export interface SignerClient {
  /** As it was configured. */
  readonly name: string
  /** Its chain, and its keys with what they have signed. */
  keys(): Promise<SignerState>
  /** A signature that holds. Throws `already_signed`, and `signer_refused` for any other refusal and for what is no signature. */
  sign(publicKey: Hex, message: Uint8Array): Promise<Uint8Array>
}

export interface SignerState {
  readonly chain_id: Hash
  readonly keys: readonly SignerKey[]
}

export interface SignerClientOptions {
  readonly address: SignerAddress
  /** Bearer token, if it takes one. */
  readonly token: string | undefined
}

/** A node that is told to stop waits for the tick in hand, and has stopped within 4.5 s. */
const CALL_LIMIT_MS = 4_000
const MAX_ANSWER_BYTES = 64 * 1024
const MAX_KEYS = 32
const MAX_DETAIL = 500

const stateShape = object({
  chain_id: hash32,
  keys: array(
    object({ public_key: publicKeyHex, sealed: nullable(sealedHeaderShape), acked: nullable(voteShape) }),
    MAX_KEYS,
  ),
})
const signedShape = object({ signature: signatureHex })

/** unix:/path or http://host:port. */
export const signerName = (address: SignerAddress): string =>
  address.kind === 'unix'
    ? `unix:${address.path}`
    : `http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`

export function createSignerClient({ address, token }: SignerClientOptions): SignerClient {
  const name = signerName(address)
  const refused = (code: string, reason: string) => ledgerError('signer_refused', { signer: name, code, reason })

  async function call(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const { status, text } = await exchange(method, path, body === undefined ? '' : JSON.stringify(body)).catch(
      (error: unknown) => {
        throw ledgerError('not_ready', { reason: `the signer at ${name} does not answer: ${troubleOf(error)}` }, error)
      },
    )
    const parsed = parseJsonText(text)
    if ('fault' in parsed) throw refused(`http_${status}`, `its answer is no JSON: ${parsed.fault}`)
    if (status === 200) return parsed.value
    const { code, detail, ...signed } = isJsonObject(parsed.value) ? parsed.value : {}
    const reason = shown(typeof detail === 'string' ? detail : '', MAX_DETAIL)
    if (code === 'already_signed') throw ledgerError('already_signed', { reason, ...readSigned(signed) })
    throw refused(typeof code === 'string' ? shown(code, 40) : `http_${status}`, reason)
  }

  async function exchange(method: string, path: string, body: string): Promise<{ status: number; text: string }> {
    const where = address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port }
    const sent = request({
      ...where,
      method,
      path,
      headers: {
        host: 'signer',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== '' && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
      // A connection of its own each time: one that is kept may be gone just when it is needed.
      agent: false,
      signal: AbortSignal.timeout(CALL_LIMIT_MS),
    })
    sent.end(body)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return { status: response.statusCode ?? 0, text: await boundedBody(response) }
  }

  /** A shape that does not fit is no answer of a signer. */
  function read<T>(answer: unknown, shape: (value: unknown, path: string) => T): T {
    try {
      return shape(answer, 'its answer')
    } catch (error) {
      throw refused('malformed', error instanceof Error ? error.message : String(error))
    }
  }

  const readSigned = ({ sealed, acked }: SignedBefore<unknown, unknown>): SignedBefore<SealedHeader, Vote> => ({
    ...(sealed !== undefined && { sealed: read(sealed, sealedHeaderShape) }),
    ...(acked !== undefined && { acked: read(acked, voteShape) }),
  })

  /** What it shows of a key, that key has signed. */
  function checkSigned(publicKey: Hex, sealed: SealedHeader | null, acked: Vote | null): void {
    if (sealed !== null && !verifySeal(sealed, publicKey).ok)
      throw refused('bad_signature', `it shows a header that ${publicKey} has not sealed`)
    if (acked !== null && !isAckBy(acked, publicKey))
      throw refused('bad_signature', `it shows an ack that ${publicKey} has not signed`)
  }

  return {
    name,
    async keys() {
      const state = read(await call('GET', '/keys'), stateShape)
      for (const { public_key, ...signed } of state.keys) checkSigned(public_key, signed.sealed, signed.acked)
      return state
    },
    async sign(publicKey, message) {
      const asked = call('POST', '/sign', { public_key: publicKey, message: bytesToHex(message) })
      const answer = await asked.catch((error: unknown) => {
        checkSigned(publicKey, signedBefore(error) ?? null, ackedBefore(error) ?? null)
        throw error
      })
      const signature = hexToBytes(read(answer, signedShape).signature)
      if (verifyBytes(signature, message, cachedPublicKey(publicKey))) return signature
      throw refused('bad_signature', `its signature is not that of ${publicKey}`)
    },
  }
}

/** What a key has signed, as its signer shows it. */
interface SignedBefore<S, A> {
  readonly sealed?: S
  readonly acked?: A
}

const isAckBy = ({ signature, ...body }: Vote, publicKey: Hex): boolean =>
  body.decision === 'ack' && verifyObject('vote', body.chain_id, body, signature, publicKey)

/** Rejects for an answer that is too long, and hangs up. */
async function boundedBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new Error(`its answer has more than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** What an operator is to look at. */
function troubleOf(error: unknown): string {
  if (error instanceof Error && error.name === 'AbortError') return `not within ${CALL_LIMIT_MS / 1000} s`
  const code = codeOf(error)
  if (code === 'ECONNREFUSED' || code === 'ENOENT')
    return `nothing listens there (${code}), start it (solar-node signer)`
  if (code === 'EACCES') return 'this user may not connect to its socket: see --socket-mode of solar-node signer'
  return error instanceof Error ? error.message : String(error)
}

import { ledgerError } from '../ports/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { Signer, SignerMemory } from '../ports/signer.ts'
import { OWN_VOTES_KEPT } from '../ports/voter-store.ts'
import { bytesToHex, type Hash } from '../protocol/bytes.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import { refuse } from '../protocol/shape.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { MAX_SIGNED_BYTES, parseSignedMessage, type SignedMessage } from '../protocol/signed-message.ts'
import type { VoteBody } from '../protocol/vote.ts'
import { createSerial } from './serial.ts'

export interface SignerParts {
  readonly chainId: Hash
  readonly keys: readonly SigningKey[]
  readonly memory: SignerMemory
  /** Whether changes of the registry are signed, and countersignatures: who steals the server could else enrol himself. */
  readonly allowRegistry: boolean
  /** No header and no ack up to this height is signed that was not before: the memory may have begun later than the chain. */
  readonly signedUpTo?: number | undefined
  readonly logger: Logger
}

/** What a node signs while it runs. Orders are a device's to sign, and changes of the registry its operator's. */
const OF_NODES: readonly SignedMessage['type'][] = ['header', 'vote', 'request', 'member', 'checkpoint', 'cosignature']
const OF_REGISTRY: readonly SignedMessage['type'][] = ['enrol', 'rotate', 'revoke', 'recover', 'policy', 'countersign']

/** Signs one header a height and one ack a height, whoever asks. */
export function createSigner(parts: SignerParts): Signer {
  const { chainId, memory, allowRegistry, signedUpTo = -1, logger } = parts
  const keys = new Map(parts.keys.map((key) => [key.publicKey, key]))
  const types = allowRegistry ? [...OF_NODES, ...OF_REGISTRY] : OF_NODES
  // What is known of a key stays as it is from the check until its signature is remembered.
  const inTurn = createSerial()

  async function signHeader(key: SigningKey, header: Header, message: Uint8Array): Promise<Uint8Array> {
    const last = await memory.sealed(key.publicKey)
    const { height } = header
    const hash = hashHeader(header)
    const isAgain = last !== undefined && hashHeader(last.header) === hash
    if (!isAgain && last !== undefined && height <= last.header.height) {
      const reason = `this key has sealed block ${last.header.height} (${hashHeader(last.header)}): no other one up to there`
      throw ledgerError('already_signed', { reason, sealed: last })
    }
    if (!isAgain) refuseUpTo(height)
    const signature = await key.sign(message)
    if (isAgain) return signature
    await memory.putSealed(key.publicKey, { header, signature: bytesToHex(signature) })
    logger.info({ height, hash, public_key: key.publicKey }, `signed block ${height}`)
    return signature
  }

  async function signAck(key: SigningKey, vote: VoteBody, message: Uint8Array): Promise<Uint8Array> {
    const { height, header_hash } = vote
    const known = await memory.acked(key.publicKey, height)
    if (known?.header_hash === header_hash) return await key.sign(message)
    if (known !== undefined) {
      const reason = `this key has acked another block ${height}: ${known.header_hash}`
      throw ledgerError('already_signed', { reason, acked: known })
    }
    const highest = (await memory.highestAck(key.publicKey)) ?? -1
    if (height <= highest - OWN_VOTES_KEPT) {
      const reason = `this key has acked block ${highest}: what it acked at height ${height} is forgotten`
      const last = await memory.lastAck(key.publicKey)
      throw ledgerError('already_signed', { reason, ...(last !== undefined && { acked: last }) })
    }
    refuseUpTo(height)
    const signature = await key.sign(message)
    await memory.putAck(key.publicKey, { ...vote, signature: bytesToHex(signature) })
    return signature
  }

  function refuseUpTo(height: number): void {
    if (height > signedUpTo) return
    const reason = `this signer was told that its keys have signed up to block ${signedUpTo} before (--signed-up-to)`
    throw ledgerError('already_signed', { reason })
  }

  async function sign(key: SigningKey, message: Uint8Array): Promise<Uint8Array> {
    const said = parseSignedMessage(message)
    if (!types.includes(said.type)) {
      const allowed = OF_REGISTRY.includes(said.type) ? ', unless it is started with --allow-registry' : ''
      throw ledgerError('forbidden', { reason: `this signer signs no ${said.type}${allowed}` })
    }
    if ('chainId' in said && said.chainId !== chainId) {
      throw ledgerError('wrong_chain', { chain_id: said.chainId, expected: chainId })
    }
    if ('header' in said) return await signHeader(key, said.header, message)
    if ('vote' in said && said.vote.decision === 'ack') return await signAck(key, said.vote, message)
    return await key.sign(message)
  }

  return {
    keys: () =>
      Promise.all(
        [...keys.keys()].map(async (public_key) => ({
          public_key,
          sealed: (await memory.sealed(public_key)) ?? null,
          acked: (await memory.lastAck(public_key)) ?? null,
        })),
      ),
    async sign(publicKey, message) {
      if (message.length > MAX_SIGNED_BYTES) refuse('message', `at most ${MAX_SIGNED_BYTES} bytes`, message.length)
      const key = keys.get(publicKey)
      if (key !== undefined) return await inTurn(() => sign(key, message))
      throw ledgerError('forbidden', { reason: `this signer does not have the key ${publicKey}` })
    },
  }
}

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { ackedBefore, signedBefore } from '../../../src/engine/signed-before.ts'
import { createSigner, type SignerParts } from '../../../src/engine/signer.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { Signer, SignerMemory } from '../../../src/ports/signer.ts'
import { OWN_VOTES_KEPT } from '../../../src/ports/voter-store.ts'
import { bytesToHex, utf8ToBytes } from '../../../src/protocol/bytes.ts'
import { checkpointText } from '../../../src/protocol/checkpoint.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { hashHeader, verifySeal, type Header, type SealedHeader } from '../../../src/protocol/header.ts'
import { SIGNATURE_TYPES, signingBytes, verifyObject, type SignatureType } from '../../../src/protocol/signature.ts'
import type { Vote } from '../../../src/protocol/vote.ts'
import { openSignerMemory } from '../../../src/storage/level/signer-memory.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'
import { tempDir } from '../../helpers/temp.ts'

const street = createStreet()
const { chainId } = street
const [first] = street.start.grow('t0').blocks
const KEY = namedKey('authority')
const OTHER_KEY = namedKey('authority 2')
const REGISTRY: readonly SignatureType[] = ['enrol', 'rotate', 'revoke', 'recover', 'policy', 'countersign']

const headerAt = (height: number, change: Partial<Header> = {}): Header => ({ ...first!.header, height, ...change })
const bytesOf = (header: Header) => signingBytes('header', header.chain_id, header)
const hashOf = (letter: string): string => letter.repeat(64)
const ackOf = (height: number, letter: string, decision: 'ack' | 'reject' = 'ack') => ({
  ...{ chain_id: chainId, header_hash: hashOf(letter), height, voter_id: 'v1', decision },
})
const voteFor = (...vote: Parameters<typeof ackOf>) => signingBytes('vote', chainId, ackOf(...vote))

describe('a signer', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let memory: SignerMemory
  let signer: Signer

  const makeSigner = (changes: Partial<SignerParts> = {}): Signer =>
    createSigner({ chainId, keys: [KEY], memory, allowRegistry: false, logger: silentLogger, ...changes })
  const openMemory = (ofChain = chainId) => openSignerMemory(join(folder.path, 'signed'), ofChain)
  const seal = async (header: Header, by: Signer = signer): Promise<SealedHeader> => ({
    header,
    signature: bytesToHex(await by.sign(KEY.publicKey, bytesOf(header))),
  })
  const sign = (message: Uint8Array, by: Signer = signer) => by.sign(KEY.publicKey, message)

  const ack = async (height: number, letter: string): Promise<Vote> => ({
    ...ackOf(height, letter),
    signature: bytesToHex(await sign(voteFor(height, letter))),
  })

  /** How a signer refuses. */
  async function refused(asked: Promise<unknown>, code = 'already_signed'): Promise<unknown> {
    try {
      await asked
    } catch (error) {
      assert.ok(isSolarError(error, code), String(error))
      return error
    }
    return assert.fail('it was signed')
  }
  /** The header that a refusal shows. */
  const refusalOf = async (asked: Promise<unknown>, code?: string) => signedBefore(await refused(asked, code))
  /** The ack that a refusal shows. */
  const refusalOfAck = async (asked: Promise<unknown>) => ackedBefore(await refused(asked))

  beforeEach(async () => {
    folder = await tempDir()
    memory = await openMemory()
    signer = makeSigner()
  })
  afterEach(async () => {
    await memory.close()
    await folder.remove()
  })

  it('seals one header of a height, and shows that to whoever asks for another one', async () => {
    const sealed = await seal(headerAt(4))
    assert.ok(verifySeal(sealed, KEY.publicKey).ok)
    const others: Partial<Header>[] = [
      { timestamp: first!.header.timestamp + 1 },
      { merkle_root: hashOf('a') },
      { prev_hash: hashOf('b') },
      { miner_id: 'second' },
      { nonce: 1 },
    ]
    for (const change of others) assert.deepEqual(await refusalOf(seal(headerAt(4, change))), sealed)
  })

  it('seals nothing below, and goes on above, over any number of heights', async () => {
    const sealed = await seal(headerAt(7))
    assert.deepEqual(await refusalOf(seal(headerAt(6))), sealed)
    assert.deepEqual(await refusalOf(seal(headerAt(0))), sealed)
    await seal(headerAt(8))
    await seal(headerAt(2 ** 40))
  })

  it('gives the same signature for the same header again, also after it was started anew', async () => {
    const sealed = await seal(headerAt(4))
    assert.deepEqual(await seal(headerAt(4)), sealed)
    await memory.close()
    memory = await openMemory()
    signer = makeSigner()
    assert.deepEqual(await seal(headerAt(4)), sealed)
    assert.deepEqual(await refusalOf(seal(headerAt(4, { nonce: 1 }))), sealed)
    assert.deepEqual(await signer.keys(), [{ public_key: KEY.publicKey, sealed, acked: null }])
  })

  it('remembers before a signature leaves it: what could not be remembered was not signed', async () => {
    let isFull = true
    const full: SignerMemory = {
      ...memory,
      putSealed: (...put) => (isFull ? Promise.reject(new Error('disk full')) : memory.putSealed(...put)),
      putAck: (...put) => (isFull ? Promise.reject(new Error('disk full')) : memory.putAck(...put)),
    }
    signer = makeSigner({ memory: full })
    await assert.rejects(seal(headerAt(4)), /disk full/)
    await assert.rejects(sign(voteFor(4, 'a')), /disk full/)
    isFull = false
    // Nobody has the other ones: these are as good.
    await seal(headerAt(4, { nonce: 1 }))
    await sign(voteFor(4, 'b'))
  })

  it('seals one of two headers of a height that are asked for at once', async () => {
    const asked = [1, 2, 3, 4].map((nonce) => seal(headerAt(4, { nonce })))
    const results = await Promise.allSettled(asked)
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  it('keeps each of its keys apart, and each chain', async () => {
    signer = makeSigner({ keys: [KEY, OTHER_KEY] })
    await seal(headerAt(4))
    await signer.sign(OTHER_KEY.publicKey, bytesOf(headerAt(4, { nonce: 1 })))
    await signer.sign(KEY.publicKey, voteFor(4, 'a'))
    await signer.sign(OTHER_KEY.publicKey, voteFor(4, 'b'))
    await memory.close()
    memory = await openMemory(hashOf('c'))
    const other = makeSigner({ chainId: hashOf('c') })
    await seal(headerAt(1, { chain_id: hashOf('c') }), other)
  })

  it('acks one block of a height, the same one as often as it is asked, and rejects as many as it likes', async () => {
    const vote = await ack(4, 'a')
    assert.ok(verifyObject('vote', chainId, ackOf(4, 'a'), vote.signature, KEY.publicKey))
    assert.deepEqual(await ack(4, 'a'), vote)
    assert.deepEqual(await refusalOfAck(sign(voteFor(4, 'b'))), vote)
    await sign(voteFor(4, 'b', 'reject'))
    await sign(voteFor(4, 'c', 'reject'))
    assert.deepEqual(await refusalOfAck(sign(voteFor(4, 'b'))), vote)
    // Below it as well, as long as it is remembered.
    const below = await ack(2, 'd')
    assert.deepEqual(await refusalOfAck(sign(voteFor(2, 'e'))), below)
  })

  it('acks no height that is so far below its highest that it has forgotten what it acked there', async () => {
    await sign(voteFor(4, 'a'))
    await sign(voteFor(4 + OWN_VOTES_KEPT - 1, 'b'))
    await refusalOf(sign(voteFor(4, 'c')))
    assert.equal((await memory.acked(KEY.publicKey, 4))?.header_hash, hashOf('a'))
    const last = await ack(4 + OWN_VOTES_KEPT, 'c')
    assert.equal(await memory.acked(KEY.publicKey, 4), undefined)
    assert.deepEqual(await refusalOfAck(sign(voteFor(4, 'a'))), last)
    await sign(voteFor(5, 'd'))
  })

  it('signs nothing new up to the height that it was told, where its memory begins later than the chain', async () => {
    const sealed = await seal(headerAt(4))
    signer = makeSigner({ signedUpTo: 9 })
    assert.deepEqual(await seal(headerAt(4)), sealed)
    await refusalOf(seal(headerAt(9)))
    await refusalOf(sign(voteFor(9, 'a')))
    await seal(headerAt(10))
    await sign(voteFor(10, 'a'))
  })

  it('signs what a node does while it runs, and changes of the registry only where it is told so', async () => {
    const checkpoint = utf8ToBytes(checkpointText({ origin: 'street.example', size: 1, root: hashOf('a') }))
    const ofNodes = [signingBytes('request', chainId, { a: 1 }), signingBytes('member', chainId, { a: 1 }), checkpoint]
    for (const message of ofNodes) assert.equal((await sign(message)).length, 64)
    const open = makeSigner({ allowRegistry: true })
    for (const type of SIGNATURE_TYPES.filter((one) => one === 'order' || REGISTRY.includes(one))) {
      const message = signingBytes(type, chainId, { a: 1 })
      await refusalOf(sign(message), 'forbidden')
      if (type === 'order') await refusalOf(sign(message, open), 'forbidden')
      else assert.equal((await sign(message, open)).length, 64)
    }
  })

  it('signs nothing of another chain, for another key, and nothing that it cannot read', async () => {
    const other = headerAt(4, { chain_id: hashOf('e') })
    await refusalOf(sign(bytesOf(other)), 'wrong_chain')
    await refusalOf(sign(signingBytes('member', hashOf('e'), { a: 1 })), 'wrong_chain')
    await refusalOf(signer.sign(OTHER_KEY.publicKey, bytesOf(headerAt(4))), 'forbidden')
    await refusalOf(sign(utf8ToBytes('a text')), 'malformed')
    await refusalOf(sign(new Uint8Array(64 * 1024 + 1)), 'malformed')
    assert.deepEqual(await signer.keys(), [{ public_key: KEY.publicKey, sealed: null, acked: null }])
  })

  it('shows the header of the highest height that each key has sealed, and the ack that it has signed last', async () => {
    signer = makeSigner({ keys: [KEY, OTHER_KEY] })
    await seal(headerAt(4))
    await ack(7, 'a')
    const acked = await ack(5, 'b')
    const [own, other] = await signer.keys()
    assert.equal(own?.sealed && hashHeader(own.sealed.header), hashHeader(headerAt(4)))
    assert.deepEqual(own?.acked, acked)
    assert.deepEqual(other, { public_key: OTHER_KEY.publicKey, sealed: null, acked: null })
    await memory.close()
    memory = await openMemory()
    assert.deepEqual((await makeSigner().keys())[0]?.acked, acked)
  })
})

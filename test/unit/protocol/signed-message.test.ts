import assert from 'node:assert/strict'
import { utf8ToBytes } from '../../../src/protocol/bytes.ts'
import { checkpointText } from '../../../src/protocol/checkpoint.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { cosignNote } from '../../../src/protocol/note.ts'
import { SIGNATURE_TYPES, signingBytes } from '../../../src/protocol/signature.ts'
import { parseSignedMessage } from '../../../src/protocol/signed-message.ts'
import { createStreet } from '../../helpers/branches.ts'

const street = createStreet()
const { chainId } = street
const { header } = street.start.grow('t0').blocks[0]!
const vote = { chain_id: chainId, header_hash: 'ab'.repeat(32), height: 4, voter_id: 'ann', decision: 'ack' } as const
const TREE = { origin: 'street.example', size: 5, root: 'cd'.repeat(32) }
const OTHER = 'ef'.repeat(32)

const refused = (error: unknown) => isSolarError(error, 'malformed') || isSolarError(error, 'not_canonical')

describe('a message that is to be signed', () => {
  it('says by itself what it is', async () => {
    assert.deepEqual(parseSignedMessage(signingBytes('header', chainId, header)), { type: 'header', chainId, header })
    assert.deepEqual(parseSignedMessage(signingBytes('vote', chainId, vote)), { type: 'vote', chainId, vote })
    for (const type of SIGNATURE_TYPES.filter((one) => one !== 'header' && one !== 'vote')) {
      assert.deepEqual(parseSignedMessage(signingBytes(type, chainId, { a: 1 })), { type, chainId })
    }
    const text = checkpointText(TREE)
    assert.deepEqual(parseSignedMessage(utf8ToBytes(text)), { type: 'checkpoint', checkpoint: TREE })
    let cosigned = new Uint8Array()
    await cosignNote(text, 'witness', 1_700_000_000, {
      publicKey: OTHER,
      sign(message) {
        cosigned = Uint8Array.from(message)
        return Promise.resolve(new Uint8Array(64))
      },
    })
    assert.deepEqual(parseSignedMessage(cosigned), { type: 'cosignature', checkpoint: TREE })
  })

  it('is refused where a verifier would read something else, or nothing', () => {
    const [start, body] = [`solar-node/v1/header\n${chainId}\n`, JSON.stringify(header)]
    const messages: Record<string, Uint8Array> = {
      nothing: new Uint8Array(),
      'no UTF-8': Uint8Array.of(0xff, 0xfe, 0x0a),
      'a byte order mark before it': utf8ToBytes(`\ufeff${start}${body}`),
      'an unknown type': utf8ToBytes(`solar-node/v1/heading\n${chainId}\n{}`),
      'a type in capitals': utf8ToBytes(`solar-node/v1/HEADER\n${chainId}\n{}`),
      'another version': utf8ToBytes(`solar-node/v2/header\n${chainId}\n{}`),
      'a spelling that is not canonical': utf8ToBytes(`${start}${body}`),
      'no JSON': utf8ToBytes(`${start}height 7`),
      'an array': signingBytes('member', chainId, []),
      'a header of another chain': signingBytes('header', OTHER, header),
      'a vote of another chain': signingBytes('vote', OTHER, vote),
      'a header with more in it': signingBytes('header', chainId, { ...header, more: 1 }),
      'a header with less in it': signingBytes('header', chainId, { height: 7 }),
      'a vote with its signature': signingBytes('vote', chainId, { ...vote, signature: 'ab'.repeat(64) }),
      'a checkpoint without an end': utf8ToBytes(checkpointText(TREE).trimEnd()),
      'a checkpoint of no size': utf8ToBytes(`street.example\nmany\n${'A'.repeat(43)}=\n`),
      'a cosignature of nothing': utf8ToBytes('cosignature/v1\ntime 5\n'),
    }
    for (const [what, message] of Object.entries(messages)) {
      assert.throws(() => parseSignedMessage(message), refused, what)
    }
  })

  it('of one kind is never read as one of another', () => {
    // An origin may be called anything: the text of its checkpoint is still no header and no cosignature.
    for (const origin of ['solar-node/v1/header', 'cosignature/v1']) {
      const text = checkpointText({ ...TREE, origin })
      assert.equal(parseSignedMessage(utf8ToBytes(text)).type, 'checkpoint')
    }
  })
})

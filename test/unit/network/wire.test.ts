import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { asError, reasonOf } from '../../../src/network/deadline.ts'
import { encodeLength } from '../../../src/network/frames.ts'
import { protocolName, topicName } from '../../../src/network/names.ts'
import { redialDelay } from '../../../src/network/redial.ts'
import { encodeRefusal, readRefusal, refusalOf } from '../../../src/network/refusal.ts'
import { ledgerError } from '../../../src/ports/errors.ts'

const CHAIN = '0123456789abcdef'.repeat(4)

describe('names on the wire', () => {
  it('carry the first 16 characters of the chain id, but genesis carries none', () => {
    assert.equal(topicName(CHAIN, 'votes'), '/solar-node/1/0123456789abcdef/votes')
    assert.equal(protocolName(CHAIN, 'status'), '/solar-node/1/0123456789abcdef/status')
    assert.equal(protocolName(CHAIN, 'genesis'), '/solar-node/1/genesis')
    assert.equal(protocolName(undefined, 'genesis'), '/solar-node/1/genesis')
    assert.throws(() => protocolName(undefined, 'status'), { code: 'not_ready' })
  })
})

describe('a frame length', () => {
  it('is written as the unsigned varint of libp2p', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 28 - 1 }), (length) => {
        const bytes = encodeLength(length)
        assert.equal(
          bytes.reduce((sum, byte, index) => sum + (byte & 0x7f) * 2 ** (7 * index), 0),
          length,
        )
        assert.ok(bytes.every((byte, index) => byte >= 0x80 === index < bytes.length - 1))
        assert.ok(bytes.length === 1 || bytes.at(-1) !== 0)
      }),
    )
  })
})

describe('a refusal', () => {
  it('is canonical JSON whatever its message says, and is read back with its code', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (message) => {
        const answer = parseCanonicalBytes(encodeRefusal({ code: 'too_large', message }))
        assert.equal(readRefusal(answer)?.code, 'too_large')
      }),
    )
  })

  it('says the code of a SolarError and nothing about any other fault', () => {
    assert.equal(refusalOf(ledgerError('forbidden', { reason: 'no token' })).code, 'forbidden')
    assert.deepEqual(refusalOf(new Error('password=1234')), {
      code: 'internal',
      message: 'this node failed to answer',
    })
  })

  it('is recognised by its error member, also when its code is none', () => {
    assert.equal(readRefusal({ status: 'live' }), undefined)
    assert.equal(readRefusal({ error: { code: 'Not A Code', message: 'x' } })?.code, 'unknown')
    assert.equal(readRefusal({ error: 'no' })?.code, 'unknown')
  })
})

describe('the redial delay', () => {
  it('starts at about half a second, never exceeds five, and stays near one for a restart of a few seconds', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.string(), (failures, seed) => {
        const delay = redialDelay(failures, seed)
        assert.ok(delay >= 400 && delay <= 5_000)
        if (failures === 0) assert.ok(delay <= 600)
        if (failures <= 4) assert.ok(delay <= 1_250)
        if (failures > 20) assert.ok(delay >= 4_000)
      }),
    )
  })

  it('spreads the nodes of one authority', () => {
    const delays = Array.from({ length: 200 }, (_, index) => redialDelay(0, `node ${index}`))
    assert.ok(Math.max(...delays) - Math.min(...delays) > 150)
    assert.ok(new Set(delays).size > 80)
  })
})

describe('what a transport throws', () => {
  it('becomes an Error that says what is known, also for events and empty messages', () => {
    const cause = new Error('connect ECONNREFUSED')
    assert.equal(asError({ type: 'error', error: cause }), cause)
    assert.equal(asError({ type: 'error', message: 'refused' }).message, 'refused')
    assert.equal(asError({ type: 'error' }).message, 'transport event "error"')
    assert.equal(asError(undefined).message, 'no reason given')
    assert.equal(reasonOf(new AggregateError([cause, 'second'], 'all failed')), 'connect ECONNREFUSED; second')
  })

  it('is told in one line, cut: libp2p quotes what the other side has sent', () => {
    const told = reasonOf(new Error(`unknown protocol ${'\u001b[2J\n'.repeat(10_000)}`))
    assert.match(told, /^unknown protocol [\x20-\x7e]*\.\.\.$/)
    assert.equal(told.length, 200)
    const many = Array.from({ length: 50 }, (_, index) => new Error(`${index} ${'x'.repeat(1_000)}`))
    assert.equal(reasonOf(new AggregateError(many, 'all failed')).length, 500)
  })
})

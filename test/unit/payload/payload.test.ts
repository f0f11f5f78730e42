import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption'
import { decryptPayload, encryptPayload } from '../../../src/payload/payload.ts'
import { identityOf, recipientOf } from '../../../src/payload/recipient.ts'
import { base64ToBytes, bytesToBase64 } from '../../../src/protocol/base64.ts'
import { verifyBlockBody } from '../../../src/protocol/block.ts'
import { bytesToUtf8 } from '../../../src/protocol/bytes.ts'
import { MAX_PAYLOAD_BYTES, MAX_PAYLOADS_PER_BLOCK } from '../../../src/protocol/limits.ts'
import { payloadCharacters, payloadsFault, payloadShape } from '../../../src/protocol/payload.ts'
import { canonicalTransaction, hashTransaction, transactionShape } from '../../../src/protocol/transaction.ts'
import { GENESIS, sealTestChain, TRADE } from '../../vectors/chain-cases.ts'
import { testKey, testSecret } from '../../vectors/keys.ts'

const recipientFor = (name: 'alice' | 'bob') => recipientOf(testKey(name).publicKey)

describe('the payload of a trade', () => {
  it('is opened by each device that it was encrypted for, and by no other key', async () => {
    const payload = await encryptPayload('meter 17, contract A', [recipientFor('alice'), recipientFor('bob')])
    for (const name of ['alice', 'bob']) {
      assert.equal(bytesToUtf8(await decryptPayload(payload, testSecret(name))), 'meter 17, contract A')
    }
    await assert.rejects(decryptPayload(payload, testSecret('stranger')), /encrypted for this key/)
  })

  it('is for the recipient that age itself derives of the same secret', async () => {
    for (const name of ['alice', 'bob', 'stranger'] as const) {
      assert.equal(await identityToRecipient(identityOf(testSecret(name))), recipientOf(testKey(name).publicKey))
    }
  })

  it('is a file of age: its tools open it for an auditor, and what they make opens here', async () => {
    const auditor = await generateX25519Identity()
    const ours = await encryptPayload('for the auditor', [await identityToRecipient(auditor)])
    const decrypter = new Decrypter()
    decrypter.addIdentity(auditor)
    assert.equal(await decrypter.decrypt(base64ToBytes(ours), 'text'), 'for the auditor')

    const encrypter = new Encrypter()
    encrypter.addRecipient(recipientFor('alice'))
    const theirs = payloadShape(bytesToBase64(await encrypter.encrypt('by another program')), 'payload')
    assert.equal(bytesToUtf8(await decryptPayload(theirs, testSecret('alice'))), 'by another program')
  })

  it('refuses recipients that are none, and more than a payload holds', async () => {
    await assert.rejects(encryptPayload('x', []), /recipients: expected at least one recipient/)
    await assert.rejects(encryptPayload('x', ['age1nobody']), /recipients\[0\]: expected a recipient of age/)
    const wrongChecksum = `${recipientFor('alice').slice(0, -1)}q`
    await assert.rejects(encryptPayload('x', [recipientFor('bob'), wrongChecksum]), /recipients\[1\]/)
    await assert.rejects(encryptPayload('x'.repeat(MAX_PAYLOAD_BYTES), [recipientFor('alice')]), /payload: expected/)
  })

  it('is hashed with the trade: one bit of it changes the leaf, and without it the leaf is what it was', async () => {
    const payload = await encryptPayload('a', [recipientFor('alice')])
    const trade = transactionShape({ ...TRADE, payload }, 'transaction')
    const other = await encryptPayload('a', [recipientFor('alice')])
    assert.match(canonicalTransaction(trade), new RegExp(`"nonce":"${TRADE.nonce}","payload":"YWdl`))
    const hashes = [trade, { ...trade, payload: other }, TRADE].map((tx) =>
      hashTransaction(transactionShape(tx, 'transaction')),
    )
    assert.equal(new Set(hashes).size, 3)
    assert.doesNotMatch(canonicalTransaction(TRADE), /payload/)
  })

  it('is bounded for a block as a whole', () => {
    assert.equal(payloadCharacters([{ payload: 'abcd' }, TRADE, { payload: 'ab' }]), 6)
    assert.equal(payloadsFault(MAX_PAYLOADS_PER_BLOCK), undefined)
    assert.match(payloadsFault(MAX_PAYLOADS_PER_BLOCK + 1) ?? '', /payloads of 16777217 characters together/)
  })

  it('makes a block invalid where there is too much of it', () => {
    const payload = Buffer.concat([Buffer.from('age-encryption.org/v1\n'), Buffer.alloc(4_074)]).toString('base64')
    const count = Math.floor(MAX_PAYLOADS_PER_BLOCK / payload.length) + 1
    const trades = Array.from({ length: count }, (_, i) => ({ ...TRADE, id: `t-${i}`, payload }))
    const { header } = sealTestChain([1])[0]!.sealed
    const verdict = verifyBlockBody({ ...header, tx_count: count }, trades, GENESIS)
    assert.ok(!verdict.ok)
    assert.equal(verdict.code, 'payloads_too_large')
    const fewer = verifyBlockBody({ ...header, tx_count: count - 1 }, trades.slice(1), GENESIS)
    assert.ok(!fewer.ok)
    assert.equal(fewer.code, 'wrong_merkle_root')
  })

  it('is made and opened in a browser as well: nothing of Node is in what is bundled', async () => {
    const { metafile } = await build({
      entryPoints: [fileURLToPath(new URL('../../../src/payload.ts', import.meta.url))],
      ...{ bundle: true, write: false, metafile: true, platform: 'browser', format: 'esm', logLevel: 'silent' },
    })
    const imported = Object.values(metafile.inputs).flatMap(({ imports }) => imports.map(({ path }) => path))
    assert.deepEqual(
      imported.filter((path) => path.startsWith('node:')),
      [],
    )
    assert.ok(imported.some((path) => path.includes('age-encryption')))
  })

  it('is judged at once, whatever stands in it', () => {
    const long = 'YWdlLWVuY3J5cHRpb24ub3JnL3YxCi' + 'A'.repeat(50_000_000)
    const started = performance.now()
    assert.throws(() => payloadShape(long, 'payload'), /payload: expected an age file/)
    assert.ok(performance.now() - started < 1_000)
  })
})

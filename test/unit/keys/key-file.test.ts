import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { systemRandomBytes as randomBytes } from '../../../src/node/clock.ts'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { armor, Decrypter, Encrypter, Stanza, type Recipient } from 'age-encryption'
import { createKeyFile, loadKeyFile, readKeyFile } from '../../../src/keys/key-file.ts'
import { readPassphraseFile } from '../../../src/keys/passphrase.ts'
import { bytesToHex, hexToBytes, utf8ToBytes } from '../../../src/protocol/bytes.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { importPublicKey, verifyBytes } from '../../../src/protocol/signature.ts'

const refuses = (code: string, hidden?: string) => (error: unknown) => {
  assert.ok(isSolarError(error, code), String(error))
  if (hidden !== undefined) assert.ok(!JSON.stringify([error.message, error.fields]).includes(hidden), error.message)
  return true
}

describe('keys/key-file', () => {
  let folder: string
  let file: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'solar-keys-'))
    file = join(folder, 'a.key')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('makes a key that reads back and signs, in a file that only its owner can read', async () => {
    const made = await createKeyFile(file, { randomBytes })
    assert.equal(statSync(file).mode & 0o777, 0o600)
    const key = await loadKeyFile(file)
    assert.equal(key.publicKey, made.publicKey)
    const message = utf8ToBytes('a message')
    assert.ok(verifyBytes(await key.sign(message), message, importPublicKey(made.publicKey)))
    assert.deepEqual(readdirSync(folder), ['a.key'], 'nothing temporary stays')
  })

  it('derives the public key as RFC 8032 test 1 has it', async () => {
    const secret = hexToBytes('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
    const { publicKey } = await createKeyFile(file, { randomBytes: () => secret })
    assert.equal(publicKey, 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
    assert.deepEqual((await readKeyFile(file)).secret, secret)
  })

  it('never overwrites, also when two make the same file at once', async () => {
    const both = await Promise.allSettled([createKeyFile(file, { randomBytes }), createKeyFile(file, { randomBytes })])
    const [winner] = both.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    const [loser] = both.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
    assert.ok(winner)
    assert.ok(isSolarError(loser, 'key_exists'))
    await assert.rejects(createKeyFile(file, { randomBytes }), refuses('key_exists'))
    assert.equal((await readKeyFile(file)).publicKey, winner.publicKey)
    assert.deepEqual(readdirSync(folder), ['a.key'])
  })

  it('opens what age has encrypted with a passphrase, and only with that', async () => {
    const made = await createKeyFile(join(folder, 'plain.key'), { randomBytes })
    // A low work factor, as only this test wants it: the files that createKeyFile writes are dearer (test/e2e/cli-passphrase.long.ts).
    const encrypter = new Encrypter()
    encrypter.setScryptWorkFactor(8)
    encrypter.setPassphrase('a sunny day')
    const content = armor.encode(await encrypter.encrypt(readFileSync(join(folder, 'plain.key'), 'utf8')))
    writeFileSync(file, content, { mode: 0o600 })
    assert.deepEqual(await readKeyFile(file, 'a sunny day'), made)
    await assert.rejects(readKeyFile(file), refuses('key_encrypted'))
    await assert.rejects(readKeyFile(file, 'a rainy day'), refuses('key_wrong_passphrase', 'rainy'))
    writeFileSync(file, content.replace('-----END', '*-----END'))
    await assert.rejects(readKeyFile(file, 'a sunny day'), refuses('key_malformed'))
  })

  it('encrypts what age opens with the passphrase, and with no other', async () => {
    const { publicKey } = await createKeyFile(file, { randomBytes, passphrase: 'ein sonniger Täg', workFactor: 8 })
    const bytes = armor.decode(readFileSync(file, 'utf8'))
    const opened = (passphrase: string): Promise<string> => {
      const decrypter = new Decrypter()
      decrypter.addPassphrase(passphrase)
      return decrypter.decrypt(bytes, 'text')
    }
    assert.equal((JSON.parse(await opened('ein sonniger Täg')) as { public_key: string }).public_key, publicKey)
    await assert.rejects(opened('ein sonniger Tag'))
  })

  it('names what an encrypted file is where no passphrase opens it', async () => {
    const write = async (...recipients: readonly Recipient[]): Promise<void> => {
      const encrypter = new Encrypter()
      for (const recipient of recipients) encrypter.addRecipient(recipient)
      writeFileSync(file, armor.encode(await encrypter.encrypt('{}')), { mode: 0o600 })
    }
    const stanza = (...args: readonly string[]): Recipient => ({
      wrapFileKey: () => [new Stanza([...args], new Uint8Array(32))],
    })
    const salt = 'A'.repeat(22)
    for (const [recipients, reason] of [
      [[stanza('scrypt', salt, '21')], /work factor/],
      [[stanza('scrypt', salt, '99')], /work factor/],
      [[stanza('scrypt', salt, '08')], /work factor/],
      [[stanza('scrypt', `${salt}==`, '8')], /damaged age header/],
      [[stanza('scrypt', 'AAAA', '8')], /damaged age header/],
      [[stanza('scrypt', salt, '8', 'more')], /damaged age header/],
      [[stanza('scrypt')], /damaged age header/],
      [[stanza('X25519', salt)], /not for one passphrase/],
      [[stanza('scrypt', salt, '8'), stanza('scrypt', salt, '8')], /not for one passphrase/],
    ] as const) {
      await write(...recipients)
      await assert.rejects(readKeyFile(file, 'a sunny day'), (error: Error) => {
        assert.ok(isSolarError(error, 'key_malformed'))
        assert.match(error.message, reason)
        return true
      })
    }
    await createKeyFile(join(folder, 'good.key'), { randomBytes, passphrase: 'a sunny day', workFactor: 8 })
    const bytes = armor.decode(readFileSync(join(folder, 'good.key'), 'utf8'))
    for (const damaged of [bytes.subarray(0, -1), bytes.subarray(0, 60)]) {
      writeFileSync(file, armor.encode(damaged))
      await assert.rejects(readKeyFile(file, 'a sunny day'), refuses('key_malformed'))
    }
  })

  it('refuses a file that others can read, and says what to do', async () => {
    await createKeyFile(file, { randomBytes })
    for (const mode of [0o640, 0o604, 0o620, 0o601]) {
      chmodSync(file, mode)
      await assert.rejects(readKeyFile(file), refuses('key_exposed'))
      await assert.rejects(readKeyFile(file), /chmod 600/)
    }
    chmodSync(file, 0o400)
    assert.ok(await readKeyFile(file))
  })

  it('refuses what is no key file without showing what it holds', async () => {
    const { publicKey, secret } = await createKeyFile(file, { randomBytes })
    const hex = bytesToHex(secret)
    const good = { version: 1, kind: 'solar-node-key', public_key: publicKey, secret_key: hex }
    const other = (hex.startsWith('0') ? '1' : '0') + hex.slice(1)
    const bad: readonly string[] = [
      '',
      hex,
      `{"secret_key": "${hex}"`,
      JSON.stringify({ ...good, version: 2 }),
      JSON.stringify({ ...good, secret_key: hex.toUpperCase() + 'z' }),
      JSON.stringify({ ...good, extra: hex }),
      JSON.stringify({ ...good, secret_key: other }),
      `${JSON.stringify(good)}${' '.repeat(20_000)}`,
    ]
    for (const content of bad) {
      writeFileSync(file, content)
      await assert.rejects(readKeyFile(file), refuses('key_malformed', hex.slice(8, 24)))
    }
  })

  it('says that there is no file, or that it is none', async () => {
    await assert.rejects(readKeyFile(file), refuses('key_missing'))
    await assert.rejects(createKeyFile(join(folder, 'no', 'a.key'), { randomBytes }), refuses('key_unreadable'))
    chmodSync(folder, 0o700)
    await assert.rejects(readKeyFile(folder), refuses('key_unreadable'))
  })

  it('takes a passphrase from the first line of a file', async () => {
    writeFileSync(file, 'a sunny day\r\nignored\n')
    assert.equal(await readPassphraseFile(file), 'a sunny day')
    writeFileSync(file, '\n')
    await assert.rejects(readPassphraseFile(file), refuses('passphrase_unusable'))
    for (const unmeant of ['open\0sesame\n', '\0', Buffer.from('open', 'utf16le'), '\x1b[A\n']) {
      writeFileSync(file, unmeant)
      await assert.rejects(readPassphraseFile(file), refuses('passphrase_unusable', 'open'))
    }
    await assert.rejects(readPassphraseFile(join(folder, 'none')), refuses('passphrase_unusable'))
  })
})

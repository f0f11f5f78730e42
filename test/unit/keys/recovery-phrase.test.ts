import assert from 'node:assert/strict'
import { stat, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createPhraseFile, readKeyFile } from '../../../src/keys/key-file.ts'
import { phraseOf, secretOfPhrase } from '../../../src/keys/recovery-phrase.ts'
import { hexToBytes } from '../../../src/protocol/bytes.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { signingKeyFromSecret } from '../../../src/protocol/signature.ts'
import { tempDir } from '../../helpers/temp.ts'

/** Of the test vectors that BIP39 names (Trezor's), those of 32 bytes. */
const VECTORS = [
  ['00'.repeat(32), `${'abandon '.repeat(23)}art`],
  ['ff'.repeat(32), `${'zoo '.repeat(23)}vote`],
  [
    '9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863',
    'panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich ' +
      'alcohol speed nation flash devote level hobby quick inner drive ghost inside',
  ],
] as const

describe('a recovery phrase', () => {
  for (const [secret, phrase] of VECTORS) {
    it(`is the secret ${secret.slice(0, 8)}… in the words of BIP39`, async () => {
      assert.equal(await phraseOf(hexToBytes(secret)), phrase)
      assert.deepEqual(await secretOfPhrase(phrase, 'here'), hexToBytes(secret))
    })
  }

  const words = VECTORS[2][1].split(' ')
  it('is read as people type it', async () => {
    const typed = ` ${words.map((word) => word.toUpperCase()).join(' \n\t')}\r\n`
    assert.deepEqual(await secretOfPhrase(typed, 'here'), hexToBytes(VECTORS[2][0]))
  })

  const refusals: readonly (readonly [string, string, RegExp])[] = [
    ['too few words', words.slice(1).join(' '), /has 24 words, there are 23/],
    ['too many words', [...words, 'zoo'].join(' '), /has 24 words, there are 25/],
    ['a word that is none of the list', words.with(6, 'mufin').join(' '), /word 7 .* is not in the list/],
    ['another word of the list', words.with(6, 'zoo').join(' '), /checksum/],
    ['two words that changed places', words.with(0, words[1]!).with(1, words[0]!).join(' '), /checksum/],
  ]
  for (const [what, text, reason] of refusals) {
    it(`with ${what} is refused without quoting a word`, async () => {
      await assert.rejects(secretOfPhrase(text, 'safe.words'), (error) => {
        assert.ok(isSolarError(error, 'key_malformed'))
        assert.match(error.message, reason)
        assert.match(error.message, /^safe\.words is not a key file/)
        assert.doesNotMatch(error.message, /panda|eyebrow|mufin|zoo/)
        return true
      })
    })
  }

  describe('in a file', () => {
    let folder: Awaited<ReturnType<typeof tempDir>>
    let path: string
    beforeEach(async () => {
      folder = await tempDir()
      path = join(folder.path, 'safe.words')
    })
    afterEach(() => folder.remove())
    const randomBytes = () => hexToBytes(VECTORS[2][0])

    it('is the words alone, closed to others, and is read as a key file is', async () => {
      const made = await createPhraseFile(path, { randomBytes })
      assert.equal(await readFile(path, 'utf8'), `${VECTORS[2][1]}\n`)
      assert.equal((await stat(path)).mode & 0o777, 0o600)
      assert.deepEqual(await readKeyFile(path), made)
      assert.equal(made.publicKey, signingKeyFromSecret(randomBytes()).publicKey)
    })

    it('may be encrypted', async () => {
      await createPhraseFile(path, { randomBytes, passphrase: 'open', workFactor: 10 })
      assert.match(await readFile(path, 'utf8'), /^-----BEGIN AGE ENCRYPTED FILE-----/)
      assert.deepEqual((await readKeyFile(path, 'open')).secret, randomBytes())
    })

    it('names the file where it is wrong', async () => {
      await writeFile(path, words.slice(2).join('\n'), { mode: 0o600 })
      await assert.rejects(
        readKeyFile(path),
        /safe\.words is not a key file: a recovery phrase has 24 words, there are 22/,
      )
    })
  })
})

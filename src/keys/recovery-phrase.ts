import { keyError } from './errors.ts'

/** 256 bits of secret and 8 of checksum, 11 a word. */
const WORDS = 24

/** Only who has words needs the library. */
async function load() {
  const [bip39, { wordlist }] = await Promise.all([import('@scure/bip39'), import('@scure/bip39/wordlists/english.js')])
  return { ...bip39, wordlist }
}

/** A 32-byte secret as 24 English words (BIP39: the secret is the entropy, nothing is derived). */
export async function phraseOf(secret: Uint8Array): Promise<string> {
  const { entropyToMnemonic, wordlist } = await load()
  return entropyToMnemonic(secret, wordlist)
}

/**
 * The secret of 24 words, in whatever case and spacing they were typed. Throws `key_malformed`, which says which word is not one of
 * the list by its place, never by what it is.
 *
 * @param source for people: where the words are from
 */
export async function secretOfPhrase(text: string, source: string): Promise<Uint8Array> {
  const { mnemonicToEntropy, wordlist } = await load()
  const words = text.trim().toLowerCase().split(/\s+/)
  const refused = (reason: string) => keyError('key_malformed', { file: source, reason })
  if (words.length !== WORDS) throw refused(`a recovery phrase has ${WORDS} words, there are ${words.length}`)
  const known = new Set(wordlist)
  const unknown = words.findIndex((word) => !known.has(word))
  if (unknown >= 0) throw refused(`word ${unknown + 1} of the recovery phrase is not in the list of BIP39`)
  try {
    return mnemonicToEntropy(words.join(' '), wordlist)
  } catch {
    throw refused('the checksum of the recovery phrase does not fit: a word is another, or two changed places')
  }
}

/** Words alone: what a key file is not. */
export const isPhrase = (content: string): boolean => /^\s*[A-Za-z]/.test(content)

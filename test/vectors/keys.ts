import { bytesToHex } from '../../src/protocol/bytes.ts'
import { sha256, sha256Hex } from '../../src/protocol/hash.ts'
import { signingKeyFromSecret, type TestKey } from '../helpers/sign-now.ts'

/** Names of the test keys; the secret of each is sha256("solar-node TEST KEY, never use: " + name). */
export const KEY_NAMES = ['authority', 'recovery', 'validator-1', 'validator-2', 'alice', 'bob', 'stranger'] as const
export type KeyName = (typeof KEY_NAMES)[number]

/** RFC 8032 seed of a test key. Public by construction: whoever reads this file has it. */
export const testSecret = (name: string): Uint8Array => sha256(`solar-node TEST KEY, never use: ${name}`)

export const testKey = (name: KeyName): TestKey => signingKeyFromSecret(testSecret(name))

export const testSecretHex = (name: KeyName): string => bytesToHex(testSecret(name))

/** 128 "random" bits, the same on each run. */
export const testNonce = (label: string | number): string => sha256Hex(`solar-node test nonce ${label}`).slice(0, 32)

/** Leaf `i` of the block Merkle vectors. */
export const testLeaf = (i: number): string => sha256Hex(`solar-node test leaf ${i}`)

/** Header hash `i` of the history vectors. */
export const testHeaderHash = (i: number): string => sha256Hex(`solar-node test header ${i}`)

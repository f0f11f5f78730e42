/**
 * The one place where the protocol looks at its host. On Node it finds node:crypto through `process.getBuiltinModule`,
 * which bundlers do not follow; in browsers there is none and the @noble code runs. Both give the same answers.
 */
export interface NativeKey {
  readonly type: string
}

/** The part of node:crypto that the fast paths use. */
export interface NativeCrypto {
  hash(algorithm: 'sha256', data: Uint8Array | string, encoding: 'hex' | 'latin1'): string
  createPublicKey(input: { key: { kty: 'OKP'; crv: 'Ed25519'; x: string }; format: 'jwk' }): NativeKey
  createPrivateKey(input: { key: { kty: 'OKP'; crv: 'Ed25519'; x: string; d: string }; format: 'jwk' }): NativeKey
  sign(algorithm: null, data: Uint8Array, key: NativeKey): Uint8Array
  verify(algorithm: null, data: Uint8Array, key: NativeKey, signature: Uint8Array): boolean
}

interface Host {
  readonly process?: { readonly getBuiltinModule?: (id: string) => unknown }
}

function findNativeCrypto(host: Host): NativeCrypto | undefined {
  const found = host.process?.getBuiltinModule?.('node:crypto') as Partial<NativeCrypto> | undefined
  return typeof found?.hash === 'function' ? (found as NativeCrypto) : undefined
}

/** node:crypto on Node, `undefined` elsewhere. */
export const nativeCrypto: NativeCrypto | undefined = findNativeCrypto(globalThis as Host)

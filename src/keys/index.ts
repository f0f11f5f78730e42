export * from './durable-file.ts'
export * from './errors.ts'
export * from './key-file.ts'
export * from './passphrase.ts'

import { configError } from '../config/errors.ts'
import type { SignerConfig } from '../config/types.ts'
import { readSecretFile, exposedWords } from '../keys/secret-file.ts'
import { steadyNow, type Clock } from '../ports/clock.ts'
import { fileTrouble } from '../ports/file-trouble.ts'
import type { Logger } from '../ports/logger.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Vote } from '../protocol/vote.ts'
import type { AuthorityKeys } from './authority-keys.ts'
import { createSignerClient, type SignerClient, type SignerState } from './signer-client.ts'

/** The signer of a node: its keys as they were when it was last asked, and whether it answers. */
export interface NodeSigner extends AuthorityKeys {
  /** As it was configured. */
  readonly name: string
  readonly chainId: Hash
  readonly publicKeys: readonly Hex[]
  /** The header of the highest height that a key had sealed when the signer was last asked. */
  sealed(publicKey: Hex): SealedHeader | null
  /** The ack that a key had signed last when the signer was last asked. */
  acked(publicKey: Hex): Vote | null
  /** For people: why it signs nothing; `undefined` while it does. */
  reason(): string | undefined
  /** Goes on asking. `onBack`: it signs again. */
  start(watching: SignerWatching): void
  stop(): void
}

export interface SignerWatching {
  /** What the log says that the node does not do without its signer: NOT SEALING. */
  readonly failing: string
  /** The key that the registry names now, if it names one. */
  readonly needed: () => Hex | undefined
  readonly onBack: () => void
}

const LOOK_EVERY_MS = 2_000
/** A signer that is started at the same time is there by then. */
const START_PATIENCE_MS = 10_000
const START_RETRY_MS = 500
const MAX_TOKEN_BYTES = 64 * 1024
/** Who can reach the port can try as many as he likes. */
const TOKEN = /^[\x21-\x7e]{32,512}$/

/**
 * Finds the signer of a node that has one, waiting for it a little. Throws `not_ready` where it does not answer, `signer_refused`,
 * `config_conflict` for its token.
 */
export async function signerOf(
  { signer }: { readonly signer?: SignerConfig },
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<NodeSigner | undefined> {
  if (signer === undefined) return undefined
  const { address, tokenFile } = signer
  const token = tokenFile === undefined ? undefined : await readSignerToken(tokenFile, 'signer_token_file')
  const client = createSignerClient({ address, token })
  return createNodeSigner(client, await firstState(client, clock), { clock, logger })
}

async function firstState(client: SignerClient, clock: Clock): Promise<SignerState> {
  const startedAt = steadyNow(clock)
  for (;;) {
    try {
      return await client.keys()
    } catch (error) {
      const isLate = steadyNow(clock) - startedAt > START_PATIENCE_MS
      if (isLate || !isSolarError(error, 'not_ready')) throw error
      await new Promise<void>((resolve) => clock.after(START_RETRY_MS, resolve))
    }
  }
}

function createNodeSigner(
  client: SignerClient,
  first: SignerState,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): NodeSigner {
  let state = first
  let fault: string | undefined
  let needed: SignerWatching['needed'] = () => undefined
  let failing = 'NOT SIGNING'
  let cancel = (): void => undefined
  let stopped = false

  const keyState = (publicKey: Hex) => state.keys.find(({ public_key }) => public_key === publicKey)
  const publicKeys = (): readonly Hex[] => state.keys.map(({ public_key }) => public_key)

  function reason(): string | undefined {
    if (fault !== undefined) return fault
    const key = needed()
    if (key === undefined || publicKeys().includes(key)) return undefined
    return `the signer at ${client.name} does not have the key ${key}, which the registry names: start it with its --key-file`
  }

  function note(error: unknown): void {
    const message = reasonOf(error)
    if (fault === undefined && !stopped) logger.error({ error }, `${failing}: ${message}`)
    fault = message
  }

  async function look(onBack: () => void): Promise<void> {
    const before = reason()
    try {
      state = await client.keys()
      fault = undefined
    } catch (error) {
      note(error)
    }
    if (stopped) return
    const now = reason()
    if (now !== undefined && now !== before && fault === undefined) logger.error({}, `${failing}: ${now}`)
    if (now !== undefined || before === undefined) return
    logger.info({}, `the signer at ${client.name} signs again`)
    onBack()
  }

  function schedule(onBack: () => void): void {
    cancel = clock.after(LOOK_EVERY_MS, () => {
      void look(onBack).then(() => {
        if (!stopped) schedule(onBack)
      })
    })
  }

  const keyWith = (publicKey: Hex): SigningKey => ({
    publicKey,
    async sign(message) {
      try {
        return await client.sign(publicKey, message)
      } catch (error) {
        // A refusal is about one message; no answer is about all.
        if (isSolarError(error, 'not_ready')) note(error)
        throw error
      }
    },
  })

  return {
    name: client.name,
    chainId: first.chain_id,
    get publicKeys() {
      return publicKeys()
    },
    keyOf: (publicKey) => Promise.resolve(publicKeys().includes(publicKey) ? keyWith(publicKey) : undefined),
    sealed: (publicKey) => keyState(publicKey)?.sealed ?? null,
    acked: (publicKey) => keyState(publicKey)?.acked ?? null,
    reason,
    start(watching) {
      needed = watching.needed
      failing = watching.failing
      const found = reason()
      if (found !== undefined) logger.error({}, `${failing}: ${found}`)
      schedule(watching.onBack)
    },
    stop() {
      stopped = true
      cancel()
    },
  }
}

/** Who says that it is not ready says so itself. */
function reasonOf(error: unknown): string {
  if (isSolarError(error, 'not_ready')) return (error.fields as { readonly reason: string }).reason
  return error instanceof Error ? error.message : String(error)
}

/**
 * The token that a signer takes, from the file that both sides have. Throws `config_conflict`, which never shows the file.
 *
 * @param setting that names the file
 */
export async function readSignerToken(file: string, setting: string): Promise<string> {
  const refuse = (reason: string, cause?: unknown): Error =>
    configError('config_conflict', { reason: `${setting}: ${file}: ${reason}` }, cause)
  const read = await readSecretFile(file, { maxBytes: MAX_TOKEN_BYTES }).catch((error: unknown) => {
    throw refuse(fileTrouble(error), error)
  })
  if ('fault' in read) throw refuse(read.fault === 'exposed' ? exposedWords(file, read.mode) : read.reason)
  const token = read.bytes.toString('utf8').trim()
  if (TOKEN.test(token)) return token
  throw refuse(
    'expected one token as plain text, of 32 characters or more (head -c 32 /dev/urandom | base64 makes one)',
  )
}

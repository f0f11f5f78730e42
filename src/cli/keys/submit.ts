import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, systemRandomBytes } from '../../node/clock.ts'
import { writeOutFile } from '../../node/out-file.ts'
import { withPatience } from '../../node/waiting.ts'
import { bytesToHex, type Hash } from '../../protocol/bytes.ts'
import {
  countersign,
  decodePostedRegistryTransaction,
  signRegistryTransaction,
  type PostedRegistryTransaction,
  type RegistryTransactionBody,
} from '../../protocol/registry-transaction.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { hash32 } from '../../protocol/shape.ts'
import { hashTransaction } from '../../protocol/transaction.ts'
import { fromShape } from '../../config/values.ts'
import { UsageError } from '../output.ts'
import { processTerminal } from '../passphrase.ts'
import { createHttpClient } from '../replay/http-client.ts'
import { readTokenFile } from '../token-file.ts'
import { inForceSince, type ChangeFields, type RegistryChange } from './change.ts'
import { registryError } from './errors.ts'
import { confirmPolicy } from './policy-warning.ts'
import { createRegistryClient, type ChangeAnswer, type RegistryAnswer, type RegistryClient } from './registry-client.ts'

/** Where a change goes. */
export interface Target {
  /** http or https URL of the authority. */
  readonly to: string
  /** The chain to sign for; absent: whichever the authority has. */
  readonly chain?: string
  /** File with one token as plain text. */
  readonly tokenFile?: string
  /** Changes a policy also where too few were seen voting. */
  readonly yes?: true
}

/** What became of a change. */
export interface Submitted {
  readonly chainId: Hash
  /** `null`: the registry was so already and nothing was sent. */
  readonly accepted: { readonly id: string; readonly tick_id: string; readonly tx_hash: Hash } | null
  /** Since when it is so; `null` if its block was not seen in time. */
  readonly height: number | null
}

/** An authority that restarts is waited for this long. */
const PATIENCE_MS = 10_000
/** The block follows the 202 at once; a busy authority may take longer. */
const BLOCK_PATIENCE_MS = 10_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1_000
const NONCE_BYTES = 16

/**
 * Signs a change for the authority's chain, posts it and waits for its block. Lost answers are asked for again with the
 * same signed bytes, which the authority takes once.
 *
 * @param notice tells people why it takes so long
 */
export async function submitChange(
  change: RegistryChange,
  target: Target,
  notice: (line: string) => void,
): Promise<Submitted> {
  checkAuthorityKey(change)
  return await withAuthority(target, notice, async (client, chainId) => {
    const registry = await client.registry()
    const before = inForceSince(change, registry)
    if (before !== undefined) return { chainId, accepted: null, height: before }
    await confirmPolicy(change.fields, client, { yes: target.yes === true, terminal: processTerminal })
    const transaction = await signedChange(change, chainId, registry)
    const accepted = await post(change, transaction, client, notice)
    const height = await withPatience('the block', notice, () => heightOf(change, client))
    return { chainId, accepted, height }
  })
}

/**
 * Signs a change for the authority's chain and writes it into a file, for an authority's operator to countersign and post:
 * for keys that are on two machines. Sends nothing. Throws as `writeOutFile`.
 */
export async function writeRequest(
  change: RegistryChange,
  target: Target & { readonly out: string },
  notice: (line: string) => void,
): Promise<{ readonly chainId: Hash }> {
  return await withAuthority(target, notice, async (client, chainId) => {
    const transaction = await signedChange(change, chainId, await client.registry())
    await change.newKey?.save()
    const body = { transaction, ...(change.userId !== undefined && { user_id: change.userId }) }
    await writeOutFile({ path: target.out }, [`${JSON.stringify(body, null, 2)}\n`])
    return { chainId }
  })
}

/** Runs `work` with the calls of the authority, of the chain that is pinned. Throws `other_chain`. */
async function withAuthority<T>(
  target: Target,
  notice: (line: string) => void,
  work: (client: RegistryClient, chainId: Hash) => Promise<T>,
): Promise<T> {
  const baseUrl = authorityUrl(target.to)
  const pinned = target.chain === undefined ? undefined : pinnedChain(target.chain)
  const token = target.tokenFile === undefined ? undefined : await readTokenFile(target.tokenFile)
  const { signal } = new AbortController()
  const http = createHttpClient({ baseUrl, token, patienceMs: PATIENCE_MS, signal, notice })
  try {
    const client = createRegistryClient(http)
    const chainId = await client.chainId()
    if (pinned !== undefined && pinned !== chainId) {
      throw registryError('other_chain', { url: target.to, chain_id: chainId, expected: pinned })
    }
    return await work(client, chainId)
  } finally {
    http.close()
  }
}

/** Throws `UsageError` where the enrolment would be refused for want of an authority's key. */
function checkAuthorityKey({ fields, authorityKey }: RegistryChange): void {
  if (fields.action !== 'enrol' || fields.role === 'voter' || authorityKey !== undefined) return
  throw new UsageError(
    `--role ${fields.role}: an authority signs as well, name its key file with --authority-key FILE; where that is on another ` +
      'machine, --out FILE writes what is signed here, for `solar-node keys countersign FILE` there',
  )
}

/** Throws `no_countersigner`. */
async function signedChange(
  { fields, key, signed, authorityKey }: RegistryChange,
  chainId: Hash,
  { entries }: RegistryAnswer,
): Promise<PostedRegistryTransaction> {
  const body = bodyOf(fields)
  const own = signed ?? (key && (await signRegistryTransaction(body, chainId, key)))
  if (own === undefined) throw new Error('a change without a key and without a signature')
  if (authorityKey === undefined || (own.action !== 'enrol' && own.action !== 'recover')) return own
  const { publicKey } = authorityKey
  const isOwn = (entry: (typeof entries)[number]) => entry.role === 'authority' && entry.status === 'active'
  const authority = entries.find((entry) => isOwn(entry) && entry.public_key === publicKey)
  if (authority === undefined) {
    throw registryError('no_countersigner', { what: `${own.action} of ${own.subject_id}`, public_key: publicKey })
  }
  return await countersign(own, authority.id, chainId, authorityKey)
}

/**
 * Posts the change. The file of a new key is there before anything is sent, and goes again where the authority refuses the change for
 * certain: it stays where nobody can tell, and the next run takes it up.
 */
async function post(
  { newKey, userId }: RegistryChange,
  transaction: PostedRegistryTransaction,
  client: RegistryClient,
  notice: (line: string) => void,
): Promise<ChangeAnswer & { readonly tx_hash: Hash }> {
  await newKey?.save()
  // What operators of validators allow.
  const tx_hash = hashTransaction(decodePostedRegistryTransaction(transaction))
  try {
    return { ...(await client.change(transaction, userId)), tx_hash }
  } catch (error) {
    if (newKey?.created !== true) throw error
    const isRefused = isSolarError(error, 'refused') || isSolarError(error, 'no_access')
    // Asked once more: a key that the chain has is never lost.
    const isFree =
      isRefused &&
      (await client.registry().then(
        ({ entries }) => isUnknown(entries, newKey.publicKey),
        () => false,
      ))
    if (isFree) await newKey.discard()
    else notice(`${newKey.file} stays, its key may have been registered: the same command again goes on with it`)
    throw error
  }
}

const isUnknown = (entries: RegistryAnswer['entries'], publicKey: string): boolean =>
  entries.every((entry) => entry.public_key !== publicKey && entry.recovery_key !== publicKey)

/** A nonce of its own makes the transaction, and the tick that seals it, unique. */
function bodyOf(fields: ChangeFields): RegistryTransactionBody {
  const nonce = bytesToHex(systemRandomBytes(NONCE_BYTES))
  return { kind: 'registry', id: `${fields.action}:${nonce}`, timestamp: systemClock.now(), nonce, ...fields }
}

async function heightOf(change: RegistryChange, client: RegistryClient): Promise<number | null> {
  const deadline = performance.now() + BLOCK_PATIENCE_MS
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const height = inForceSince(change, await client.registry())
    if (height !== undefined) return height
    if (performance.now() + pauseMs >= deadline) return null
    await sleep(pauseMs)
  }
}

/** The value of --to, to which calls are relative. Throws UsageError. */
export function authorityUrl(to: string): URL {
  const url = URL.canParse(to) ? new URL(to) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`--to: expected a URL such as http://127.0.0.1:8080, got ${JSON.stringify(to)}`)
  }
  return new URL(url.pathname.endsWith('/') ? url.href : `${url.origin}${url.pathname}/`)
}

function pinnedChain(text: string): Hash {
  const chainId = fromShape(hash32)(text)
  if (chainId !== undefined) return chainId
  throw new UsageError(`--chain: expected a chain_id, 64 lower-case hex characters, got ${JSON.stringify(text)}`)
}

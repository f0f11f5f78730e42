import type { Privacy } from '../ports/ledger.ts'
import type { SignerAddress } from '../ports/signer.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import type { Finality } from '../protocol/genesis.ts'

/** Port 0 picks a free one. `host` is a name or an address, IPv6 without brackets. */
export interface HttpAddress {
  readonly host: string
  readonly port: number
}

/** The SQL database; `path` is absolute, `url` may hold a password: it is for the driver alone. */
export type DatabaseConfig =
  { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'postgres'; readonly url: string }

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A key that a new genesis registers, and the platform user it belongs to (kept in SQL, never on the chain). */
export interface ConfiguredKey {
  readonly id: string
  readonly publicKey: Hex
  readonly recoveryKey: Hex | null
  readonly userId: string | undefined
}

export interface SealConfig {
  readonly kind: 'authority' | 'work'
  /** Leading zero hex digits; 0 for kind authority. */
  readonly difficulty: number
}

/**
 * What the operator asked of the genesis. It is made on the first start; afterwards, and with `--genesis`, what is given
 * here must agree with the genesis that is there. `undefined`: not asked for.
 */
export interface GenesisSettings {
  readonly name: string | undefined
  readonly origin: string | undefined
  readonly currency: string | undefined
  readonly amountDecimals: number | undefined
  readonly finality: Finality | undefined
  readonly seal: SealConfig | undefined
  readonly voters: readonly ConfiguredKey[]
  readonly validators: readonly ConfiguredKey[]
}

/** Prices that the built-in market stays between, in micro-units per kWh. */
export interface PriceBand {
  readonly feedInMicro: bigint
  readonly retailMicro: bigint
}

/** A witness of checkpoints: where it takes them, and how it signs. */
export interface WitnessConfig {
  readonly url: string
  readonly name: string
  readonly public_key: Hex
}

/** Who makes the tokens of platform users, and how they are checked. */
export interface UserTokenConfig {
  /** Public keys from a URL, or a secret that is shared, in a file (absolute). */
  readonly source: { readonly kind: 'jwks'; readonly url: string } | { readonly kind: 'secret'; readonly file: string }
  /** `iss` and `aud` of every token. */
  readonly issuer: string
  readonly audience: string
  /** The claim that holds the user id, as the platform's trades have it. */
  readonly userClaim: string
}

/** A process that has the signing key in place of the data directory. */
export interface SignerConfig {
  readonly address: SignerAddress
  /** File with the bearer token that it takes. Absolute. */
  readonly tokenFile?: string
}

interface CommonConfig {
  /** Absolute. */
  readonly dataDirectory: string
  readonly http: HttpAddress | 'off'
  /** Multiaddrs to dial and keep. */
  readonly peers: readonly string[]
  /** Addresses and CIDR networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[]
  /** Origins whose pages may call this node over HTTP. */
  readonly corsOrigins?: readonly string[]
  /** File with the pre-shared key of a private libp2p network. Absolute. */
  readonly swarmKeyFile?: string
  /** Absent: the signing key is in the data directory. */
  readonly signer?: SignerConfig
  /** File with the passphrase of the key files, for key files that are encrypted. Absolute. */
  readonly passphraseFile: string | undefined
  readonly logLevel: LogLevel
}

export interface AuthorityConfig extends CommonConfig {
  readonly mode: 'authority'
  /** Origins under which HTTP is reached beside its own address. */
  readonly publicUrls?: readonly string[]
  /** Multiaddrs to listen on. */
  readonly listen: readonly string[]
  readonly database: DatabaseConfig
  /** 'off': ticks run only when somebody posts or runs one. */
  readonly tickIntervalMs: number | 'off'
  /** Absolute. */
  readonly genesisFile: string | undefined
  readonly genesis: GenesisSettings
  /**
   * How users are called on the chain; `undefined`: as they are called there already, on a new one as the
   * platform calls them.
   */
  readonly privacy?: Privacy | undefined
  /** Recipients of age that payloads are encrypted for besides the parties: those of auditors. */
  readonly payloadRecipients?: readonly string[]
  /** The outbox is looked at this often, whether or not the database tells of new rows. */
  readonly outboxPollMs: number
  /** Smaller orders are refused, in micro-kWh. */
  readonly minTradeMicro: bigint
  readonly priceBand: PriceBand | undefined
  /** Changes of the registry within an hour: of all together, and of one user. */
  readonly changeLimits: { readonly perHour: number; readonly perUserPerHour: number }
  /** Tokens of platform users; absent: none are taken. */
  readonly userTokens?: UserTokenConfig
  /** Witnesses that checkpoints are sent to. */
  readonly witnesses: readonly WitnessConfig[]
  /** HTTP requests per second and address, without a role token. */
  readonly rateLimitPerSecond: number
  /** Bodies of final blocks that are this old move into archive files. */
  readonly archiveAfterMs: number | 'off'
}

export interface LightConfig extends CommonConfig {
  readonly mode: 'light'
  /** The pin; `undefined`: trust on first use. */
  readonly chainId: Hash | undefined
  /** Headers kept. */
  readonly headerWindow: number
  readonly vote: boolean
  /** Without a new final header, or word that there is none, for this long it says `stale`. */
  readonly staleAfterMs: number
}

export interface ValidatorConfig extends CommonConfig {
  readonly mode: 'validator'
  /** Origins under which HTTP is reached beside its own address. */
  readonly publicUrls?: readonly string[]
  /** Multiaddrs to listen on. */
  readonly listen: readonly string[]
  /** The pin; `undefined`: trust on first use. */
  readonly chainId: Hash | undefined
  /** Ids of registry transactions whose change of the policy, an authority or a validator may be acked. */
  readonly allowedChanges: readonly string[] | 'all'
  /**
   * So many of `peers` must have said what its key has acked before, ere it acks after a start;
   * `undefined`: it decides.
   */
  readonly recallPeers?: number
  /** HTTP requests per second and address, without a role token. */
  readonly rateLimitPerSecond: number
  /** Bodies of final blocks that are this old move into archive files. */
  readonly archiveAfterMs: number | 'off'
}

export type NodeConfig = AuthorityConfig | LightConfig | ValidatorConfig

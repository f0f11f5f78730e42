import { reasonOf } from './deadline.ts'
import { DIAL_LIMIT_MS } from './limits.ts'

/** Only what an error says is looked at: libp2p, sockets and WebSockets have no classes of errors in common. */
const FACTS: readonly (readonly [RegExp, (text: string, address: string) => string])[] = [
  [
    /ECONNREFUSED/,
    () => 'connection refused, nothing listens there: check that the node runs, and that this is its port',
  ],
  [/ENOTFOUND|EAI_AGAIN|ENODATA|DNS/, () => 'its name is not found: check its spelling, and that DNS works here'],
  [/EHOSTUNREACH|ENETUNREACH|ENETDOWN/, () => 'there is no way to that host: check the network of this machine'],
  [
    /ETIMEDOUT|took longer than|timed? ?out/i,
    () => `no answer within ${DIAL_LIMIT_MS / 1000} s: check host and port, and firewalls on the way`,
  ],
  [/does not match expected remote identity key/, otherPeer],
  [
    /certificate|altname|CERT_|issuer/i,
    (text) => `its TLS certificate is not accepted (${text}): check host and certificate`,
  ],
  [
    /TLS|SSL|wrong version number/i,
    () => 'it does not speak TLS there: leave /tls or /wss out of the address, or check the port',
  ],
  [
    /Unexpected server response|EncryptionFailed|Unexpected EOF|Missing newline|ECONNRESET|EPIPE|socket hang up|could not negotiate|Protocol selection failed|Parse Error|bad response/i,
    (_text, address) =>
      `what listens there does not speak libp2p over ${isWebSocket(address) ? 'WebSocket' : 'TCP'}: check the port ` +
      `(it may be that of HTTP) and whether /ws belongs into the address`,
  ],
  [
    /no valid addresses|NoValidAddresses/i,
    () =>
      'no transport for such an address: expected TCP or WebSocket, such as /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW...',
  ],
]

/** Why an address could not be dialled, in one line for people: what is wrong, and what to look at. */
export function dialReason(address: string, thrown: unknown): string {
  const name = thrown instanceof Error ? thrown.name : ''
  const text = reasonOf(thrown)
  const known = FACTS.find(([pattern]) => pattern.test(text) || pattern.test(name))
  return known === undefined ? text : known[1](text, address)
}

const isWebSocket = (address: string): boolean => /\/wss?(\/|$)/.test(address)

function otherPeer(text: string): string {
  const [found = 'another'] = /12D3[1-9A-HJ-NP-Za-km-z]{1,64}/.exec(text) ?? []
  return `another node answers there, its peer id is ${found}: check /p2p/ in the address, and ask its operator for the right one`
}

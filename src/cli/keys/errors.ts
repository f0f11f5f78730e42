import { errorFactory, type ErrorTable } from '../../protocol/errors.ts'

/** Why a registry change was not made. All end with exit code 1. */
const registryErrors = {
  refused: (f: { what: string; status: number; code: string; detail: string }) =>
    `${f.what} was refused with HTTP ${f.status} ${f.code}: ${f.detail}`,
  no_access: (f: { what: string; status: number; detail: string }) =>
    `${f.what} was refused with HTTP ${f.status}: ${f.detail}. Enrolling takes a token, given with --token-file FILE: ` +
    'the value of "platform" (role voter only) or "operator" (any role) in tokens.json of the authority',
  no_countersigner: (f: { what: string; public_key: string }) =>
    `${f.what}: no active authority of this chain has the key ${f.public_key}, which --authority-key names: nothing was sent`,
  other_chain: (f: { url: string; chain_id: string; expected: string }) =>
    `${f.url} has the chain ${f.chain_id}, not ${f.expected}: nothing was signed`,
  bad_answer: (f: { what: string; reason: string }) =>
    `${f.what}: the answer is not that of a solar-node authority: ${f.reason}`,
} satisfies ErrorTable

export const registryError = errorFactory(registryErrors)

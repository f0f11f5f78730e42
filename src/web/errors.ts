import { errorFactory, isSolarError, type ErrorTable } from '../protocol/errors.ts'

const webErrors = {
  /** No answer at all, or not in time. */
  unreachable: (f: { path: string; reason: string }) => `${f.path}: the node does not answer (${f.reason})`,
  /** The node answered with a problem; `detail` is its sentence for people. */
  refused: (f: { path: string; status: number; code: string; detail: string }) => f.detail,
} satisfies ErrorTable

/** Errors of calls to the node. Answers of a wrong shape throw the protocol's `malformed`. */
export const webError = errorFactory(webErrors)

/** What the node refused with; `undefined` for any other error. */
export function refusalOf(error: unknown): Parameters<(typeof webErrors)['refused']>[0] | undefined {
  return isSolarError(error, 'refused') ? (error.fields as Parameters<(typeof webErrors)['refused']>[0]) : undefined
}

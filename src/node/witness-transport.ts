import { boundedText } from './bounded-text.ts'
import type { SendCheckpoint } from '../ports/witness.ts'

/** Of the whole exchange. */
const TIMEOUT_MS = 20_000
/** A cosignature is one line; a hundred of other witnesses may come with it. */
const MAX_ANSWER_BYTES = 64 * 1024

/**
 * Posts add-checkpoint over HTTP, below the submission prefix of the witness, and nowhere else: where it redirects to may be a service
 * that only this machine reaches, so that its 3xx is the answer. Rejects for an answer of more than 64 KiB.
 */
export const sendCheckpoint: SendCheckpoint = async (url, body) => {
  const prefix = url.endsWith('/') ? url : `${url}/`
  const response = await fetch(new URL('add-checkpoint', prefix), {
    method: 'POST',
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body,
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  return {
    status: response.status,
    contentType: response.headers.get('content-type') ?? '',
    body: await boundedText(response, MAX_ANSWER_BYTES),
  }
}

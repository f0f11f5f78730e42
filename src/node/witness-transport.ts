import type { SendCheckpoint } from '../ports/witness.ts'

const TIMEOUT_MS = 20_000

/** Posts add-checkpoint over HTTP, below the submission prefix of the witness. */
export const sendCheckpoint: SendCheckpoint = async (url, body) => {
  const prefix = url.endsWith('/') ? url : `${url}/`
  const response = await fetch(new URL('add-checkpoint', prefix), {
    method: 'POST',
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  return {
    status: response.status,
    contentType: response.headers.get('content-type') ?? '',
    body: await response.text(),
  }
}

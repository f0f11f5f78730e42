import type { Stream } from '@libp2p/interface'
import { byteStream, type ByteStream } from '@libp2p/utils'
import { concatBytes } from '../protocol/bytes.ts'
import { asError } from './deadline.ts'

/** Length-prefixed frames (unsigned varint, as everywhere in libp2p) over one stream, in both directions. */
export interface FrameStream {
  /** Resolves when a first byte is there; false if the other side has ended the stream instead. */
  readable(signal: AbortSignal): Promise<boolean>
  /** Reads one frame. Throws `FrameTooLarge` before any of its payload is read, or an `Error` for a broken stream. */
  read(signal: AbortSignal): Promise<Uint8Array>
  /** Writes one frame; resolves when all of it has left this process's buffer, so that a slow reader is waited for. */
  write(payload: Uint8Array, signal: AbortSignal): Promise<void>
  /** True while both directions are open. */
  isOpen(): boolean
  /** Ends our direction and waits for the other side to end its own; resets the stream if that does not happen. */
  close(signal: AbortSignal): Promise<void>
  abort(reason: unknown): void
}

/** The other side announced a frame beyond the limit. */
export class FrameTooLarge extends Error {
  override readonly name = 'FrameTooLarge'
}

/** 28 bits: more than any limit of the protocol. */
const MAX_PREFIX_BYTES = 4
/** Beyond a frame: the start of the next one, in a chunk of the muxer. */
const BUFFER_SLACK_BYTES = 256 * 1024

/** Reads frames of at most `maxReadBytes`, and holds at most one frame and a chunk in memory in each direction. */
export function frameStream(stream: Stream, maxReadBytes: number, maxWriteBytes: number): FrameStream {
  const bytes = byteStream(stream, { maxBufferSize: maxReadBytes + BUFFER_SLACK_BYTES })
  stream.maxWriteBufferLength = maxWriteBytes + BUFFER_SLACK_BYTES
  let first: number | undefined
  return {
    readable: async (signal) => {
      first ??= await readFirstByte(stream, bytes, signal)
      return first !== undefined
    },
    read: async (signal) => {
      const length = await readLength(bytes, first, signal)
      first = undefined
      if (length > maxReadBytes) throw new FrameTooLarge(`a frame of ${length} bytes, at most ${maxReadBytes}`)
      if (length === 0) return new Uint8Array()
      return (await bytes.read({ bytes: length, signal })).subarray()
    },
    write: async (payload, signal) => {
      stream.send(concatBytes(encodeLength(payload.byteLength), payload))
      await writeBufferEmpty(stream, signal)
    },
    isOpen: () => stream.status === 'open' && stream.remoteWriteStatus === 'writable',
    close: async (signal) => {
      try {
        await stream.close({ signal })
        while ((await bytes.read({ signal })) !== null);
      } catch (reason) {
        stream.abort(asError(reason))
      }
    },
    abort: (reason) => stream.abort(asError(reason)),
  }
}

async function readFirstByte(
  stream: Stream,
  bytes: ByteStream<Stream>,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    return (await bytes.read({ bytes: 1, signal })).get(0)
  } catch (reason) {
    // An end between frames is how a stream ends; everything else is an error.
    if (!signal.aborted && stream.remoteWriteStatus === 'closed' && stream.status !== 'aborted') return undefined
    throw reason
  }
}

async function readLength(bytes: ByteStream<Stream>, first: number | undefined, signal: AbortSignal): Promise<number> {
  let length = 0
  let byte = first ?? (await bytes.read({ bytes: 1, signal })).get(0)
  for (let index = 0; index < MAX_PREFIX_BYTES; index++) {
    length += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) {
      if (byte === 0 && index > 0) break
      return length
    }
    byte = (await bytes.read({ bytes: 1, signal })).get(0)
  }
  throw new FrameTooLarge('a length prefix that no frame within the limits has')
}

/** The unsigned varint of `length`. */
export function encodeLength(length: number): Uint8Array {
  const prefix: number[] = []
  let rest = length
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) prefix.push((rest % 0x80) | 0x80)
  return Uint8Array.of(...prefix, rest)
}

function writeBufferEmpty(stream: Stream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      const open = stream.writeStatus !== 'closed'
      if (open && stream.writeBufferLength > 0 && !signal.aborted) return
      stream.removeEventListener('idle', settle)
      stream.removeEventListener('close', settle)
      signal.removeEventListener('abort', settle)
      if (signal.aborted) reject(asError(signal.reason))
      else if (open) resolve()
      else reject(new Error('the stream was closed while writing'))
    }
    stream.addEventListener('idle', settle)
    stream.addEventListener('close', settle)
    signal.addEventListener('abort', settle)
    settle()
  })
}

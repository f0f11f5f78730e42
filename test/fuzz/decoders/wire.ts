import '../../../src/network/node-shims.ts'
import { streamPair } from '@libp2p/utils'
import { encodeLength } from '../../../src/network/frames.ts'
import { createMeter } from '../../../src/network/meter.ts'
import { createPeerGuard } from '../../../src/network/guard.ts'
import { serveStream } from '../../../src/network/request-server.ts'
import { systemClock } from '../../../src/node/clock.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { canonicalBytes, parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { MESSAGE_EXAMPLES } from '../message-examples.ts'
import { bytesDecoder, type Decoder } from '../decoder.ts'

const frame = (payload: Uint8Array): Buffer => Buffer.concat([encodeLength(payload.length), payload])
const REQUESTS = [MESSAGE_EXAMPLES.headersParams, MESSAGE_EXAMPLES.votesParams, MESSAGE_EXAMPLES.tradesParams]
  .flatMap((examples) => examples ?? [])
  .map((params) => frame(canonicalBytes(params)))

/** Bytes of a peer on a stream of ours: as many answers as it has asked for, or the end, and never an exception. */
export const wireDecoders: readonly Decoder[] = [
  bytesDecoder(
    'frames of a stream',
    [...REQUESTS, Buffer.concat(REQUESTS), Buffer.of(0), Buffer.of(0x80, 0x80, 0x80, 0x80, 1)],
    async (bytes) => {
      const [theirs, ours] = await streamPair({ delay: 0 })
      const words: string[] = []
      const served = serveStream({
        stream: ours,
        protocol: '/solar-node/1/fuzz',
        from: 'a-peer',
        guard: createPeerGuard({ places: 1, clock: systemClock, logger: silentLogger, meter: createMeter(() => 0) }),
        clock: systemClock,
        logger: {
          ...silentLogger,
          debug: (fields) => words.push('reason' in fields ? String(fields.reason).replace(/[0-9]+/g, '0') : 'ended'),
        },
        stopping: new AbortController().signal,
        handler: (params) => {
          words.push(`asked ${typeof params}`)
          return Promise.resolve({ params })
        },
      })
      theirs.addEventListener('message', ({ data }) => {
        // Whatever was sent, what comes back is a frame of canonical JSON.
        const answer = data.subarray()
        const start = answer.findIndex((byte) => byte < 0x80) + 1
        words.push(Object.keys(parseCanonicalBytes(answer.subarray(start)) as object).join(' '))
      })
      if (bytes.length > 0) theirs.send(bytes)
      await theirs.close({ signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
      await served
      const fault = words.find((word) => /^[A-Z]\w*Error|is not a|of undefined|of null/.test(word))
      if (fault !== undefined) throw new TypeError(fault)
      return words.join(', ')
    },
    { cost: 20 },
  ),
]

import { ANYONE } from '../access.ts'
import { defineCall, EVENT_STREAM, TAKEN, type Call } from '../call.ts'
import type { EventStream } from '../event-stream.ts'
import { documented } from '../schema.ts'

const EXAMPLE = `id: 1
event: final
data: {"header_hash":"${'a'.repeat(64)}","height":17,"finalized_at":1760000400000}

`

export const eventCalls = (events: EventStream): readonly Call[] => [
  defineCall({
    method: 'GET',
    path: '/events',
    access: ANYONE,
    summary: 'What happens, as it happens (server-sent events)',
    description:
      'Events: `header` {header, header_hash, signature, status}, `final` {header_hash, height, finalized_at}, `vote` {vote, votes}, `evidence` {evidence}. A client that was away asks for the newest headers; a client that does not read is dropped.',
    answer: documented<string>((value) => String(value), { type: 'string' }, EXAMPLE),
    contentType: EVENT_STREAM,
    statuses: { 200: 'A stream that stays open' },
    handle: ({ request, reply }) => {
      events.add(request, reply)
      return TAKEN
    },
  }),
]

import type { Ledger } from '../../ports/ledger.ts'
import { ANYONE } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { anyText } from '../schema.ts'

const CHECKPOINT_EXAMPLE = `ledger.example.org/sunny-street
18
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 ledger.example.org/sunny-street Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`

/** The history as other transparency logs publish theirs. */
export const checkpointCalls = (ledger: Ledger): readonly Call[] => [
  defineCall({
    method: 'GET',
    path: '/checkpoint',
    access: ANYONE,
    summary: 'The newest C2SP checkpoint: the history tree of the last final header, signed',
    description: 'With the cosignatures of witnesses that have come so far. 404 `no_final_header` before the first.',
    answer: anyText(CHECKPOINT_EXAMPLE),
    contentType: 'text/plain; charset=utf-8',
    statuses: { 200: 'A signed note (c2sp.org/tlog-checkpoint)' },
    handle: async () => ({ status: 200, body: await ledger.checkpoint() }),
  }),
]

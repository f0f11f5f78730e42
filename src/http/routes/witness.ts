import type { Witness } from '../../ports/witness.ts'
import { ANYONE } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { anyText } from '../schema.ts'

const BODY_EXAMPLE = `old 0

ledger.example.org/sunny-street
18
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 ledger.example.org/sunny-street Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`
const LINE_EXAMPLE = `\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`
const TEXT = 'text/plain; charset=utf-8'
const TLOG_SIZE = 'text/x.tlog.size'

/** A witness of checkpoints. Statuses and types of the answers are those of c2sp.org/tlog-witness. */
export const witnessCalls = (witness: Witness): readonly Call[] => [
  defineCall({
    method: 'POST',
    path: '/add-checkpoint',
    access: ANYONE,
    summary: 'Cosigns a checkpoint that extends the last one (c2sp.org/tlog-witness)',
    description:
      'The signature of the log is the credential. 400, 403 and 404 as the specification says, 409 with the size that was cosigned last, 422 for a proof that does not hold.',
    body: anyText(BODY_EXAMPLE),
    textBody: true,
    answer: anyText(LINE_EXAMPLE),
    contentType: TEXT,
    statuses: { 200: 'Signature lines', 409: 'Another size, or another root, was cosigned last: that size' },
    handle: async ({ body }) => {
      const answer = await witness.addCheckpoint(body)
      if (answer.status === 200) return answer
      if (answer.status === 409)
        return { status: 409, body: `${answer.size}\n`, headers: { 'content-type': TLOG_SIZE } }
      return { status: answer.status, body: `${answer.reason}\n` }
    },
  }),
]

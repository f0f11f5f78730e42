import { evidenceShape, verifyEvidence } from '../../../src/protocol/evidence.ts'
import { doubleSeal, startServer, type TestServer } from './harness.ts'
import assert from 'node:assert/strict'

describe('GET /evidence', () => {
  let server: TestServer

  beforeEach(async () => {
    server = await startServer()
  })
  afterEach(() => server.stop())
  const keep = (...kept: number[]): void => {
    for (const height of kept) server.ledger.emit({ type: 'evidence', evidence: doubleSeal(server.ledger, height) })
  }
  const heights = async (path: string): Promise<readonly number[]> => {
    const { evidence } = (await server.request('GET', path)).json as { evidence: unknown[] }
    return evidence.map((piece, index) => {
      const { kind, a } = evidenceShape(piece, `evidence[${index}]`)
      assert.ok(kind === 'double-seal')
      return a.header.height
    })
  }

  it('is empty while nobody has misbehaved', async () => {
    const { status, json } = await server.request('GET', '/evidence')
    assert.deepEqual([status, json], [200, { evidence: [] }])
  })

  it('shows everybody what anybody can check with the genesis alone', async () => {
    keep(0)
    const { status, json } = await server.request('GET', '/evidence/')
    assert.equal(status, 200)
    const [piece] = (json as { evidence: unknown[] }).evidence
    const { genesis, chainId } = server.ledger
    assert.deepEqual(verifyEvidence(evidenceShape(piece, 'evidence'), genesis, chainId), {
      ok: true,
      signer: 'proven',
      by: 'registry',
    })
  })

  it('gives the newest first, as many as asked for, 100 if nobody says', async () => {
    keep(...Array.from({ length: 120 }, (_, height) => height))
    assert.deepEqual(await heights('/evidence?n=3'), [119, 118, 117])
    assert.equal((await heights('/evidence')).length, 100)
    assert.equal((await heights('/evidence?n=1000')).length, 120)
  })

  it('refuses other numbers, other parameters and other methods', async () => {
    for (const query of ['n=0', 'n=1001', 'n=-1', 'n=1.5', 'n=', 'n=x', 'n=1&n=2', 'from=1']) {
      const { status, json } = await server.request('GET', `/evidence?${query}`)
      assert.deepEqual([status, json.code], [400, 'malformed'], query)
    }
    assert.equal((await server.request('POST', '/evidence', { body: {} })).status, 405)
  })
})

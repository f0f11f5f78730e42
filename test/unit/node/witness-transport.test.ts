import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sendCheckpoint } from '../../../src/node/witness-transport.ts'

describe('node/witness-transport', () => {
  const cleanUps: (() => void)[] = []
  afterEach(() => cleanUps.splice(0).forEach((cleanUp) => cleanUp()))

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanUps.push(() => {
      server.close()
      server.closeAllConnections()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  it('posts below the prefix, and gives back what is answered', async () => {
    const url = await serve((request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(`${request.method} ${request.url}`)
    })
    const answer = { status: 200, contentType: 'text/plain', body: 'POST /witness/add-checkpoint' }
    assert.deepEqual(await sendCheckpoint(`${url}/witness`, 'old 0\n'), answer)
    assert.deepEqual(await sendCheckpoint(`${url}/witness/`, 'old 0\n'), answer)
  })

  it('does not go where a witness redirects to', async () => {
    let asked = 0
    const inside = await serve((_request, response) => {
      asked++
      response.end('a secret')
    })
    for (const status of [301, 302, 303, 307, 308]) {
      const url = await serve((_request, response) => response.writeHead(status, { location: inside }).end())
      assert.deepEqual(await sendCheckpoint(url, 'old 0\n'), { status, contentType: '', body: '' })
    }
    assert.equal(asked, 0)
  })

  it('takes 64 KiB of an answer and hangs up on more', async () => {
    let hungUp: Promise<unknown> | undefined
    const url = await serve((request, response) => {
      if (request.url?.startsWith('/full') === true) {
        response.end('a'.repeat(64 * 1024))
        return
      }
      hungUp = once(response, 'close')
      const push = (): void => {
        while (!response.destroyed && response.write('a'.repeat(64 * 1024)));
        response.once('drain', push)
      }
      push()
    })
    assert.equal((await sendCheckpoint(`${url}/full`, 'old 0\n')).body.length, 64 * 1024)
    await assert.rejects(sendCheckpoint(`${url}/endless`, 'old 0\n'), /more than 65536 bytes/)
    assert.ok(hungUp !== undefined)
    await hungUp
  })
})

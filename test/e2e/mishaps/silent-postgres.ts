import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'

/** A server that asks for a password by SCRAM and then waits for ever, as PostgreSQL does for a minute. */
export async function silentPostgres(): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    let asked = false
    socket.on('data', (data) => {
      if (!asked) {
        asked = true
        socket.write(authentication(10, 'SCRAM-SHA-256\0\0'))
        return
      }
      const nonce = /r=([^,\0]+)/.exec(data.toString('latin1'))?.[1] ?? ''
      socket.write(authentication(11, `r=${nonce}x,s=c2FsdA==,i=4096`))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

function authentication(kind: number, text: string): Buffer {
  const body = Buffer.concat([Buffer.alloc(8), Buffer.from(text)])
  body.writeInt32BE(body.length, 0)
  body.writeInt32BE(kind, 4)
  return Buffer.concat([Buffer.from('R'), body])
}

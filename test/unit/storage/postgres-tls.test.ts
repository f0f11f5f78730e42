import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generate, type SelfsignedOptions } from 'selfsigned'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { openPostgresSession } from '../../../src/storage/sql/postgres-session.ts'
import { sharedPostgres, startPostgres, type PostgresServer } from '../../helpers/postgres.ts'
import { tempDir } from '../../helpers/temp.ts'

const LIMIT_MS = 5_000
/** Of a certificate for localhost that is its own authority. */
const EXTENSIONS: SelfsignedOptions['extensions'] = [
  { name: 'basicConstraints', cA: true },
  { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
]

describe('TLS to PostgreSQL', () => {
  let server: PostgresServer
  let plain: PostgresServer
  let folder: Awaited<ReturnType<typeof tempDir>>
  let ca: string

  before(async () => {
    plain = await sharedPostgres()
    folder = await tempDir()
    const subject = [{ name: 'commonName', value: 'test server of solar-node' }]
    const made = await generate(subject, { keyType: 'ec', algorithm: 'sha256', extensions: EXTENSIONS })
    const certificate = join(folder.path, 'server.crt')
    await writeFile(certificate, made.cert)
    await writeFile(join(folder.path, 'server.key'), made.private, { mode: 0o600 })
    ca = encodeURIComponent(certificate)
    server = await startPostgres({ tls: folder.path })
  })
  after(async () => {
    await server.stop()
    await folder.remove()
  })

  /** Whether the connection of this URL is encrypted. */
  async function isEncrypted(parameters: string, host = '127.0.0.1', to = server): Promise<boolean | undefined> {
    const session = await openPostgresSession(`${to.url('postgres').replace('127.0.0.1', host)}${parameters}`, LIMIT_MS)
    try {
      const [row] = await session.query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
      return row?.ssl
    } finally {
      await session.close()
    }
  }
  const refused = (work: Promise<unknown>, reason: RegExp) =>
    assert.rejects(work, (error) => isSolarError(error, 'store_failed') && reason.test(error.message))

  it('is there as sslmode says: not without it or when disabled, and without a check when required or preferred', async () => {
    const modes = ['', '?sslmode=disable', '?sslmode=prefer', '?sslmode=require']
    assert.deepEqual(await Promise.all(modes.map((mode) => isEncrypted(mode))), [false, false, true, true])
  })

  it('checks the certificate with verify-ca, and the name of the host too with verify-full', async () => {
    assert.equal(await isEncrypted(`?sslmode=verify-ca&sslrootcert=${ca}`), true)
    assert.equal(await isEncrypted(`?sslmode=verify-full&sslrootcert=${ca}`, 'localhost'), true)
    await refused(isEncrypted(`?sslmode=verify-full&sslrootcert=${ca}`), /does not match certificate/)
    await refused(isEncrypted('?sslmode=verify-full', 'localhost'), /self-signed certificate/)
    await refused(isEncrypted('?sslmode=verify-ca'), /requires specifying a CA/)
  })

  it('is not given up where the server has none, nor for a mode that is misspelt', async () => {
    for (const mode of ['prefer', 'require']) {
      await refused(isEncrypted(`?sslmode=${mode}`, '127.0.0.1', plain), /does not support SSL/)
    }
    await refused(isEncrypted('?sslmode=requier', 'localhost'), /self-signed certificate/)
  })
})

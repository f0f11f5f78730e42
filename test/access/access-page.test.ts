import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { PAGE, pageOf } from './page.ts'
import { accessTables, type Table } from './table.ts'

describe('who may call what', () => {
  let tables: readonly Table[]
  before(async () => {
    tables = await accessTables()
  })

  it('is as docs/access.md says, in every cell of every route', async () => {
    assert.equal(
      await pageOf(tables),
      await readFile(PAGE, 'utf8'),
      'npm run access writes the page anew: look at each change',
    )
  })

  it('lets nobody in without a credential but where everybody may be, and no credential that is none', () => {
    for (const { rows } of tables) {
      for (const { method, path, cells } of rows) {
        const row = `${method} ${path}`
        assert.equal(cells['unknown token'], cells.nobody === 'in' ? 'in' : '401', row)
        if (path !== '/metrics') assert.equal(cells.loopback, cells.nobody, row)
        const isPage = path === '/*' || path.startsWith('/docs')
        assert.equal(cells['other name'], cells.nobody === 'in' && !isPage ? '421' : cells.nobody, row)
        if (cells['revoked device'] !== undefined && method !== 'POST') {
          assert.equal(cells['revoked device'] === 'in', cells.nobody === 'in', row)
          assert.equal(cells['stale signature'] === 'in', cells.nobody === 'in', row)
          assert.equal(cells['expired token'] === 'in', cells.nobody === 'in', row)
        }
      }
    }
  })
})

import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readPage, ROOT } from '../../unit/docs/pages.ts'
import { hasReadersTools, openTerminal } from './terminal.ts'
import { walk } from './walk.ts'

/** Pages that a reader goes through on one machine, one after the other. */
const WALKS: readonly (readonly string[])[] = [['tutorials/platform']]

if (hasReadersTools) {
  describe('a reader who does what the documents say', () => {
    for (const pages of WALKS) {
      it(`gets what they show: ${pages.join(', then ')}`, async () => {
        const terminal = await openTerminal()
        try {
          await copyFile(`${ROOT}docs/examples/readings.csv`, join(terminal.folder, 'readings.csv'))
          for (const page of pages) await walk(readPage(`docs/${page}.md`), terminal)
        } finally {
          await terminal.close()
        }
      })
    }
  })
}

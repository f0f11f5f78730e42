import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readPage, ROOT } from '../../unit/docs/pages.ts'
import { hasReadersTools, openTerminal, type Terminal } from './terminal.ts'
import { walk } from './walk.ts'

/** Pages that a reader goes through on one machine, one after the other. */
const WALKS: readonly (readonly string[])[] = [
  ['tutorials/community', 'tutorials/household', 'tutorials/validator', 'tutorials/auditor'],
  ['tutorials/platform'],
  ['first-day'],
]

if (hasReadersTools) {
  describe('a reader who does what the documents say', () => {
    let terminal: Terminal | undefined

    // A hook and no `finally`: a test that its limit ends does not get there.
    afterEach(async () => {
      await terminal?.close()
      terminal = undefined
    })

    for (const pages of WALKS) {
      it(`gets what they show: ${pages.join(', then ')}`, async () => {
        terminal = await openTerminal()
        await copyFile(`${ROOT}docs/examples/readings.csv`, join(terminal.folder, 'readings.csv'))
        for (const page of pages) await walk(readPage(`docs/${page}.md`), terminal)
      })
    }
  })
}

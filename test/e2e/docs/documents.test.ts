import { readPage } from '../../unit/docs/pages.ts'
import { hasReadersTools, openTerminal } from './terminal.ts'
import { walk } from './walk.ts'

/** Pages that a reader goes through on one machine, one after the other. */
const WALKS: readonly (readonly string[])[] = [['docs/first-day.md']]

if (hasReadersTools) {
  describe('a reader who does what the documents say', () => {
    for (const pages of WALKS) {
      it(`gets what they show: ${pages.join(', then ')}`, async () => {
        const terminal = await openTerminal()
        try {
          for (const path of pages) await walk(readPage(path), terminal)
        } finally {
          await terminal.close()
        }
      })
    }
  })
}

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openLevel } from '../../../src/storage/level/level.ts'
import { diskLimits } from '../../helpers/disk-limits.ts'
import { tempDir } from '../../helpers/temp.ts'

const VALUE = 'x'.repeat(7_000)
const MAX_WRITES = 10_000
const keyOf = (n: number): string => `k${String(n).padStart(6, '0')}`

for (const limit of diskLimits().filter(({ isFileSystem }) => isFileSystem)) {
  describe(`LevelDB after ${limit.name}`, () => {
    it('keeps all that is written once there is room again, whatever the failed write left in the log', async () => {
      const folder = await tempDir()
      const place = join(folder.path, 'disk')
      await mkdir(place)
      const undo = await limit.prepare(place)
      try {
        await limit.tighten(place, process.pid)
        const db = await openLevel(join(place, 'level'))
        const write = async (n: number) => db.batch().put(keyOf(n), VALUE).put(`s${n}`, '1').write()
        let count = 0
        const failures: unknown[] = []
        while (failures.length === 0 && count < MAX_WRITES) {
          await write(count).then(
            () => count++,
            (error: unknown) => failures.push(error),
          )
        }
        assert.equal(failures.length, 1)
        // Refused while there is no room, to open it anew as well; readable or not, nothing of before is lost.
        await assert.rejects(write(count))
        await limit.makeRoom(place, process.pid)
        const end = count + 50
        // The first may find the database closed, or have it opened anew.
        for (let tries = 0; count < end && tries < end + 5; tries++) {
          await db.get(keyOf(0))
          await write(count).then(
            () => count++,
            () => undefined,
          )
        }
        assert.equal(count, end)
        await db.close()
        const again = await openLevel(join(place, 'level'))
        const found = await again.keys({ gte: 'k', lt: 'l' }).all()
        await again.close()
        assert.deepEqual(
          found,
          Array.from({ length: end }, (_, n) => keyOf(n)),
        )
      } finally {
        undo()
        await folder.remove()
      }
    })
  })
}

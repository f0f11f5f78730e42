import assert from 'node:assert/strict'
import { createSuccession, type SuccessionParts } from '../../../src/engine/succession.ts'
import { SOLE_LEADERSHIP } from '../../../src/ports/leadership.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { createStreet } from '../../helpers/branches.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'
import { replicaFolder } from './replica-harness.ts'

const HOUR = 3_600_000
const street = createStreet({ finality: { policy: 'authority' } })

describe('how an authority keeps up with its database', () => {
  for (const set of [HOUR, -HOUR]) {
    it(`goes on at once where the clock is set by ${set / HOUR} h while it looks`, async () => {
      const folder = await replicaFolder(street)
      const { chain } = await folder.open()
      const time = createVirtualClock(HOUR)
      let ahead = 0
      let looks = 0
      const parts = {
        chain,
        leadership: SOLE_LEADERSHIP,
        guard: { reason: () => undefined },
        right: { look: () => Promise.resolve(), next: () => 'block' },
        runner: {
          recover() {
            looks += 1
            // Somebody sets the clock at this moment, and the look takes 20 ms.
            ahead = set
            time.advance(20)
            return Promise.resolve()
          },
        },
        finality: { refresh: () => Promise.resolve() },
        readUsers: () => Promise.resolve(),
        redactor: { keepUp: () => Promise.resolve() },
        clock: {
          now: () => time.now() + ahead,
          monotonic: () => time.now(),
          after: (ms: number, task: () => void) => time.after(ms, task),
        },
        logger: silentLogger,
      }
      const succession = createSuccession(parts as unknown as SuccessionParts)
      const settled = async (): Promise<void> => {
        for (let n = 0; n < 50; n++) await Promise.resolve()
      }
      succession.start()
      await settled()
      assert.equal(looks, 1)
      time.advance(499)
      await settled()
      assert.equal(looks, 1)
      time.advance(1)
      await settled()
      assert.equal(looks, 2)
      await succession.stop()
      await folder.remove()
    })
  }
})

import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { BodyArchive } from '../ports/retention.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'

export interface ArchiverParts {
  readonly chain: Pick<Chain, 'headers'>
  readonly archive: BodyArchive
  readonly finalizer: Pick<Finalizer, 'finalHeight'>
  readonly clock: Clock
  readonly logger: Logger
  /** Bodies of final blocks whose time is at least this long ago are moved. */
  readonly afterMs: number
  /** Called after each file with the number of blocks that are archived. */
  readonly onArchived: (blocks: number) => void
}

/** Moves bodies that are old enough into the archive, beside everything else that the node does. */
export interface Archiver {
  /** Resolves when the file in hand is done; nothing is moved afterwards. */
  stop(): Promise<void>
}

/** Blocks grow old by the minute at the fastest. */
const CHECK_MS = 60_000

/** Begins at once. A file that cannot be written is tried again: the bodies stay where they are. */
export function startArchiver(parts: ArchiverParts): Archiver {
  const { archive, clock, logger, onArchived } = parts
  const stopping = new AbortController()
  let cancel = (): void => undefined

  async function moveAll(): Promise<void> {
    const end = await oldSize(parts)
    while (!stopping.signal.aborted) {
      const moved = await archive.archive(end)
      if (moved === undefined) return
      const { file, from, to, bytes } = moved
      logger.info(
        { file, from, to: to - 1, bytes, due: end - to },
        `blocks ${from} to ${to - 1} are in archive/${file}`,
      )
      onArchived(to)
    }
  }

  async function run(): Promise<void> {
    try {
      await moveAll()
    } catch (error) {
      logger.error({ error }, `old blocks stay in LevelDB: ${error instanceof Error ? error.message : String(error)}`)
    }
    if (stopping.signal.aborted) return
    cancel = clock.after(CHECK_MS, () => {
      running = run()
    })
  }

  onArchived(archive.archivedSize())
  let running = run()
  return {
    async stop() {
      stopping.abort()
      cancel()
      await running
    },
  }
}

/** How many blocks, from height 0 on, are final and old enough. Times of headers never fall, so halving finds the first that is not. */
async function oldSize({ chain, archive, finalizer, clock, afterMs }: ArchiverParts): Promise<number> {
  const youngest = clock.now() - afterMs
  let old = archive.archivedSize()
  let young = finalizer.finalHeight + 1
  while (old < young) {
    const middle = Math.floor((old + young) / 2)
    const [stored] = await chain.headers(middle, 1)
    if (stored !== undefined && stored.header.timestamp <= youngest) old = middle + 1
    else young = middle
  }
  return old
}

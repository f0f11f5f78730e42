import type { WitnessStore } from '../../ports/witness.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { hash32, integer, object } from '../../protocol/shape.ts'
import { decodeText } from '../decode.ts'
import { keyOf } from './keyspaces.ts'
import { DURABLE, guardLevel, openLevel, readText, type TextLevel } from './level.ts'

const treeShape = object({ size: integer(), root: hash32 })

/** Opens what a witness has cosigned, at a folder of its own. Throws `store_failed`. */
export async function openWitnessStore(location: string): Promise<WitnessStore> {
  return witnessStore(await openLevel(location))
}

/** What a witness has cosigned, in a database that is open. A put is synced when its call returns. */
export function witnessStore(db: TextLevel): WitnessStore {
  return {
    last: guardLevel('last', async (origin) => {
      const text = await readText(db, keyOf('cosigned', origin))
      return text === undefined ? undefined : decodeText(`level cosigned ${origin}`, text, treeShape)
    }),
    put: guardLevel('put', (origin, tree) => db.put(keyOf('cosigned', origin), canonicalText(tree), DURABLE)),
    close: guardLevel('close', () => db.close()),
  }
}

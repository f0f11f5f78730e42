import { OWN_VOTES_KEPT } from '../../ports/voter-store.ts'
import type { SignerMemory } from '../../ports/signer.ts'
import type { Hash, Hex } from '../../protocol/bytes.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { sealedHeaderShape } from '../../protocol/header.ts'
import { blockHeight } from '../../protocol/shape.ts'
import { voteShape } from '../../protocol/vote.ts'
import { decodeText } from '../decode.ts'
import { keyOf, sortable } from './keyspaces.ts'
import { DURABLE, guardLevel, openLevel, readText, readValue, type CheckRoom } from './level.ts'

/**
 * Opens what the keys of a signer have signed of one chain, at a folder of its own. Each put is one synced batch.
 * Throws `store_failed`; its calls `corrupt` too.
 */
export async function openSignerMemory(location: string, chainId: Hash, checkRoom?: CheckRoom): Promise<SignerMemory> {
  const db = await openLevel(location, checkRoom)
  const idOf = (publicKey: Hex): string => `${chainId}/${publicKey}`
  const ackKey = (publicKey: Hex, height: number): string =>
    keyOf('signedAck', `${idOf(publicKey)}/${sortable(height)}`)
  const highestAck = (publicKey: Hex): Promise<number | undefined> =>
    readValue(db, 'highestSignedAck', idOf(publicKey), blockHeight)

  return {
    sealed: guardLevel('sealed', (publicKey) => readValue(db, 'signedHeader', idOf(publicKey), sealedHeaderShape)),
    putSealed: guardLevel('putSealed', (publicKey, { header, signature }) =>
      db.put(keyOf('signedHeader', idOf(publicKey)), canonicalText({ header, signature }), DURABLE),
    ),
    acked: guardLevel('acked', async (publicKey, height) => {
      const key = ackKey(publicKey, height)
      const text = await readText(db, key)
      return text === undefined ? undefined : decodeText(`level ${key}`, text, voteShape)
    }),
    lastAck: guardLevel('lastAck', (publicKey) => readValue(db, 'lastSignedAck', idOf(publicKey), voteShape)),
    highestAck: guardLevel('highestAck', highestAck),
    putAck: guardLevel('putAck', async (publicKey, ack) => {
      const highest = Math.max((await highestAck(publicKey)) ?? -1, ack.height)
      const text = canonicalText(ack)
      const batch = db
        .batch()
        .put(ackKey(publicKey, ack.height), text)
        .put(keyOf('lastSignedAck', idOf(publicKey)), text)
      batch.put(keyOf('highestSignedAck', idOf(publicKey)), canonicalText(highest))
      const oldest = Math.max(0, highest - OWN_VOTES_KEPT + 1)
      const range = { gte: ackKey(publicKey, 0), lt: ackKey(publicKey, oldest) }
      for (const key of await db.keys(range).all()) batch.del(key)
      await batch.write(DURABLE)
    }),
    close: guardLevel('close', () => db.close()),
  }
}

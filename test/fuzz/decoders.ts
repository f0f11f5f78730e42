import { tempDir } from '../helpers/temp.ts'
import type { Decoder } from './decoder.ts'
import { fileDecoders } from './decoders/files.ts'
import { httpDecoders } from './decoders/http.ts'
import { protocolDecoders } from './decoders/protocol.ts'
import { textDecoders } from './decoders/texts.ts'
import { wireDecoders } from './decoders/wire.ts'

/** Everything here that reads what others wrote. `close` ends what some of them need: a server, a folder. */
export async function openDecoders(): Promise<{ readonly decoders: readonly Decoder[]; close(): Promise<void> }> {
  const folder = await tempDir()
  const http = await httpDecoders()
  return {
    decoders: [
      ...protocolDecoders,
      ...textDecoders,
      ...(await fileDecoders(folder.path)),
      ...wireDecoders,
      ...http.decoders,
    ],
    close: async () => {
      await http.close()
      await folder.remove()
    },
  }
}

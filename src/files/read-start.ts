import { open, type FileHandle } from 'node:fs/promises'

const CHUNK_BYTES = 64 * 1024

/** The start of a file: at most so many bytes, whatever its size says; also of a pipe. Rejects with the system's error. */
export async function readStart(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    return await readUpTo(file, maxBytes)
  } finally {
    await file.close()
  }
}

/** `readStart` of a file that is open. */
export async function readUpTo(file: FileHandle, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  while (length < maxBytes) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, maxBytes - length))
    const { bytesRead } = await file.read(chunk, 0, chunk.length)
    if (bytesRead === 0) break
    chunks.push(chunk.subarray(0, bytesRead))
    length += bytesRead
  }
  return Buffer.concat(chunks)
}

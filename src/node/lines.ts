/** Far above any block: what is longer is no line of a chain file, and is cut before it fills the memory. */
const MAX_LINE_CHARACTERS = 128 * 1024 * 1024

/** The lines of UTF-8 text, without their line breaks (\n or \r\n). A line beyond the limit ends there. */
export async function* readLines(
  source: AsyncIterable<Buffer>,
  maxCharacters = MAX_LINE_CHARACTERS,
): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let parts: string[] = []
  let length = 0
  const take = (): string => {
    const line = parts.join('')
    parts = []
    length = 0
    return line.endsWith('\r') ? line.slice(0, -1) : line
  }
  for await (const chunk of source) {
    const pieces = decoder.decode(chunk, { stream: true }).split('\n')
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) yield take()
      parts.push(piece)
      length += piece.length
      if (length > maxCharacters) yield take()
    }
  }
  if (length > 0) yield take()
}

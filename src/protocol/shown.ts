/** The most characters of a text of somebody else's that a message, an answer or a line of the log carries. */
export const MAX_SHOWN = 200

/** Text of somebody else's as it may stand in a message: cut, and with `?` for all that is not printable ASCII. */
export const shown = (text: string, maxLength = MAX_SHOWN): string =>
  (text.length > maxLength ? `${text.slice(0, maxLength - 3)}...` : text).replace(/[^\x20-\x7e]/g, '?')

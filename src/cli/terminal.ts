/** A terminal or a pipe. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean }

/** Whether a bar can be drawn there: on a terminal that can go back on its line, which TERM=dumb says it cannot. */
export const canDrawBar = (output: Output): boolean => output.isTTY === true && process.env.TERM !== 'dumb'

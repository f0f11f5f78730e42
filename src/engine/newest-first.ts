/** Runs tasks one at a time: of those that wait, one of the greatest height first, and of one height the first that came. */
export function createNewestFirst(): <T>(height: number, task: () => Promise<T>) => Promise<T> {
  const waiting: { readonly height: number; readonly run: () => Promise<void> }[] = []
  let isRunning = false

  async function runAll(): Promise<void> {
    isRunning = true
    for (let next = newest(); next !== undefined; next = newest()) await next.run()
    isRunning = false
  }

  function newest() {
    let best = 0
    for (const [index, { height }] of waiting.entries()) if (height > (waiting[best]?.height ?? -1)) best = index
    return waiting.splice(best, 1)[0]
  }

  return (height, task) =>
    new Promise((resolve, reject) => {
      waiting.push({ height, run: () => task().then(resolve, reject) })
      if (!isRunning) void runAll()
    })
}

/** Runs tasks one after another, in the order of the calls; a task that fails does not stop the next. */
export function serialTasks(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (task) => {
    const result = last.then(task)
    last = result.catch(() => undefined)
    return result
  }
}

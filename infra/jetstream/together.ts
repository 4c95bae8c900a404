/** Group commit: while one batch is on its way the next one gathers, so that alone nothing waits and in a crowd few messages go. */
export const together = <A>(
  send: (batch: ReadonlyArray<A>) => Promise<void>,
  { largest, size }: { readonly size: (item: A) => number; readonly largest: number }
): (item: A) => Promise<void> => {
  interface Waiting {
    readonly item: A
    readonly resolve: () => void
    readonly reject: (error: unknown) => void
  }
  let waiting: Array<Waiting> = []
  let sending = false

  const next = (): ReadonlyArray<Waiting> => {
    let bytes = 0
    const end = waiting.findIndex(({ item }, at) => (bytes += size(item)) > largest && at > 0)
    const batch = end === -1 ? waiting : waiting.slice(0, end)
    waiting = waiting.slice(batch.length)
    return batch
  }

  const drain = async () => {
    sending = true
    while (waiting.length > 0) {
      const batch = next()
      await send(batch.map(({ item }) => item)).then(
        () => batch.forEach(({ resolve }) => resolve()),
        (error: unknown) => batch.forEach(({ reject }) => reject(error))
      )
    }
    sending = false
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (!sending) void drain()
    })
}

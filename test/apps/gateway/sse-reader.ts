/** Reads server-sent events as a browser would. */
export interface Event {
  readonly id: string
  readonly event: string
  readonly data: any
}

export interface Reader {
  /** Events up to the first that `enough` accepts, or until the stream ends. */
  until(enough: (event: Event) => boolean): Promise<ReadonlyArray<Event>>
  /** Answers once so many comments have come, with no event in between. */
  commented(times: number): Promise<void>
  close(): Promise<void>
}

export const readerOf = (response: Response): Reader => {
  const bytes = response.body!.getReader()
  const decoder = new TextDecoder()
  let comments = 0
  let text = ""
  let lastId = ""

  const next = async (enough = () => false): Promise<Event | undefined> => {
    while (!enough()) {
      const end = text.indexOf("\n\n")
      if (end < 0) {
        const { done, value } = await bytes.read()
        if (done) return undefined
        text += decoder.decode(value, { stream: true })
        continue
      }
      const lines = text.slice(0, end).split("\n")
      text = text.slice(end + 2)
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
      comments += lines.filter((line) => line.startsWith(":")).length
      lastId = field("id") ?? lastId
      const data = field("data")
      if (data !== undefined) return { id: lastId, event: field("event") ?? "message", data: JSON.parse(data) }
    }
    return undefined
  }

  return {
    commented: async (times) => {
      const event = await next(() => comments >= times)
      if (event !== undefined || comments < times) throw new Error(`${comments} comments, then ${JSON.stringify(event)}`)
    },
    until: async (enough) => {
      const events: Array<Event> = []
      for (let event = await next(); event !== undefined; event = await next()) {
        events.push(event)
        if (enough(event)) break
      }
      return events
    },
    close: () => bytes.cancel()
  }
}

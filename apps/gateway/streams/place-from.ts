import { Effect } from "effect"
import { fault } from "../faults.ts"

interface Said {
  /** `Last-Event-ID` */
  readonly header: string | undefined
  /** `?after=` */
  readonly query: string | undefined
}

/** Where a reader goes on. Who comes back says by header how far it has come, whatever its address says of where it began. */
export const placeFrom = Effect.fnUntraced(function*<A>({ header, query }: Said, read: (text: string) => A | undefined) {
  const [where, name, text] = header === undefined || header === "" ? ["query", "after", query] as const : ["header", "last-event-id", header] as const
  if (text === undefined || text === "") return undefined
  return read(text) ?? (yield* fault(where, name, "not an id of this stream"))
})

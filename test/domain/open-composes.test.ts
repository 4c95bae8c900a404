import { describe, expect, it } from "@effect/vitest"
import { OpenComposes } from "../../domain/open-composes.ts"
import { composeRef, type LogEntry } from "../../domain/recorded.ts"
import type { ComposeEvent } from "../../domain/compose-events.ts"
import { composeId, finished, recordedOf, requested, tenantId } from "../support/composes.ts"

const at = (sequence: number) => ({ stream: "EVENTS-2026-01", sequence })
const known = (sequence: number, event: ComposeEvent): LogEntry => ({ ...recordedOf([event])[0]!, position: at(sequence) })
const unreadable = (sequence: number, id: string): LogEntry =>
  ({ _tag: "Unreadable", position: at(sequence), subject: `events-2026-01.acme.compose.${id}.${sequence}`, ref: { ...composeRef(tenantId, composeId), id }, reason: "odd" })

const folded = (...entries: ReadonlyArray<LogEntry>) => {
  const open = new OpenComposes()
  for (const entry of entries) open.record(entry)
  return [open.size, open.unreadable.length, open.position]
}

describe("the open composes of a stream", () => {
  it("are those that were asked for and have not ended", () => {
    expect(folded(known(1, requested))).toEqual([1, 0, 1])
    expect(folded(known(1, requested), known(2, finished("failed")))).toEqual([0, 0, 2])
  })

  it("are not those with an entry that nobody can read, which is told apart", () => {
    expect(folded(known(1, requested), unreadable(2, composeId))).toEqual([0, 1, 2])
    expect(folded(known(1, requested), unreadable(2, "another"))).toEqual([1, 1, 2])
  })
})

/** A file of pipelines: one with its `name`, or a list of them under `pipelines`. What is in each is for the service to judge. */
import { Effect } from "effect"
import { commandFailed } from "./command-failed.ts"
import { readRequest } from "./request-file.ts"

export interface NamedDocument {
  readonly name: string
  /** JSON. */
  readonly body: string
}

export const pipelinesFile = Effect.fn("pipelinesFile")(function*(file: string) {
  const whole: unknown = JSON.parse(yield* readRequest(file))
  const listed = isRecord(whole) && Array.isArray(whole["pipelines"]) && Object.keys(whole).length === 1 ? whole["pipelines"] as ReadonlyArray<unknown> : [whole]
  const documents: Array<NamedDocument> = []
  for (const each of listed) {
    if (!isRecord(each) || typeof each["name"] !== "string") return yield* commandFailed("invalid", `${file}: each pipeline needs a name`)
    const { name, ...body } = each
    if (documents.some((other) => other.name === name)) return yield* commandFailed("invalid", `${file}: ${name} is there twice`)
    documents.push({ name: each["name"], body: JSON.stringify(body) })
  }
  return documents
})

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null && !Array.isArray(value)

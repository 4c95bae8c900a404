/** Sets of credentials: they go in from a file, and never come out again. */
import { Effect } from "effect"
import type { CredentialsView } from "../../gateway/api/credentials-api.ts"
import { Kiln } from "../client.ts"
import { confirmed } from "../confirm.ts"
import { moment } from "../moments.ts"
import { answer, type OutputShape } from "../output.ts"
import { readSecretFile } from "../secret-file.ts"
import { table } from "../table.ts"

interface Named {
  readonly name: string
}

const at = (name: string) => `/credentials/${encodeURIComponent(name)}`

export const listCredentials = Effect.fn("listCredentials")(function*() {
  const sets = yield* (yield* Kiln).json<ReadonlyArray<CredentialsView>>("/credentials")
  yield* answer(sets, (output) => sets.length === 0 ? ["There are none"] : rows(output, sets))
})

export const setCredentials = Effect.fn("setCredentials")(function*({ fromFile, name }: Named & { readonly fromFile: string }) {
  const set = yield* (yield* Kiln).json<CredentialsView>(at(name), { method: "PUT", body: yield* readSecretFile(fromFile) })
  yield* answer(set, (output) => rows(output, [set]))
})

export const removeCredentials = Effect.fn("removeCredentials")(function*({ name, yes }: Named & { readonly yes: boolean }) {
  yield* confirmed(`removes the credentials ${name}`, yes)
  yield* Effect.scoped((yield* Kiln).open(at(name), { method: "DELETE" }))
  yield* answer({ name, removed: true }, () => [`${name} is removed`])
})

const rows = (output: OutputShape, sets: ReadonlyArray<CredentialsView>) => table<CredentialsView>(output, [
  { title: "NAME", of: ({ name }) => name },
  { title: "PROVIDER", of: ({ provider }) => provider },
  { title: "FIELDS", of: ({ fields }) => fields.join(", ") },
  { title: "SET", of: ({ set_at }) => moment(set_at, output.utc) },
  { title: "BY", of: ({ set_by }) => set_by }
], sets)

/** Files that requests name by their digests: stored, listed, removed. */
import { readFile } from "node:fs/promises"
import { Effect } from "effect"
import type { StoredFilesView, StoredFileView } from "../../gateway/api/files-api.ts"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { fromHere } from "../endpoint.ts"
import { moment } from "../moments.ts"
import { answer } from "../output.ts"
import { storeFile } from "../store-file.ts"
import { table } from "../table.ts"
import { bytes } from "../units.ts"

export const addFiles = Effect.fn("addFiles")(function*({ files }: { readonly files: ReadonlyArray<string> }) {
  const stored = yield* Effect.forEach(files, (file) =>
    Effect.tryPromise({
      try: () => readFile(fromHere(file)),
      catch: (error) => commandFailed("invalid", `${file} cannot be read: ${(error as Error).message}`)
    }).pipe(Effect.flatMap(storeFile), Effect.map((one): StoredFileView & { readonly file: string } => ({ file, ...one }))))
  yield* answer(stored, () => stored.map(({ digest, file }) => `${digest}  ${file}`))
})

export const listFiles = Effect.fn("listFiles")(function*() {
  const { bytes: used, items, limit_bytes } = yield* (yield* Kiln).json<StoredFilesView>("/files")
  yield* answer({ items, bytes: used, limit_bytes }, (output) => [
    ...table<StoredFileView>(output, [
      { title: "DIGEST", of: ({ digest }) => digest },
      { title: "SIZE", of: ({ size }) => bytes(size), right: true },
      { title: "STORED", of: ({ stored_at }) => moment(stored_at, output.utc) },
      { title: "BY", of: ({ stored_by }) => stored_by, shrinks: true }
    ], items),
    `${items.length} files, ${bytes(used)} of ${bytes(limit_bytes)}`
  ])
})

export const removeFile = Effect.fn("removeFile")(function*({ digest, yes }: { readonly digest: string; readonly yes: boolean }) {
  yield* confirmed(`removes ${digest}`, yes)
  yield* Effect.scoped((yield* Kiln).open(`/files/${digest}`, { method: "DELETE" }))
  yield* answer({ removed: digest }, () => [`removed ${digest}`])
})

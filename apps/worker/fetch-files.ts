/** The stored files that a build's customizations name, fetched part by part and checked. */
import { createHash } from "node:crypto"
import { appendFile, mkdir } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { Digest } from "../../domain/ids.ts"
import { BuildFailed, type FilesByDigest, type Report } from "../../domain/ports/image-builder.ts"
import { partBytes } from "../../domain/ports/stored-files.ts"
import type { FilePart } from "../../domain/ports/work.ts"
import type { WorkItem } from "../../domain/work.ts"

export type AskPart = (wanted: FilePart) => Effect.Effect<Uint8Array | "gone", { readonly message: string }>

const failed = (message: string) => new BuildFailed({ class: "platform", message })

export const fetchFiles = Effect.fnUntraced(function*({ customizations: { files = [] } }: WorkItem, workspace: string, ask: AskPart, report: Report) {
  const wanted = new Map(files.flatMap(({ digest }, index) => digest === undefined ? [] : [[digest, index] as const]))
  const found = new Map<Digest, string>()
  if (wanted.size === 0) return found as FilesByDigest
  const folder = join(workspace, "stored-files")
  yield* onDisk(() => mkdir(folder, { recursive: true }))
  for (const [digest, index] of wanted) {
    const path = join(folder, digest.slice("sha256:".length))
    yield* fetchFile(digest, path, ask, `files[${index}].digest`)
    report.line(`file ${digest} fetched`)
    found.set(digest, path)
  }
  return found as FilesByDigest
})

const fetchFile = Effect.fnUntraced(function*(digest: Digest, path: string, ask: AskPart, field: string) {
  const hash = createHash("sha256")
  yield* onDisk(() => appendFile(path, ""))
  for (let index = 0;; index++) {
    const part = yield* ask({ digest, index }).pipe(Effect.mapError(({ message }) => failed(message)))
    if (part !== "gone") {
      hash.update(part)
      yield* onDisk(() => appendFile(path, part))
      if (part.length === partBytes) continue
    }
    // The end is there when the digest is; a file of whole parts ends with one that is not there.
    if (hash.digest("hex") === digest.slice("sha256:".length)) return
    return yield* part === "gone" && index === 0
      ? new BuildFailed({ class: "user", message: `${field}: the stored file ${digest} has been removed since` })
      : failed(`the stored file ${digest} came damaged`)
  }
})

const onDisk = (write: () => Promise<unknown>) =>
  Effect.tryPromise({ try: write, catch: (error) => failed(`a stored file cannot be written: ${(error as Error).message}`) })

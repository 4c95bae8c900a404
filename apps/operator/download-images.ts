/** The files of a compose, with a bar for people. */
import { Effect } from "effect"
import { namedFiles } from "../../domain/artifact-names.ts"
import type { ArtifactView, ComposeDetails } from "../gateway/api/compose-views.ts"
import { Kiln } from "./client.ts"
import { commandFailed } from "./command-failed.ts"
import { downloadFile } from "./download-file.ts"
import { Output, type OutputShape, painted, print } from "./output.ts"
import { screenOn } from "./screen.ts"
import { bytes, rate, span } from "./units.ts"

export interface DownloadRequest {
  readonly folder: string
  /** Only this image's. */
  readonly image?: number | undefined
  /** Another name for the file; for one image. */
  readonly filename?: string
}

export const downloadImages = Effect.fn("downloadImages")(function*(id: string, { filename, folder, image }: DownloadRequest) {
  const list = Effect.flatMap(Kiln, (kiln) => kiln.json<ReadonlyArray<ArtifactView>>(`/composes/${id}/artifacts`))
  // The same file may have been delivered to several places.
  const wanted = namedFiles((yield* list).filter((artifact, at, all) =>
    (image === undefined || artifact.image === image) && all.findIndex((other) => other.image === artifact.image && other.digest === artifact.digest) === at)
    .map((artifact) => ({ ...artifact, filename: filename ?? artifact.filename })))
  if (wanted.length === 0) return yield* nothingThere(id, image)
  return yield* Effect.forEach(wanted, Effect.fnUntraced(function*({ file: artifact, name }) {
    const renew = Effect.flatMap(list, (again) => {
      const same = again.find(({ digest }) => digest === artifact.digest)
      return same === undefined ? commandFailed("notFound", `${name} is not there any more`) : Effect.succeed(same)
    })
    const { digest, image, size } = artifact
    const result = yield* withBar(name, size, (onBytes) => downloadFile(artifact, { folder, filename: name, renew, onBytes }))
    return { ...result, image, digest, size }
  }))
})

const nothingThere = Effect.fnUntraced(function*(id: string, image: number | undefined) {
  const { status } = yield* (yield* Kiln).json<ComposeDetails>(`/composes/${id}`)
  const which = image === undefined ? `Compose ${id}` : `Image ${image} of compose ${id}`
  if (status === "canceled") return yield* commandFailed("canceled", `${which} has no file: it was canceled`)
  if (status === "failed") return yield* commandFailed("failed", `${which} has no file: it failed`)
  return yield* commandFailed("notFound", `${which} has no file${status === "succeeded" ? "" : ` yet: it is ${status}`}`)
})

const withBar = <A extends { readonly path: string; readonly fresh: boolean }, E, R>(
  name: string, size: number, run: (onBytes: (done: number) => void) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const output = yield* Output
    if (output.json) return yield* run(() => {})
    const started = Date.now()
    const screen = screenOn(output)
    let first: number | undefined
    let shown = started
    const onBytes = (done: number) => {
      first ??= done
      const now = Date.now()
      if (now - shown < (output.terminal ? 100 : 1000)) return
      shown = now
      const line = barLine(output, name, { done, size, speed: (done - first) / ((now - started) / 1000) })
      if (output.terminal) screen.draw([line])
      else output.write(`${line}\n`)
    }
    const result = yield* Effect.onExit(run(onBytes), () => Effect.sync(() => output.terminal && screen.draw([])))
    const took = result.fresh ? `${bytes(size)} in ${span(Date.now() - started)}, SHA-256 right` : "was there already, SHA-256 right"
    yield* print(`${result.path}  ${painted(output, "dim", took)}`)
    return result
  })

const width = 24

const barLine = (output: OutputShape, name: string, { done, size, speed }: Record<"done" | "size" | "speed", number>) => {
  const share = size === 0 ? 1 : done / size
  const bar = output.terminal ? `${"█".repeat(Math.round(share * width)).padEnd(width, "░")} ` : ""
  const left = speed > 0 ? `, ${span((size - done) / speed * 1000)} left` : ""
  return `${name}  ${bar}${Math.floor(share * 100)} %  ${bytes(done)} of ${bytes(size)}  ${rate(speed)}${left}`
    .slice(0, output.terminal ? output.columns() - 1 : undefined)
}

/** `ImageContents` by the file-system tools of a worker, in the sandbox. */
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer, Schema } from "effect"
import { ContentsUnreadable, ImageContents, ImageEntry, ImageFact } from "../../domain/ports/image-contents.ts"
import { sha256Of } from "../files/sha256-of.ts"
import { run } from "../process/run.ts"
import { mappedPrefix, type Prefix } from "../sandbox/ids.ts"
import { sandboxPrefix } from "../sandbox/sandbox.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Union([ImageEntry, ImageFact])))

const unreadable = (path: string) => (error: { readonly message: string }) => new ContentsUnreadable({ message: `${path} cannot be read: ${error.message}` })

const digest = (path: string) => Effect.tryPromise({ try: () => sha256Of(path), catch: (error) => unreadable(path)(error as Error) })

/** What is unpacked may belong to ids that are not ours. */
const workspace = Effect.acquireRelease(
  Effect.promise(async () => {
    const dir = await mkdtemp(join(tmpdir(), "kiln-contents-"))
    await mkdir(join(dir, "work"))
    return dir
  }),
  (dir) => run({ argv: [...mappedPrefix(), "rm", "-rf", "--one-file-system", "--", join(dir, "work")] as unknown as Prefix }).pipe(
    Effect.andThen(Effect.promise(() => rm(dir, { recursive: true, force: true }))), Effect.ignore)
)

const read = Effect.fnUntraced(function*(path: string) {
  const sha256 = yield* digest(path)
  const file = yield* Effect.promise(() => realpath(path))
  const work = join(yield* workspace, "work")
  const script = join(import.meta.dirname, "list-contents.pl")
  const { code, stdout, tail } = yield* run({
    argv: [...sandboxPrefix({ read: [import.meta.dirname, file], write: [work] }), "perl", script, file, work] as unknown as Prefix, collect: true
  })
  if (code !== 0) return yield* unreadable(path)({ message: tail.at(-1) ?? `exit ${code}` })
  const found = yield* Effect.forEach(stdout.split("\n").filter((line) => line !== ""), (line) => decode(line))
  return {
    sha256,
    facts: found.filter((item): item is ImageFact => "about" in item),
    entries: found.filter((item): item is ImageEntry => "path" in item)
  }
}, Effect.scoped, (effect, path) => Effect.mapError(effect, (error) => error instanceof ContentsUnreadable ? error : unreadable(path)(error)))

export const ImageContentsTools: Layer.Layer<ImageContents> = Layer.succeed(ImageContents, ImageContents.of({ read, digest }))

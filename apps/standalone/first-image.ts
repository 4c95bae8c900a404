/** The image that a first start asks its own API for, so that a newcomer sees one being built and can boot it. */
import { randomInt } from "node:crypto"
import { existsSync, globSync, readFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { Effect, Option, Schema } from "effect"
import { SshKey } from "../../domain/customizations.ts"
import { readOr, writePrivate } from "../../infra/process/server-folder.ts"
import type { ComposeAccepted, ComposeDetails } from "../gateway/api/compose-views.ts"
import { Kiln } from "../operator/client.ts"
import { exitCodes } from "../operator/command-failed.ts"
import { downloadImages } from "../operator/download-images.ts"
import { print } from "../operator/output.ts"
import { conclude, watchCompose } from "../operator/watch-compose.ts"

/** Remembered in the home. The password stays only until it has been shown with the finished image. */
const FirstImage = Schema.Struct({
  compose: Schema.String,
  password: Schema.optionalKey(Schema.String),
  file: Schema.optionalKey(Schema.String)
})
type FirstImage = typeof FirstImage.Type
const Stored = Schema.fromJsonString(FirstImage)

export interface Built {
  readonly file: string
  readonly password: string | undefined
  readonly keys: number
}

const name = "kiln-first-image"
export const user = "kiln"

/** What was built in an earlier run of this home. */
export const builtBefore = (home: string): Option.Option<string> =>
  Option.flatMapNullishOr(remembered(home), ({ file }) => file)

/** Asks, watches, fetches; a run that was broken off goes on with the compose it had asked for. */
export const firstImage = Effect.fn("firstImage")(function*(home: string, images: string) {
  const before = Option.filter(remembered(home), ({ file }) => file === undefined)
  const keys = ownKeys()
  const open = Option.isSome(before) ? yield* stillOpen(before.value) : undefined
  const asked = open ?? (yield* ask(home, keys))
  yield* print(`Building a first image: Debian 13, compose ${asked.compose}`)
  const live = yield* watchCompose(asked.compose)
  yield* conclude(asked.compose, live)
  const [file] = yield* downloadImages(asked.compose, { folder: images, filename: freeName(images) })
  remember(home, { compose: asked.compose, file: file!.path })
  const built: Built = { file: file!.path, password: asked.password, keys: keys.length }
  return built
})

/** One that failed or was canceled is no reason not to try again. */
const stillOpen = (asked: FirstImage) =>
  Effect.flatMap(Kiln, (kiln) => kiln.json<ComposeDetails>(`/composes/${asked.compose}`)).pipe(
    Effect.map(({ status }) => (status === "failed" || status === "canceled" ? undefined : asked)),
    Effect.catchIf(({ code }) => code === exitCodes.notFound, () => Effect.undefined)
  )

const ask = Effect.fnUntraced(function*(home: string, keys: ReadonlyArray<string>) {
  const kiln = yield* Kiln
  const password = newPassword()
  const { id } = yield* kiln.json<ComposeAccepted>("/composes", {
    method: "POST",
    // Whoever waits for it boots it himself in a moment; a test would only come before that.
    body: JSON.stringify({
      distribution: "debian-13",
      name,
      images: [{ architecture: process.arch === "arm64" ? "aarch64" : "x86_64", type: "guest-image", test: false }],
      customizations: { hostname: name, users: [{ name: user, password, sudo: true, ...(keys.length > 0 ? { keys } : {}) }] }
    })
  })
  const asked: FirstImage = { compose: id, password }
  remember(home, asked)
  return asked
})

const place = (home: string) => join(home, "first-image.json")
const remember = (home: string, image: FirstImage) => writePrivate(place(home), `${Schema.encodeSync(Stored)(image)}\n`)
const remembered = (home: string) => Schema.decodeUnknownOption(Stored)(readOr(place(home), ""))

const isKey = Schema.is(SshKey)

/** The public halves of the user's own keys. */
const ownKeys = () => {
  try {
    return globSync(join(homedir(), ".ssh/*.pub")).map((path) => readFileSync(path, "utf8").trim()).filter(isKey).slice(0, 32)
  } catch {
    return []
  }
}

// Without letters and digits that look alike; 20 of them are some 98 bits.
const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
const newPassword = () =>
  Array.from({ length: 4 }, () => Array.from({ length: 5 }, () => alphabet[randomInt(alphabet.length)]).join("")).join("-")

/** Somebody may have booted and changed the image of an earlier home. */
const freeName = (images: string) => {
  const names = [name, ...Array.from({ length: 998 }, (_, at) => `${name}-${at + 2}`)].map((each) => `${each}.qcow2`)
  return names.find((each) => !existsSync(join(images, each))) ?? names[0]!
}

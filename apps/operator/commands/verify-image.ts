import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { Effect, Option } from "effect"
import { commandFailed } from "../command-failed.ts"
import { documents } from "../download-evidence.ts"
import { fromHere, homeFolder } from "../endpoint.ts"
import { answer, harmless, type OutputShape, painted } from "../output.ts"
import { keyFault, keyIdOf, type Verified, verifyImage as verify } from "../verify-image.ts"

export interface VerifyImageInput {
  readonly file: string
  readonly provenance: Option.Option<string>
  readonly key: Option.Option<string>
  readonly sbom: Option.Option<string>
}

export const verifyImage = Effect.fn("verifyImage")(function*({ file, key, provenance, sbom }: VerifyImageInput) {
  const path = fromHere(file)
  const said = Option.match(provenance, { onNone: () => `${path}${documents.provenance.suffix}`, onSome: fromHere })
  const keyPath = yield* keyFile(key)
  const pem = yield* read(keyPath)
  const fault = keyFault(pem)
  if (fault !== undefined) return yield* commandFailed("invalid", `The key ${keyPath} cannot be used: ${fault}`)
  const text = yield* read(said)
  const result = yield* Effect.tryPromise({
    try: () => verify({ file: path, provenance: text, key: pem, sboms: sbomsOf(path, sbom) }),
    catch: (error) => unreadable(error)
  })
  yield* answer({ file: path, key_id: keyIdOf(pem), ...result }, (output) => people(output, path, result))
  // All has been said.
  if (!result.verified) return yield* commandFailed("failed", "")
})

/** What is trusted has to be told: a key that comes along with the image says nothing. */
const keyFile = Effect.fnUntraced(function*(given: Option.Option<string>) {
  const named = Option.getOrUndefined(given) ?? process.env["KILN_PROVENANCE_KEY"]
  if (named !== undefined && named !== "") return fromHere(named)
  const local = join(homeFolder(), "keys", "provenance.pub.pem")
  return existsSync(local)
    ? local
    : yield* commandFailed("invalid", "Whose signature? Give --key or set KILN_PROVENANCE_KEY to the public key of the Kiln that built it, from GET /api/kiln/v1/keys/provenance.pem")
})

/** Those that lie beside the image are the image's, or something is wrong. */
const sbomsOf = (path: string, given: Option.Option<string>): ReadonlyArray<string> =>
  Option.match(given, {
    onSome: (sbom) => [fromHere(sbom)],
    onNone: () => [documents.spdx, documents.cyclonedx].map(({ suffix }) => `${path}${suffix}`).filter(existsSync)
  })

const read = (path: string) => Effect.tryPromise({ try: () => readFile(path, "utf8"), catch: unreadable })

const unreadable = (error: unknown) => {
  const { code, message, path } = error as NodeJS.ErrnoException
  return code === "ENOENT" ? commandFailed("notFound", `There is no file ${path}`) : commandFailed("failed", `It cannot be read: ${message}`)
}

const people = (output: OutputShape, path: string, { checks, statement, verified }: Verified): ReadonlyArray<string> => {
  const { builder, metadata } = statement?.predicate?.runDetails ?? {}
  const origin = verified ? [["built by", builder?.id], ["as", metadata?.invocationId], ["finished", metadata?.finishedOn], ["has no bill of materials:", metadata?.kiln_no_sbom]] : []
  return [
    painted(output, verified ? "green" : "red", `${basename(path)}: ${verified ? "verified" : "NOT verified"}`),
    ...checks.map(({ message, right }) => `  ${painted(output, right ? "green" : "red", right ? "right" : "WRONG")}  ${harmless(message)}`),
    ...origin.flatMap(([label, value]) => (value === undefined ? [] : [`  ${painted(output, "dim", label!)}  ${harmless(value)}`]))
  ]
}

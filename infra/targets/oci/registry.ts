/** The calls of OCI's distribution API that a delivery takes, for one repository. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import { indexType, manifestType } from "../../../domain/registry-manifest.ts"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { targetFailed } from "../failures.ts"
import { refused } from "./failures.ts"
import type { Answer } from "./request.ts"
import type { Session } from "./session.ts"

const manifestTypes = [manifestType, indexType, "application/vnd.docker.distribution.manifest.v2+json"].join(", ")

export const digestOf = (bytes: Uint8Array | string): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`

export const isThere = ({ status }: Answer) => status === 200
const isGone = ({ status }: Answer) => status === 404

export interface Stored {
  readonly mediaType: string
  readonly digest: string
  readonly bytes: Buffer
}

export const hasBlob = (to: Session, digest: string): Effect.Effect<boolean, BuildFailed> =>
  Effect.flatMap(to.send({ method: "HEAD", url: to.at(`blobs/${digest}`) }), (answer) => {
    // Where the bytes lie elsewhere, they are there.
    if (isThere(answer) || (answer.status >= 300 && answer.status < 400)) return Effect.succeed(true)
    return isGone(answer) ? Effect.succeed(false) : Effect.fail(refused("a look at what is there", to.host, answer))
  })

export const beginUpload = Effect.fnUntraced(function*(to: Session) {
  const url = to.at("blobs/uploads/")
  const answer = yield* to.send({ method: "POST", url, headers: { "content-length": "0" } })
  if (answer.status !== 202) return yield* refused("an upload", to.host, answer)
  return { at: yield* to.location(answer, url), shortest: Number(answer.headers["oci-chunk-min-length"] ?? 0) || 0 }
})

export const withDigest = (at: URL, digest: string): URL => {
  const url = new URL(at)
  url.searchParams.set("digest", digest)
  return url
}

/** A document, in one piece. */
export const putBytes = Effect.fnUntraced(function*(to: Session, bytes: Buffer) {
  const digest = digestOf(bytes)
  if (yield* hasBlob(to, digest)) return digest
  const { at } = yield* beginUpload(to)
  const answer = yield* to.sendOnce({ method: "PUT", url: withDigest(at, digest), headers: { "content-type": "application/octet-stream" }, body: bytes })
  if (answer.status !== 201) return yield* refused("a document", to.host, answer)
  return digest
})

export const getManifest = Effect.fnUntraced(function*(to: Session, reference: string): Effect.fn.Return<Stored | undefined, BuildFailed> {
  const answer = yield* to.send({ method: "GET", url: to.at(`manifests/${reference}`), headers: { accept: manifestTypes } })
  if (isGone(answer)) return undefined
  if (!isThere(answer)) return yield* refused("a look at a manifest", to.host, answer)
  return { mediaType: (answer.headers["content-type"] ?? manifestType).replace(/\s*;.*$/, ""), digest: digestOf(answer.body), bytes: answer.body }
})

/** Answers whether the registry keeps account of what is said of what by itself. */
export const putManifest = Effect.fnUntraced(function*(to: Session, reference: string, { bytes, mediaType }: Pick<Stored, "bytes" | "mediaType">) {
  const answer = yield* to.send({ method: "PUT", url: to.at(`manifests/${reference}`), headers: { "content-type": mediaType }, body: bytes })
  if (answer.status !== 201) return yield* refused("the manifest", to.host, answer)
  const said = answer.headers["docker-content-digest"]
  if (said !== undefined && said !== digestOf(bytes)) return yield* targetFailed(`${to.host} took the manifest for another`, { status: 502, message: String(said) })
  return { subject: answer.headers["oci-subject"] !== undefined }
})

/** By digest: what it was tagged with goes with it. What is not there counts as gone. */
export const deleteManifest = Effect.fnUntraced(function*(to: Session, digest: string) {
  const answer = yield* to.send({ method: "DELETE", url: to.at(`manifests/${digest}`) })
  if (answer.status !== 202 && answer.status !== 200 && answer.status !== 204 && !isGone(answer)) return yield* refused("the removal of a manifest", to.host, answer)
})

const nextPage = (answer: Answer, from: URL): URL | undefined => {
  const next = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(String(answer.headers.link ?? ""))?.[1]
  const url = next === undefined ? null : URL.parse(next, from.href)
  return url === null || url.origin !== from.origin ? undefined : url
}

export const listTags = Effect.fnUntraced(function*(to: Session) {
  const tags: Array<string> = []
  for (let url: URL | undefined = to.at("tags/list"); url !== undefined;) {
    const answer: Answer = yield* to.send({ method: "GET", url })
    if (isGone(answer)) return tags
    if (!isThere(answer)) return yield* refused("a list of tags", to.host, answer)
    const page = jsonOf<{ readonly tags?: ReadonlyArray<string> | null }>(answer.body)
    tags.push(...page?.tags ?? [])
    url = nextPage(answer, url)
  }
  return tags
})

export const jsonOf = <Shape>(bytes: Buffer): Shape | undefined => {
  try {
    return JSON.parse(bytes.toString()) as Shape
  } catch {
    return undefined
  }
}

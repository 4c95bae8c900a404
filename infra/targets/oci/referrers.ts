/** What is said of a manifest: listed by registries of version 1.1, by a tag of its own elsewhere. */
import { Effect } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { type Attached, type Descriptor, indexType, manifestType, referrerManifest, referrersTag, type RegistryManifest } from "../../../domain/registry-manifest.ts"
import { targetFailed } from "../failures.ts"
import { refused } from "./failures.ts"
import { deleteManifest, digestOf, getManifest, isThere, jsonOf, putBytes, putManifest } from "./registry.ts"
import type { Session } from "./session.ts"

interface Index {
  readonly schemaVersion: 2
  readonly mediaType: string
  readonly manifests: ReadonlyArray<Descriptor>
}

export interface Referrer extends Pick<Attached, "annotations" | "artifactType"> {
  readonly document?: { readonly name: string; readonly bytes: Buffer }
}

const indexOf = (bytes: Buffer): ReadonlyArray<Descriptor> => {
  const found = jsonOf<Index>(bytes)?.manifests
  return Array.isArray(found) ? found as ReadonlyArray<Descriptor> : []
}

export const listReferrers = Effect.fnUntraced(function*(to: Session, subject: string): Effect.fn.Return<ReadonlyArray<Descriptor>, BuildFailed> {
  const answer = yield* to.send({ method: "GET", url: to.at(`referrers/${subject}`), headers: { accept: indexType } })
  // Others that do not know the call may answer it with a page for people.
  if (isThere(answer) && String(answer.headers["content-type"]).startsWith(indexType)) return indexOf(answer.body)
  if (answer.status >= 500 || answer.status === 401 || answer.status === 403) return yield* refused("a look at what is said of a manifest", to.host, answer)
  const tagged = yield* getManifest(to, referrersTag(subject))
  return tagged === undefined ? [] : indexOf(tagged.bytes)
})

/** Doing it again changes nothing: the same words are the same manifest. Answers with its digest. The empty blob has to be there. */
export const attach = Effect.fnUntraced(function*(to: Session, subject: Descriptor, { annotations, artifactType, document }: Referrer) {
  const stored = document && { name: document.name, digest: yield* putBytes(to, document.bytes), size: document.bytes.length }
  const manifest = referrerManifest({ annotations, artifactType, ...(stored && { document: stored }) }, subject)
  const bytes = Buffer.from(JSON.stringify(manifest))
  const digest = digestOf(bytes)
  const listed = yield* putManifest(to, digest, { bytes, mediaType: manifestType })
  const entry: Descriptor = { mediaType: manifestType, digest, size: bytes.length, artifactType: manifest.artifactType!, annotations }
  if (!listed.subject) yield* changeIndex(to, subject.digest, (entries) => entries.some((each) => each.digest === digest) ? entries : [...entries, entry])
  return digest
})

export const detach = Effect.fnUntraced(function*(to: Session, digest: string) {
  const stored = yield* getManifest(to, digest)
  const subject = stored && jsonOf<RegistryManifest>(stored.bytes)?.subject?.digest
  // First off the list: what is gone must not be listed, what is not listed is removed all the same.
  if (subject !== undefined) yield* changeIndex(to, subject, (entries) => entries.filter((each) => each.digest !== digest))
  yield* deleteManifest(to, digest)
})

const rounds = 5

/** Nothing locks a tag: who writes looks afterwards whether somebody else has, too. */
const changeIndex = Effect.fnUntraced(function*(to: Session, subject: string, change: (entries: ReadonlyArray<Descriptor>) => ReadonlyArray<Descriptor>) {
  const tag = referrersTag(subject)
  for (let round = 0; round < rounds; round++) {
    const before = yield* getManifest(to, tag)
    const entries = before === undefined ? [] : indexOf(before.bytes)
    const next = change(entries)
    if (next.length === entries.length) return
    if (next.length === 0) {
      if (before !== undefined) yield* deleteManifest(to, before.digest)
      continue
    }
    const index: Index = { schemaVersion: 2, mediaType: indexType, manifests: next }
    yield* putManifest(to, tag, { bytes: Buffer.from(JSON.stringify(index)), mediaType: indexType })
    // What no tag names any more is litter, where it may be removed.
    if (before !== undefined) yield* Effect.ignore(deleteManifest(to, before.digest))
  }
  return yield* targetFailed(`the list ${tag} at ${to.host}`, { status: 503, message: "others change it all the time" })
})

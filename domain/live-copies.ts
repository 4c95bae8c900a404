/** Every copy that lies somewhere, folded from the log: what retention looks through, and who else refers to a stored image. */
import type { ComposeEvent } from "./compose-events.ts"
import { isEnd } from "./compose-ending.ts"
import type { Spared } from "./copy-removal.ts"
import { removalOf, uploadOf } from "./copy-removal.ts"
import type { ComposeId, Digest, JobId, TenantId } from "./ids.ts"
import type { Recorded } from "./recorded.ts"
import type { TargetType } from "./target.ts"

export interface LiveCopy {
  readonly jobId: JobId
  readonly type: TargetType
  readonly digest: Digest
  readonly bytes: number
  /** When it was delivered. */
  readonly at: number
  /** It is to go, and nobody has given that up. */
  readonly condemned: boolean
  /** When its removal was given up last. */
  readonly failedAt?: number
}

export interface ComposeCopies {
  readonly tenantId: TenantId
  readonly composeId: ComposeId
  /** Absent while it is open. */
  readonly ended?: { readonly at: number; readonly succeeded: boolean; readonly spared?: Spared }
  readonly copies: ReadonlyArray<LiveCopy>
}

/** Mutable; one fiber owns it. */
export class LiveCopies {
  readonly #composes = new Map<ComposeId, ComposeCopies>()
  /** How many copies in Kiln's own store have these bytes, and stay. */
  readonly #references = new Map<Digest, number>()

  get size(): number {
    return this.#composes.size
  }

  values(): Iterable<ComposeCopies> {
    return this.#composes.values()
  }

  record({ at, events, id, tenantId }: Recorded<"compose">): void {
    const composeId = id as ComposeId
    for (const event of events) {
      const known = this.#composes.get(composeId)
      const after = evolve(known ?? { tenantId, composeId, copies: [] }, event, at)
      if (after !== known && (known !== undefined || after.copies.length > 0)) this.set(after)
    }
  }

  /** Also for what a snapshot has. */
  set(compose: ComposeCopies): void {
    this.#count(this.#composes.get(compose.composeId), -1)
    this.#count(compose, 1)
    if (compose.copies.length === 0) this.#composes.delete(compose.composeId)
    else this.#composes.set(compose.composeId, compose)
  }

  /** When the image was put into Kiln's own store for this removal, if nobody else refers to it. */
  storedAlone(composeId: ComposeId, removal: JobId): number | undefined {
    const copy = this.#composes.get(composeId)?.copies.find(({ jobId, type }) => type === "file" && removalFor(jobId) === removal)
    return copy === undefined || (this.#references.get(copy.digest) ?? 0) > (copy.condemned ? 0 : 1) ? undefined : copy.at
  }

  #count(compose: ComposeCopies | undefined, change: number): void {
    for (const { condemned, digest, type } of compose?.copies ?? []) {
      if (type !== "file" || condemned) continue
      const count = (this.#references.get(digest) ?? 0) + change
      if (count > 0) this.#references.set(digest, count)
      else this.#references.delete(digest)
    }
  }
}

const evolve = (compose: ComposeCopies, event: ComposeEvent, at: number): ComposeCopies => {
  if (event._tag === "JobSucceeded") {
    const { jobId, outcome } = event
    if (outcome._tag !== "Uploaded") return compose
    const { artifact: { digest, size }, target: { type } } = outcome
    const copies = compose.copies.filter((copy) => copy.jobId !== jobId)
    return { ...compose, copies: [...copies, { jobId, type, digest, bytes: size, at, condemned: false }] }
  }
  // Most composes have no copy when anything else happens to them.
  if (compose.copies.length === 0) return compose
  switch (event._tag) {
    case "ComposeReopened": {
      const { ended: _, ...open } = compose
      return open
    }
    case "CopyCondemned":
      return changed(compose, uploadOf(event.image, event.target), { condemned: true })
    case "JobFailed":
    case "JobLost":
      if (!event.final) return compose
      return changed(compose, compose.copies.find(({ jobId }) => removalFor(jobId) === event.jobId)?.jobId, { condemned: false, failedAt: at })
    case "CopyRemoved":
      return { ...compose, copies: compose.copies.filter(({ jobId }) => jobId !== uploadOf(event.image, event.target)) }
    default:
      return isEnd(event) ? { ...compose, ended: endOf(event, at) } : compose
  }
}

const endOf = (event: Extract<ComposeEvent, { _tag: "ComposeFinished" | "ComposeCanceled" }>, at: number): NonNullable<ComposeCopies["ended"]> =>
  ({ at, succeeded: event._tag === "ComposeFinished" && event.outcome === "succeeded", ...(event.spared && { spared: event.spared }) })

const changed = (compose: ComposeCopies, upload: JobId | undefined, change: Partial<LiveCopy>): ComposeCopies =>
  upload === undefined ? compose : { ...compose, copies: compose.copies.map((copy) => copy.jobId === upload ? { ...copy, ...change } : copy) }

/** Image and target of an upload. */
export const placeOf = (upload: JobId): { readonly image: number; readonly target: number } => {
  const [image, , target] = upload.split("-")
  return { image: Number(image), target: Number(target) }
}

const removalFor = (upload: JobId): JobId => {
  const { image, target } = placeOf(upload)
  return removalOf(image, target)
}

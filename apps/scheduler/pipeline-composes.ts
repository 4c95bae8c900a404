/** The composes that a pipeline asks for: their ids, what is said in them, and how they have ended. */
import { createHash } from "node:crypto"
import { Effect, Schema } from "effect"
import { v7 } from "uuid"
import type { ComposeCommand } from "../../domain/compose-commands.ts"
import type { SealedComposeRequest } from "../../domain/compose-request.ts"
import type { Compose } from "../../domain/compose-state.ts"
import { ComposeId, Digest, JobId, type PipelineName, type TenantId } from "../../domain/ids.ts"
import type { Failure } from "../../domain/job.ts"
import { Lock } from "../../domain/manifest.ts"
import { packageSetText } from "../../domain/package-set.ts"
import type { Pipeline } from "../../domain/pipeline.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import type { Recorded } from "../../domain/recorded.ts"
import { readCompose } from "../read-compose.ts"

const decodeLock = Schema.decodeUnknownOption(Schema.fromJsonString(Lock))

/** The same of the same build at the same time, whoever asks for it, so that nothing is asked for twice. `place`: a build's number, or that it is a check. */
export const composeIdOf = (tenantId: TenantId, name: PipelineName, place: number | "check", at: number): ComposeId => {
  const random = createHash("sha256").update(`${tenantId}/${name}/${place}`).digest()
  return ComposeId.make(v7({ msecs: at, random: random.subarray(0, 16), seq: random.readUInt32BE(16) }))
}

/** Marked with the pipeline's name, so that lists find it. */
const requestOf = (
  name: PipelineName, { request }: NonNullable<Pipeline["definition"]>, mark: Readonly<Record<string, string>>, words: string
): SealedComposeRequest => ({
  ...request, name: `${(request.name ?? name).slice(0, 180)} ${words}`, labels: { ...request.labels, pipeline: name, ...mark }
})

export const buildCommand = (name: PipelineName, { definition, means }: Pipeline, number: number, composeId: ComposeId): ComposeCommand => ({
  _tag: "RequestCompose", composeId, ...means!, request: requestOf(name, definition!, { "pipeline-build": String(number) }, `#${number}`)
})

export const checkCommand = (name: PipelineName, { definition, means }: Pipeline, composeId: ComposeId): ComposeCommand => ({
  _tag: "RequestCompose", composeId, builder: means!.builder, resolves: true, resolvesOnly: true,
  request: requestOf(name, definition!, { "pipeline-check": "true" }, "check")
})

/** `absent`: nobody has asked for it yet. `never`: nobody can any more. */
export type ComposeEnd =
  | { readonly _tag: "absent" | "open" | "never" | "canceled" }
  | { readonly _tag: "succeeded"; readonly packages: Digest | undefined }
  | { readonly _tag: "failed"; readonly failure: Failure }

export const composeEnd = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId) {
  const { compose, recorded } = yield* readCompose(tenantId, composeId)
  switch (compose.status) {
    case "absent":
    case "open":
      return { _tag: compose.status } satisfies ComposeEnd
    case "canceled":
      return { _tag: compose.request === undefined ? "never" : "canceled" } satisfies ComposeEnd
    case "failed":
      return { _tag: "failed", failure: failureIn(recorded) } satisfies ComposeEnd
    case "succeeded":
      return { _tag: "succeeded", packages: yield* packagesOf(compose) } satisfies ComposeEnd
  }
})

/** The first job that failed for good says why. */
const failureIn = (recorded: ReadonlyArray<Recorded<"compose">>): Failure => {
  const failures = recorded.flatMap(({ events }) => events).flatMap((event): ReadonlyArray<Failure> =>
    event._tag === "JobFailed" && event.final ? [{ class: event.failure.class, message: event.failure.message }]
      : event._tag === "JobLost" && event.final ? [{ class: "platform", message: event.reason }] : [])
  return failures[0] ?? { class: "platform", message: "it failed" }
}

/** Nothing, where not every image has a lock. */
const packagesOf = Effect.fnUntraced(function*({ outcomes, request }: Compose) {
  const blobs = yield* Blobs
  const locks: Array<Lock> = []
  for (const [image] of request!.images.entries()) {
    const outcome = outcomes.get(JobId.make(`${image}-resolve`))
    const bytes = outcome?._tag === "Resolved" ? yield* blobs.get(outcome.lock.digest) : undefined
    const lock = bytes && decodeLock(new TextDecoder().decode(bytes))
    if (lock?._tag !== "Some") return undefined
    locks.push(lock.value)
  }
  return Digest.make(`sha256:${createHash("sha256").update(packageSetText(locks)).digest("hex")}`)
})

/** An image of Compute Engine: made of an archive, waited for, shared, removed. */
import { Effect, Schedule } from "effect"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Delivery, Journal } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { CallFailed, callFailed, has, orAbsent } from "../call-failed.ts"
import { redacted } from "../failures.ts"
import type { Clients } from "./clients.ts"
import { imageName, isOf, labelsOf, requestId } from "./names.ts"

type GcpDelivery = Delivery<TargetOf<"gcp">>

export const nameOf = ({ deliveryId, target }: Pick<GcpDelivery, "deliveryId" | "target">) => target.name ?? imageName(deliveryId)

export interface Found {
  readonly status: string
  readonly selfLink: string
}

/** This delivery's image, if there is one. One of the same name that is somebody else's is left alone. */
export const findImage = Effect.fnUntraced(function*({ call, images, project }: Clients, delivery: GcpDelivery): Effect.fn.Return<Found | undefined, BuildFailed | CallFailed> {
  const image = nameOf(delivery)
  const answer = yield* orAbsent(call("compute.images.get", () => images.get({ project, image })))
  if (answer === undefined) return undefined
  const [{ labels, selfLink, status }] = answer
  if (isOf(labels, delivery.deliveryId)) return { status: String(status ?? ""), selfLink: selfLink ?? "" }
  return yield* new BuildFailed({ class: "user", message: `compute.images.insert: there is an image ${image} in ${project} that was not made by this delivery` })
})

/** Begins to make it, and answers with the operation's name. Repeated, it is the same operation until that has failed. */
export const insertImage = Effect.fnUntraced(function*({ call, images, project }: Clients, delivery: GcpDelivery, object: string, journal: Journal) {
  const attempt = failedImports(journal)
  yield* journal.note("insert", { image: nameOf(delivery), attempt })
  const [operation] = yield* call("compute.images.insert", () =>
    images.insert({ project, requestId: requestId(delivery.deliveryId, `insert-${attempt}`), imageResource: resourceOf(delivery, object) }))
  const name = operationName(operation)
  yield* journal.note("operation", name)
  return name
})

const failedImports = (journal: Journal): number => (journal.read("failed-imports") as number | undefined) ?? 0

/** Google remembers a request by its id, and what became of it: the next attempt has to have another. */
export const forgetInsert = Effect.fnUntraced(function*(journal: Journal) {
  yield* journal.note("failed-imports", failedImports(journal) + 1)
  yield* journal.note("operation", null)
})

/** Kernels of these bring the drivers; of others nothing is known, and a wrong flag keeps an image from booting. */
const knownFeatures = ["UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC"]
const featuresOf = ({ distribution, image, target }: GcpDelivery): ReadonlyArray<string> =>
  target.guest_os_features ?? (/^(debian|ubuntu)-/u.test(distribution) ? knownFeatures : image.architecture === "aarch64" ? ["UEFI_COMPATIBLE"] : [])

const resourceOf = (delivery: GcpDelivery, object: string) => {
  const { deliveryId, image, target } = delivery
  return {
    name: nameOf(delivery),
    ...(target.family !== undefined && { family: target.family }),
    ...(target.description !== undefined && { description: target.description }),
    ...(target.location !== undefined && { storageLocations: [target.location] }),
    architecture: image.architecture === "aarch64" ? "ARM64" as const : "X86_64" as const,
    labels: { ...target.labels, ...labelsOf(delivery, deliveryId) },
    guestOsFeatures: featuresOf(delivery).map((type) => ({ type })) as never,
    rawDisk: { containerType: "TAR" as const, source: `https://storage.googleapis.com/${target.bucket}/${object}` }
  }
}

const operationName = (operation: { readonly latestResponse?: unknown }): string =>
  (operation.latestResponse as { readonly name?: string | null } | undefined)?.name ?? ""

interface Ended {
  readonly status?: unknown
  readonly progress?: number | null
  readonly httpErrorStatusCode?: number | null
  readonly httpErrorMessage?: string | null
  readonly error?: { readonly errors?: ReadonlyArray<{ readonly code?: string | null; readonly message?: string | null }> | null } | null
}

/** Until it is done, and what it failed with if it did. An operation that Google has forgotten is done. */
export const waitFor = Effect.fn("gcp.waitFor")(function*(
  { call, operations, project }: Clients, what: string, operation: string, pollMs: number, onProgress: (percent: number) => void = () => {}
): Effect.fn.Return<CallFailed | undefined, CallFailed> {
  while (true) {
    const answer = yield* orAbsent(call(what, () => operations.wait({ project, operation })))
    if (answer === undefined) return undefined
    const [ended] = answer as unknown as readonly [Ended]
    onProgress(ended.progress ?? 0)
    if (ended.status === "DONE") return outcomeOf(what, ended)
    yield* Effect.sleep(pollMs)
  }
})

const outcomeOf = (what: string, { error, httpErrorMessage, httpErrorStatusCode }: Ended) => {
  const [first] = error?.errors ?? []
  if (first === undefined && !((httpErrorStatusCode ?? 0) >= 400)) return undefined
  return callFailed(what, {
    status: httpErrorStatusCode ?? undefined, code: first?.code ?? undefined, message: first?.message ?? httpErrorMessage ?? "the operation has failed"
  })
}

/** Adds who is missing and keeps who is there. */
export const share = Effect.fn("gcp.share")(function*({ call, images, pauseMs, project }: Clients, delivery: GcpDelivery): Effect.fn.Return<void, CallFailed> {
  const members = delivery.target.share_with ?? []
  if (members.length === 0) return
  const resource = nameOf(delivery)
  const role = "roles/compute.imageUser"
  const once = Effect.gen(function*() {
    const [policy] = yield* call("compute.images.getIamPolicy", () => images.getIamPolicy({ project, resource, optionsRequestedPolicyVersion: 3 }))
    const bindings = policy.bindings ?? []
    // One with a condition is about something else.
    const ours = bindings.find((binding) => binding.role === role && (binding.condition ?? undefined) === undefined)
    const missing = members.filter((member) => !(ours?.members ?? []).includes(member))
    if (missing.length === 0) return
    const shared = { role, members: [...(ours?.members ?? []), ...missing] }
    const next = { ...policy, bindings: [...bindings.filter((binding) => binding !== ours), shared] }
    yield* call("compute.images.setIamPolicy", () => images.setIamPolicy({ project, resource, globalSetPolicyRequestResource: { policy: next } }))
  })
  // Somebody else has changed it meanwhile: from the beginning.
  yield* Effect.retry(once, { while: has(409, 412), times: 5, schedule: Schedule.exponential(pauseMs).pipe(Schedule.jittered) })
})

/** What is gone is removed. */
export const removeImage = Effect.fn("gcp.removeImage")(function*(clients: Clients, image: string, pollMs: number) {
  const { call, images, project } = clients
  const answer = yield* orAbsent(call("compute.images.delete", () => images.delete({ project, image })))
  if (answer === undefined) return
  const failed = yield* waitFor(clients, "compute.images.delete", operationName(answer[0]), pollMs)
  if (failed !== undefined && !has(404)(failed)) return yield* Effect.fail(failed)
})

export const failedImport = (failed: CallFailed) =>
  new BuildFailed({
    class: /quota|limit/iu.test(failed.code ?? "") ? "target-quota" : "target-fault",
    message: redacted(`compute.images.insert: ${failed.code === undefined ? "" : `${failed.code}: `}${failed.message}`)
  })

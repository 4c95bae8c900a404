/** A managed instance group as a pool's machines, of one zone or of a region. A worker's name is the name of its instance. */
import { Effect, Layer, Schema } from "effect"
import { ScaleDriver, ScaleFailed } from "../../domain/ports/scale-driver.ts"
import type { Instance, InstanceState } from "../../domain/scaling/instance.ts"
import { type ClientOptions, type GroupClient, groupClient, type ManagedInstance } from "./group-client.ts"

/** Credentials are the process's own, as Google's libraries find them. */
export const GcpSettings = Schema.Struct({
  type: Schema.Literal("gcp"),
  project: Schema.NonEmptyString,
  /** One of the two. */
  zone: Schema.optionalKey(Schema.NonEmptyString),
  region: Schema.optionalKey(Schema.NonEmptyString),
  group: Schema.NonEmptyString
}).check(Schema.makeFilter(({ region, zone }) => (region === undefined) !== (zone === undefined) || "a group is in a zone or in a region: say one of the two"))

type Operation = ScaleFailed["operation"]

export const InstanceGroupDriver = (settings: typeof GcpSettings.Type, options: ClientOptions = {}) =>
  Layer.effect(ScaleDriver, Effect.gen(function*() {
    let opened: GroupClient | undefined
    const open = async () => opened ??= await groupClient(settings, options)
    yield* Effect.addFinalizer(() => Effect.promise(async () => opened?.close()))
    const call = <A>(operation: Operation, run: (client: GroupClient) => Promise<A>) =>
      Effect.tryPromise({ try: async () => run(await open()), catch: (error) => failed(operation, error as GoogleError) })

    return ScaleDriver.of({
      list: Effect.map(call("list", (client) => client.members()), (members) => members.map(instanceOf)),
      grow: Effect.fn("InstanceGroup.grow")(function*(to) {
        // Asking for fewer would make the group choose whom to end.
        const size = yield* call("grow", (client) => client.targetSize())
        if (size < to) yield* call("grow", (client) => client.resize(to))
      }),
      remove: Effect.fn("InstanceGroup.remove")(function*(ids) {
        if (ids.length > 0) yield* call("remove", (client) => client.deleteInstances(ids))
      }),
      // Nobody but us makes a group without an autoscaler smaller.
      protect: () => Effect.void
    })
  }))

interface GoogleError extends Error {
  readonly code?: number | string
}

const failed = (operation: Operation, { code, message }: GoogleError) =>
  new ScaleFailed({ driver: "gcp", operation, message, ...(code !== undefined && { code: String(code) }) })

/** `zones/<zone>/instances/<name>`, as it is deleted by. */
const instanceOf = (member: ManagedInstance): Instance => {
  const id = /zones\/[^/]+\/instances\/[^/]+$/.exec(member.instance ?? "")?.[0] ?? member.name ?? ""
  return { id, worker: id.slice(id.lastIndexOf("/") + 1), state: stateOf(member) }
}

const stateOf = ({ currentAction, instanceStatus }: ManagedInstance): InstanceState =>
  currentAction === "DELETING" || currentAction === "ABANDONING" ? "stopping" : instanceStatus === "RUNNING" ? "running" : "starting"

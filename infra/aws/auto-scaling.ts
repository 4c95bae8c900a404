/** An Auto Scaling group as a pool's machines. A worker's name is the id of its instance. */
import type { AutoScalingClientConfig, Instance as Member } from "@aws-sdk/client-auto-scaling"
import { Effect, Layer, Schema } from "effect"
import { ScaleDriver, ScaleFailed } from "../../domain/ports/scale-driver.ts"
import type { Instance, InstanceState } from "../../domain/scaling/instance.ts"

/** Credentials are the process's own: environment, profile, or the role of the machine or pod. */
export const AwsSettings = Schema.Struct({
  type: Schema.Literal("aws"),
  group: Schema.NonEmptyString,
  region: Schema.NonEmptyString
})

type Operation = ScaleFailed["operation"]

/** The service takes no more at once. */
const mostProtected = 50

export const AutoScalingDriver = ({ group, region }: typeof AwsSettings.Type, config: AutoScalingClientConfig = {}) =>
  Layer.effect(ScaleDriver, Effect.gen(function*() {
    const aws = yield* Effect.promise(() => import("@aws-sdk/client-auto-scaling"))
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new aws.AutoScalingClient({ region, ...config })),
      (opened) => Effect.sync(() => opened.destroy())
    )
    const call = <A>(operation: Operation, run: (abort: { readonly abortSignal: AbortSignal }) => Promise<A>) =>
      Effect.tryPromise({ try: (abortSignal) => run({ abortSignal }), catch: (error) => failed(operation, error as Error) })

    const describe = Effect.fnUntraced(function*(operation: Operation) {
      const { AutoScalingGroups: [found] = [] } = yield* call(operation, (abort) =>
        client.send(new aws.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }), abort))
      // For a group that is not there the service answers an empty list.
      if (found === undefined) return yield* new ScaleFailed({ driver: "aws", operation, message: `there is no Auto Scaling group ${group} in ${region}` })
      return found
    })
    const members = (operation: Operation) => Effect.map(describe(operation), ({ Instances = [] }) => Instances.map(instanceOf))

    return ScaleDriver.of({
      list: members("list"),
      grow: Effect.fn("AutoScaling.grow")(function*(to) {
        const { DesiredCapacity = 0 } = yield* describe("grow")
        if (DesiredCapacity >= to) return
        yield* call("grow", (abort) =>
          client.send(new aws.SetDesiredCapacityCommand({ AutoScalingGroupName: group, DesiredCapacity: to, HonorCooldown: false }), abort))
      }),
      remove: Effect.fn("AutoScaling.remove")(function*(ids) {
        const here = yield* members("remove")
        const staying = here.filter(({ id, state }) => ids.includes(id) && state !== "stopping")
        yield* Effect.forEach(staying, ({ id: InstanceId }) => call("remove", (abort) =>
          client.send(new aws.TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity: true }), abort)), { discard: true })
      }),
      protect: Effect.fn("AutoScaling.protect")(function*(ids, on) {
        for (let from = 0; from < ids.length; from += mostProtected) {
          yield* call("protect", (abort) => client.send(new aws.SetInstanceProtectionCommand({
            AutoScalingGroupName: group, InstanceIds: ids.slice(from, from + mostProtected), ProtectedFromScaleIn: on
          }), abort))
        }
      })
    })
  }))

/** What comes from the network, not from the service, has a name that says nothing. */
const failed = (operation: Operation, { message, name }: Error) =>
  new ScaleFailed({ driver: "aws", operation, message, ...(name !== "Error" && { code: name }) })

/** Only what is in service can be protected. */
const instanceOf = ({ InstanceId, LifecycleState, ProtectedFromScaleIn }: Member): Instance => ({
  id: InstanceId!, worker: InstanceId!, state: stateOf(LifecycleState ?? ""),
  ...(LifecycleState === "InService" && { protected: ProtectedFromScaleIn === true })
})

const stateOf = (lifecycle: string): InstanceState =>
  gone.some((state) => lifecycle.startsWith(state)) ? "stopping" : lifecycle.startsWith("Pending") ? "starting" : "running"

/** What lies in a warm pool is no member yet. */
const gone = ["Terminat", "Detach", "Quarantined", "Warmed"]

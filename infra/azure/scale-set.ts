/**
 * A Virtual Machine Scale Set as a pool's machines, of uniform or flexible orchestration. A worker's name is the name of
 * its machine in small letters, with hyphens for underscores.
 */
import type { VirtualMachineScaleSetVM } from "@azure/arm-compute"
import type { TokenCredential } from "@azure/identity"
import { Effect, Layer, Schema } from "effect"
import { ScaleDriver, ScaleFailed } from "../../domain/ports/scale-driver.ts"
import type { Instance, InstanceState } from "../../domain/scaling/instance.ts"

/** Credentials are the process's own, as Azure's library finds them. */
export const AzureSettings = Schema.Struct({
  type: Schema.Literal("azure"),
  subscription: Schema.NonEmptyString,
  resourceGroup: Schema.NonEmptyString,
  scaleSet: Schema.NonEmptyString
})

export interface AzureAccess {
  readonly credential?: TokenCredential
  readonly options?: Record<string, unknown>
}

type Operation = ScaleFailed["operation"]

export const ScaleSetDriver = ({ resourceGroup, scaleSet, subscription }: typeof AzureSettings.Type, access: AzureAccess = {}) =>
  Layer.effect(ScaleDriver, Effect.gen(function*() {
    const { ComputeManagementClient } = yield* Effect.promise(() => import("@azure/arm-compute"))
    const credential = access.credential ?? (yield* Effect.promise(async () => new (await import("@azure/identity")).DefaultAzureCredential()))
    const client = new ComputeManagementClient(credential, subscription, access.options)
    const [sets, machines] = [client.virtualMachineScaleSets, client.virtualMachineScaleSetVMs]
    const call = <A>(operation: Operation, run: (options: { readonly abortSignal: AbortSignal }) => Promise<A>) =>
      Effect.tryPromise({ try: (abortSignal) => run({ abortSignal }), catch: (error) => failed(operation, error as AzureError) })

    const describe = (operation: Operation) => call(operation, (options) => sets.get(resourceGroup, scaleSet, options))
    const members = (operation: Operation) => call(operation, async (options) => {
      const found: Array<VirtualMachineScaleSetVM> = []
      for await (const machine of machines.list(resourceGroup, scaleSet, options)) found.push(machine)
      return found
    })

    return ScaleDriver.of({
      list: Effect.gen(function*() {
        const { orchestrationMode } = yield* describe("list")
        return (yield* members("list")).map((machine) => instanceOf(machine, orchestrationMode !== "Flexible"))
      }),
      grow: Effect.fn("ScaleSet.grow")(function*(to) {
        const { sku } = yield* describe("grow")
        if ((sku?.capacity ?? 0) >= to) return
        yield* call("grow", (options) => sets.update(resourceGroup, scaleSet, { sku: { ...sku, capacity: to } }, options).submitted())
      }),
      remove: Effect.fn("ScaleSet.remove")(function*(ids) {
        const here = yield* members("remove")
        const staying = here.filter((machine) => ids.includes(machine.instanceId!) && stateOf(machine) !== "stopping")
        if (staying.length === 0) return
        const instanceIds = staying.map(({ instanceId }) => instanceId!)
        yield* call("remove", (options) => sets.deleteInstances(resourceGroup, scaleSet, { instanceIds }, options).submitted())
      }),
      protect: Effect.fn("ScaleSet.protect")(function*(ids, on) {
        const here = yield* members("protect")
        const meant = here.filter(({ instanceId }) => ids.includes(instanceId!))
        yield* Effect.forEach(meant, ({ instanceId, location }) => call("protect", (options) =>
          machines.update(resourceGroup, scaleSet, instanceId!, { location, protectionPolicy: { protectFromScaleIn: on } }, options).submitted()
        ), { discard: true, concurrency: 4 })
      })
    })
  }))

interface AzureError extends Error {
  readonly code?: string
  readonly statusCode?: number
}

const failed = (operation: Operation, { code, message, statusCode }: AzureError) => {
  const known = code ?? statusCode
  return new ScaleFailed({ driver: "azure", operation, message, ...(known !== undefined && { code: String(known) }) })
}

/** Machines of a flexible set know no protection. */
const instanceOf = (machine: VirtualMachineScaleSetVM, protectable: boolean): Instance => ({
  id: machine.instanceId!,
  worker: (machine.name ?? "").toLowerCase().replaceAll("_", "-"),
  state: stateOf(machine),
  ...(protectable && machine.provisioningState === "Succeeded" && { protected: machine.protectionPolicy?.protectFromScaleIn === true })
})

const stateOf = ({ provisioningState }: VirtualMachineScaleSetVM): InstanceState =>
  provisioningState === "Deleting" ? "stopping" : provisioningState === "Creating" ? "starting" : "running"

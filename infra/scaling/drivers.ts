/** The drivers by the names that a scaling file calls them. A provider's SDK is loaded with its first pool. */
import { Schema } from "effect"
import { AutoScalingDriver, AwsSettings } from "../aws/auto-scaling.ts"
import { AzureSettings, ScaleSetDriver } from "../azure/scale-set.ts"
import { GcpSettings, InstanceGroupDriver } from "../gcp/instance-group.ts"
import { ProcessDriver, ProcessSettings, type WorkerProgram } from "../process/process-driver.ts"

export const DriverSettings = Schema.Union([ProcessSettings, AwsSettings, GcpSettings, AzureSettings])
export type DriverSettings = typeof DriverSettings.Type

export const driverOf = (settings: DriverSettings, worker: WorkerProgram) => {
  switch (settings.type) {
    case "process":
      return ProcessDriver(settings, worker)
    case "aws":
      return AutoScalingDriver(settings)
    case "gcp":
      return InstanceGroupDriver(settings)
    case "azure":
      return ScaleSetDriver(settings)
  }
}

/**
 * Stands in for EC2 Auto Scaling: four actions of its query API, version 2011-01-01. It refuses what is unsigned, what
 * lacks a parameter or has one too many, and what the service is known to refuse. Machines start and end by `advance`.
 */
import { Effect } from "effect"
import { Refused } from "./aws-refused.ts"
import { listen } from "./stand-in.ts"
import { type SignedFor, whyUnsigned } from "./sigv4.ts"

export interface Machine {
  readonly id: string
  state: "Pending" | "InService" | "Terminating"
  protected: boolean
}

export interface Group {
  readonly name: string
  min: number
  max: number
  desired: number
  protectsNew: boolean
  machines: Array<Machine>
}

export const signedFor: SignedFor = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "an example's secret", region: "eu-central-1", service: "autoscaling" }

const invalid = (message: string) => new Refused("ValidationError", message)

export const autoScalingStandIn = Effect.gen(function*() {
  const group: Group = { name: "builders", min: 0, max: 5, desired: 0, protectsNew: false, machines: [] }
  const asked: Array<Readonly<Record<string, string>>> = []
  const faults: Array<Refused> = []
  let made = 0

  const machineOf = (id: string) => group.machines.find((machine) => machine.id === id)
  const named = (name: string | undefined) => {
    if (name !== group.name) throw invalid(`AutoScalingGroup name not found - AutoScalingGroup ${name} not found`)
  }

  const actions: Record<string, { readonly takes: RegExp; readonly needs: ReadonlyArray<string>; readonly act: (given: Record<string, string>) => string }> = {
    DescribeAutoScalingGroups: {
      takes: /^(AutoScalingGroupNames\.member\.\d+|NextToken|MaxRecords)$/, needs: [],
      act: (given) => `<AutoScalingGroups>${Object.values(given).includes(group.name) ? shown(group) : ""}</AutoScalingGroups>`
    },
    SetDesiredCapacity: {
      takes: /^(AutoScalingGroupName|DesiredCapacity|HonorCooldown)$/, needs: ["AutoScalingGroupName", "DesiredCapacity"],
      act: ({ AutoScalingGroupName, DesiredCapacity }) => {
        named(AutoScalingGroupName)
        const wanted = Number(DesiredCapacity)
        if (wanted > group.max) throw invalid(`New SetDesiredCapacity value ${wanted} is above max value ${group.max} for the AutoScalingGroup.`)
        if (wanted < group.min) throw invalid(`New SetDesiredCapacity value ${wanted} is below min value ${group.min} for the AutoScalingGroup.`)
        group.desired = wanted
        return ""
      }
    },
    TerminateInstanceInAutoScalingGroup: {
      takes: /^(InstanceId|ShouldDecrementDesiredCapacity)$/, needs: ["InstanceId", "ShouldDecrementDesiredCapacity"],
      act: ({ InstanceId = "", ShouldDecrementDesiredCapacity }) => {
        const machine = machineOf(InstanceId)
        if (machine === undefined) throw invalid(`Instance Id not found - No managed instance found for instance ID: ${InstanceId}`)
        if (ShouldDecrementDesiredCapacity === "true") {
          if (group.desired <= group.min) {
            throw invalid(`Currently, desiredSize equals minSize (${group.min}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.`)
          }
          group.desired -= 1
        }
        machine.state = "Terminating"
        return `<Activity><ActivityId>a-1</ActivityId><AutoScalingGroupName>${group.name}</AutoScalingGroupName><Cause>asked</Cause>
          <StartTime>2026-01-01T00:00:00Z</StartTime><StatusCode>InProgress</StatusCode></Activity>`
      }
    },
    SetInstanceProtection: {
      takes: /^(AutoScalingGroupName|InstanceIds\.member\.\d+|ProtectedFromScaleIn)$/, needs: ["AutoScalingGroupName", "InstanceIds.member.1", "ProtectedFromScaleIn"],
      act: ({ AutoScalingGroupName, ProtectedFromScaleIn, ...rest }) => {
        named(AutoScalingGroupName)
        const ids = Object.entries(rest).filter(([name]) => name.startsWith("InstanceIds")).map(([, id]) => id)
        if (ids.length > 50) throw invalid("1 validation error detected: Value at 'instanceIds' failed to satisfy constraint: Member must have length less than or equal to 50")
        for (const id of ids) {
          const machine = machineOf(id)
          if (machine?.state !== "InService") throw invalid(`The instance ${id} is not in InService or EnteringStandby or Standby.`)
        }
        for (const id of ids) machineOf(id)!.protected = ProtectedFromScaleIn === "true"
        return ""
      }
    }
  }

  const act = (given: Record<string, string>): string => {
    const { Action = "", Version, ...parameters } = given
    const action = actions[Action]
    if (action === undefined || Version !== "2011-01-01") throw new Refused("InvalidAction", `Could not find operation ${Action} for version ${Version}`)
    const missing = action.needs.filter((name) => parameters[name] === undefined)
    if (missing.length > 0) throw invalid(`${missing.length} validation error detected: ${missing[0]} must not be null`)
    const unknown = Object.keys(parameters).filter((name) => !action.takes.test(name))
    if (unknown.length > 0) throw new Refused("InvalidQueryParameter", `the parameter ${unknown[0]} is not known`)
    const fault = faults.shift()
    if (fault !== undefined) throw fault
    asked.push(given)
    return `<${Action}Response ${xmlns}><${Action}Result>${action.act(parameters)}</${Action}Result><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></${Action}Response>`
  }

  const port = yield* listen((request, body) => {
    try {
      const unsigned = whyUnsigned(request, body, signedFor)
      if (unsigned !== undefined) throw new Refused(unsigned, "The request signature we calculated does not match the signature you provided.", 403)
      if (request.method !== "POST" || request.url !== "/") throw new Refused("InvalidAction", `no ${request.method} ${request.url}`)
      return { status: 200, body: act(Object.fromEntries(new URLSearchParams(body.toString()))), headers: xml }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return {
        status: error.status, headers: xml,
        body: `<ErrorResponse ${xmlns}><Error><Type>Sender</Type><Code>${error.code}</Code><Message>${error.message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`
      }
    }
  })

  return {
    endpoint: `http://127.0.0.1:${port}`,
    group,
    /** What was asked and not refused, oldest first. */
    asked,
    /** The next request that is in order fails with this. */
    failWith: (code: string, message: string) => void faults.push(new Refused(code, message)),
    /** What was ending is gone, what was starting is there, and what is missing starts. */
    advance: () => {
      group.machines = group.machines.filter(({ state }) => state !== "Terminating")
      for (const machine of group.machines) machine.state = "InService"
      while (group.machines.length < group.desired) {
        group.machines.push({ id: `i-0${(made++).toString(16).padStart(16, "0")}`, state: "Pending", protected: group.protectsNew })
      }
    }
  }
})

const xmlns = "xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\""
const xml = { "content-type": "text/xml" }

const shown = ({ desired, machines, max, min, name }: Group) => `<member><AutoScalingGroupName>${name}</AutoScalingGroupName>
  <MinSize>${min}</MinSize><MaxSize>${max}</MaxSize><DesiredCapacity>${desired}</DesiredCapacity><DefaultCooldown>300</DefaultCooldown>
  <AvailabilityZones><member>eu-central-1a</member></AvailabilityZones><HealthCheckType>EC2</HealthCheckType>
  <CreatedTime>2026-01-01T00:00:00Z</CreatedTime><Instances>${machines.map((machine) => `<member><InstanceId>${machine.id}</InstanceId>
  <AvailabilityZone>eu-central-1a</AvailabilityZone><LifecycleState>${machine.state}</LifecycleState><HealthStatus>Healthy</HealthStatus>
  <ProtectedFromScaleIn>${machine.protected}</ProtectedFromScaleIn></member>`).join("")}</Instances></member>`

/** The stand-in by itself, with the SDK and without: what it lets pass was asked as the service wants it. */
import { assert, describe, it } from "@effect/vitest"
import * as aws from "@aws-sdk/client-auto-scaling"
import { Effect } from "effect"
import { autoScalingStandIn, signedFor } from "../../support/aws-auto-scaling.ts"

const make = Effect.gen(function*() {
  const standIn = yield* autoScalingStandIn
  const client = (over: Partial<typeof signedFor> = {}) => {
    const { accessKeyId, region, secretAccessKey } = { ...signedFor, ...over }
    return new aws.AutoScalingClient({ endpoint: standIn.endpoint, region, credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 })
  }
  const codeOf = (send: Promise<unknown>) => Effect.promise(() => send.then(() => "none", (error: Error) => error.name))
  return { ...standIn, client, codeOf }
})
const describeGroup = () => new aws.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ["builders"] })

describe("the stand-in for Auto Scaling", () => {
  it.effect("refuses what is unsigned, signed with another secret, or for another region", () =>
    Effect.gen(function*() {
      const { client, codeOf, endpoint } = yield* make
      assert.strictEqual(yield* codeOf(client({ secretAccessKey: "another" }).send(describeGroup())), "SignatureDoesNotMatch")
      assert.strictEqual(yield* codeOf(client({ accessKeyId: "AKIDOTHER" }).send(describeGroup())), "InvalidClientTokenId")
      assert.strictEqual(yield* codeOf(client({ region: "us-east-1" }).send(describeGroup())), "SignatureDoesNotMatch")
      const bare = yield* Effect.promise(() => fetch(endpoint, { method: "POST", body: "Action=DescribeAutoScalingGroups&Version=2011-01-01" }))
      assert.strictEqual(bare.status, 403)
      assert.strictEqual(yield* codeOf(client().send(describeGroup())), "none")
    }))

  it.effect("refuses a body that is not the one that was signed", () =>
    Effect.gen(function*() {
      const { client, codeOf } = yield* make
      const tampered = client()
      tampered.middlewareStack.add((next) => (args) => {
        const request = args.request as { body: string }
        request.body = request.body.replace("builders", "builderz")
        return next(args)
      }, { step: "finalizeRequest", priority: "low" })
      assert.strictEqual(yield* codeOf(tampered.send(describeGroup())), "SignatureDoesNotMatch")
    }))

  it.effect("refuses what the service refuses: beyond the limits, unknown machines, those not in service", () =>
    Effect.gen(function*() {
      const { advance, client, codeOf, group } = yield* make
      const size = (DesiredCapacity: number) => new aws.SetDesiredCapacityCommand({ AutoScalingGroupName: "builders", DesiredCapacity })
      const protect = (id: string) => new aws.SetInstanceProtectionCommand({ AutoScalingGroupName: "builders", InstanceIds: [id], ProtectedFromScaleIn: true })
      const end = (InstanceId: string) => new aws.TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity: true })
      assert.strictEqual(yield* codeOf(client().send(size(6))), "ValidationError")
      assert.strictEqual(yield* codeOf(client().send(end("i-nowhere"))), "ValidationError")
      assert.strictEqual(yield* codeOf(client().send(size(1))), "none")
      advance()
      const { id } = group.machines[0]!
      assert.strictEqual(yield* codeOf(client().send(protect(id))), "ValidationError")
      advance()
      assert.strictEqual(yield* codeOf(client().send(protect(id))), "none")
      group.min = 1
      assert.strictEqual(yield* codeOf(client().send(end(id))), "ValidationError")
    }))
})

/** Whether there is a role for the service that imports. Who may not look is told nothing; the import will. */
import { Effect } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Obstacle } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import type { AwsIdentity } from "../aws-identity.ts"
import { saidBy, targetFailed } from "../failures.ts"

const what = "iam:GetRole"
const importer = "vmie.amazonaws.com"

export const roleObstacles = Effect.fn("aws.roleObstacles")(function*(
  { credentials, endpoints, options, region }: AwsIdentity, { role = "vmimport" }: TargetOf<"aws">
): Effect.fn.Return<ReadonlyArray<Obstacle>, BuildFailed> {
  // Other services than Amazon's know who imports by themselves.
  if (endpoints.ec2 !== undefined && endpoints.iam === undefined) return []
  const { IAM } = yield* Effect.promise(() => import("@aws-sdk/client-iam"))
  const client = new IAM({
    ...options, region, ...(credentials && { credentials }), ...(endpoints.iam !== undefined && { endpoint: endpoints.iam })
  })
  const problem = yield* Effect.tryPromise({
    try: (abortSignal) => client.getRole({ RoleName: role }, { abortSignal }).then(({ Role }) => decodeURIComponent(Role?.AssumeRolePolicyDocument ?? "")),
    catch: (error) => ({ code: saidBy(error).code, failure: targetFailed(what, error) })
  }).pipe(
    Effect.map((trust) => trust.includes(importer) ? undefined : `the role ${role} does not trust ${importer}`),
    Effect.catch(({ code, failure }) => {
      if (code === "AccessDenied") return Effect.succeed(undefined)
      if (code === "NoSuchEntity" || code === "NoSuchEntityException") return Effect.succeed(`there is no role ${role}, which ${importer} needs to read the bucket`)
      return failure.class === "user" ? Effect.succeed(failure.message) : Effect.fail(failure)
    }),
    Effect.ensuring(Effect.sync(() => client.destroy()))
  )
  return problem === undefined ? [] : [{ what, problem }]
})

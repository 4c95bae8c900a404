/** Links to copies in clouds: signed anew each time somebody asks, with the tenant's own credentials, or by a worker that has the operator's. */
import { Effect } from "effect"
import { AskedErrand } from "../../domain/errand.ts"
import type { TenantId } from "../../domain/ids.ts"
import type { ImageCopy } from "../../domain/image-copy.ts"
import { CredentialSets } from "../../domain/ports/credential-sets.ts"
import { ImageTargets } from "../../domain/ports/image-targets.ts"
import { Scheduling } from "../../domain/ports/scheduling.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { Target } from "../../domain/target.ts"
import { credentialsOfTarget } from "../../domain/target-credentials.ts"
import { credentialSetsOf } from "../credentials.ts"

/** None for what has no links, and while nobody is there who could sign one. */
export const linkToCopy = Effect.fn("linkToCopy")(
  function*(tenantId: TenantId, target: Target, copy: ImageCopy, seconds: number) {
    const cloud = (yield* ImageTargets).get(target.type)
    const name = credentialsOfTarget(target)
    if (cloud?.link === undefined || name === undefined) return undefined
    const set = (yield* credentialSetsOf(tenantId)).get(name)
    if (set === undefined) return yield* byWorker(tenantId, target, copy, seconds)
    const credentials = yield* (yield* CredentialSets).admit(yield* (yield* Sealer).open(tenantId, set.sealed))
    return yield* cloud.link(target, copy, credentials, seconds)
  },
  Effect.catch((error: { readonly _tag: string }) => Effect.as(Effect.logWarning("no link to a copy", { reason: error._tag }), undefined))
)

const byWorker = Effect.fnUntraced(function*(tenantId: TenantId, target: Target, copy: ImageCopy, seconds: number) {
  const asked = AskedErrand.cases.Link.make({ target, copy, seconds: Math.floor(seconds) })
  const { answer } = yield* (yield* Scheduling).errand(tenantId, asked)
  return answer._tag === "Linked" ? answer.url : undefined
})

/** Secrets of a blueprint's request: sealed as they come, kept where a mask stands for them, shown as a mask. */
import { Effect } from "effect"
import type { ComposeRequest, SealedComposeRequest } from "../../domain/compose-request.ts"
import type { TenantId } from "../../domain/ids.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { Fault } from "./api/problems.ts"
import { badRequest } from "./faults.ts"
import { sealSecrets } from "./request-compose.ts"

/** What answers have in place of a secret; sent back, it means the secret that was there. */
const mask = "***"

type Users = NonNullable<NonNullable<SealedComposeRequest["customizations"]>["users"]>

const usersOf = (request: SealedComposeRequest | undefined): Users => request?.customizations?.users ?? []

/** `before`: the version that masks refer to. */
export const sealedAfter = Effect.fnUntraced(function*(tenantId: TenantId, request: ComposeRequest, before: SealedComposeRequest | undefined) {
  const known = new Map(usersOf(before).map(({ name, password }) => [name, password]))
  const users = request.customizations?.users ?? []
  const isMasked = ({ password }: typeof users[number]) => password === mask
  const faults = users.flatMap((user, at): ReadonlyArray<Fault> => !isMasked(user) || known.get(user.name) !== undefined ? [] : [{
    in: "body", path: `request.customizations.users[${at}].password`, message: `there is no password of ${user.name} to keep`
  }])
  if (faults.length > 0) return yield* badRequest(faults)
  if (!users.some(isMasked)) return yield* sealSecrets(tenantId, request)
  const unmasked = users.map((user) => {
    const { password: _, ...others } = user
    return isMasked(user) ? others : user
  })
  const sealed = yield* sealSecrets(tenantId, { ...request, customizations: { ...request.customizations, users: unmasked } })
  const kept = usersOf(sealed).map((user, at) => {
    const password = isMasked(users[at]!) ? known.get(user.name) : undefined
    return password === undefined ? user : { ...user, password }
  })
  const customizations: SealedComposeRequest["customizations"] = { ...(sealed as SealedComposeRequest).customizations, users: kept }
  return { ...sealed, customizations } satisfies SealedComposeRequest
})

/** Passwords whose key was forgotten since would fail a build much later. */
export const lostSecrets = Effect.fnUntraced(function*(tenantId: TenantId, request: SealedComposeRequest) {
  const sealer = yield* Sealer
  const lost = yield* Effect.forEach(usersOf(request), ({ name, password }, at) =>
    password === undefined ? Effect.succeed([]) : sealer.open(tenantId, password).pipe(
      Effect.as<ReadonlyArray<Fault>>([]),
      Effect.catchTag("SealLost", () => Effect.succeed<ReadonlyArray<Fault>>([{
        in: "body", path: `customizations.users[${at}].password`, message: `the password of ${name} is erased; set it anew`
      }]))))
  return lost.flat()
})

/** Keeps what tenants name from leading to the machine itself, or to its link. */
import { lookup as lookUp, type LookupAddress, type LookupOptions } from "node:dns"
import { Effect } from "effect"
import { hostOf } from "../../domain/customization-faults.ts"
import type { Repository } from "../../domain/customizations.ts"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { isPrivateAddress, isPrivateHost } from "../../domain/private-host.ts"

const refusal = "is an address of the machine itself, or of its link, which repositories may not have here"

const addressesOf = (host: string): Effect.Effect<ReadonlyArray<LookupAddress>> =>
  Effect.callback((resume) =>
    // A name that is not known here may be known to a proxy.
    lookUp(host, { all: true }, (error, found) => resume(Effect.succeed(error ? [] : found)))
  )

/** Before apt is sent there. */
export const checkHosts = (repositories: ReadonlyArray<Repository>): Effect.Effect<void, BuildFailed> =>
  Effect.forEach(
    repositories,
    Effect.fnUntraced(function*({ uri }, index) {
      const host = hostOf(uri)
      const found = isPrivateHost(host) ? undefined : yield* addressesOf(host)
      if (found === undefined || found.some(({ address }) => isPrivateAddress(address)))
        return yield* new BuildFailed({ class: "user", message: `repositories[${index}].uri: ${host} ${refusal}` })
    }),
    { discard: true }
  )

type Found = (error: NodeJS.ErrnoException | null, address: string | ReadonlyArray<LookupAddress>, family?: number) => void

/** For requests to them: looks a name up as ever, but finds nothing private. */
export const publicLookup = (host: string, options: LookupOptions, found: Found): void =>
  lookUp(host, { ...options, all: true }, (error, addresses) => {
    const refused = error ?? (addresses.some(({ address }) => isPrivateAddress(address)) ? new Error(`${host} ${refusal}`) : null)
    if (refused !== null) return found(refused, "")
    return options.all ? found(null, addresses) : found(null, addresses[0]!.address, addresses[0]!.family)
  })

export const assertPublic = (url: string): void => {
  const { hostname, protocol } = new URL(url)
  const bare = hostname.replace(/^\[|\]$/g, "")
  if (!/^https?:$/.test(protocol) || isPrivateHost(bare) || (bare.includes(":") && isPrivateAddress(bare))) throw new Error(`${bare} ${refusal}`)
}

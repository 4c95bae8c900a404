/** Keeps targets from leading to the machine itself, or to its link, where clouds keep a machine's credentials. */
import { lookup as lookUp, type LookupAddress, type LookupOptions } from "node:dns"
import { isPrivateAddress, isPrivateHost } from "../../domain/private-host.ts"

export const privateHost = "PRIVATE_HOST"

/** What a request fails with that would have gone there. */
export class PrivateHost extends Error {
  /** What SDKs keep of an error that they wrap. */
  readonly code = privateHost
  constructor(host: string) {
    super(`${host} is an address of the machine itself, or of its link, which a target may not have here`)
  }
}

type Found = (error: NodeJS.ErrnoException | null, address: string | Array<LookupAddress>, family?: number) => void

export type LookUp = (
  host: string, options: LookupOptions & { readonly all: true }, found: (error: NodeJS.ErrnoException | null, addresses: Array<LookupAddress>) => void
) => void

/** For `lookup` of a request: looks a name up as ever, but finds nothing that is refused. A number is not looked up. */
export const lookupWithout = (refuses: (address: string) => boolean, look: LookUp = lookUp) => (host: string, options: LookupOptions, found: Found): void =>
  look(host, { ...options, all: true }, (error, addresses) => {
    const refused = error ?? (addresses.some(({ address }) => refuses(address)) ? new PrivateHost(host) : null)
    if (refused !== null) return found(refused, "")
    return options.all ? found(null, addresses) : found(null, addresses[0]!.address, addresses[0]!.family)
  })

export const publicLookup = lookupWithout(isPrivateAddress)

/** By what is written there, which is all there is to a number. */
export const assertPublic = ({ hostname }: URL): void => {
  const bare = hostname.replace(/^\[|\]$/g, "")
  if (isPrivateHost(bare) || (bare.includes(":") && isPrivateAddress(bare))) throw new PrivateHost(bare)
}

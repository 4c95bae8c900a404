/** Networks of the operator's own that webhooks may reach, though they are not the whole world's. */
import { BlockList, isIP } from "node:net"
import { Config, Effect, Schema } from "effect"
import { isInternalAddress } from "../../domain/private-host.ts"

export class NetworksUnusable extends Schema.TaggedError<NetworksUnusable>()("NetworksUnusable", { message: Schema.String }) {}

/** Which addresses are refused. `networks`: `10.0.0.0/8,127.0.0.1`; fails with the first that is none. */
export const refusesBut = Effect.fnUntraced(function*(networks: string) {
  const allowed = new BlockList()
  for (const network of networks.split(",").map((each) => each.trim()).filter((each) => each !== "")) {
    const [address = "", bits] = network.split("/")
    const family = isIP(address)
    const longest = family === 4 ? 32 : 128
    if (family === 0 || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= longest))) {
      return yield* new NetworksUnusable({ message: `KILN_WEBHOOK_NETWORKS: ${network} is no address and no network, such as 10.0.0.0/8` })
    }
    allowed.addSubnet(address, bits === undefined ? longest : Number(bits), family === 4 ? "ipv4" : "ipv6")
  }
  return (address: string) => {
    const bare = address.replace(/%.*$/, "")
    return isInternalAddress(bare) && !allowed.check(bare, isIP(bare) === 6 ? "ipv6" : "ipv4")
  }
})

export const refusedAddresses = Config.String("KILN_WEBHOOK_NETWORKS").pipe(Config.withDefault(""), (config) => Effect.flatMap(config, refusesBut))

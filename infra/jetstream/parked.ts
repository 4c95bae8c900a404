/** What was put aside, each thing under the hash of who could not take it and where it lay. */
import { createHash } from "node:crypto"
import { Effect, Exit, Layer, Schema } from "effect"
import { Parked, ParkedItem, ParkedUnavailable } from "../../domain/ports/parked.ts"
import { CoreNats } from "./nats.ts"
import { ensureParkedStream } from "./streams.ts"

const encode = Schema.encodeSync(Schema.fromJsonString(ParkedItem))
const decode = Schema.decodeUnknownExit(Schema.fromJsonString(ParkedItem))
const unavailable = (error: unknown) => new ParkedUnavailable({ message: `what is parked cannot be reached: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

export const ParkedJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(Parked, Effect.gen(function*() {
    const { js, jsm } = yield* CoreNats
    yield* ensureParkedStream(jsm, replicas)
    const all = async () => {
      const found: Array<ParkedItem & { readonly id: string }> = []
      try {
        for await (const message of await jsm.direct.getLastMessagesFor("PARKED", { multi_last: ["parked.>"] })) {
          const item = decode(message.string())
          if (Exit.isSuccess(item)) found.push({ ...item.value, id: message.subject.slice("parked.".length) })
        }
      } catch (error) {
        if ((error as { readonly code?: number }).code !== 404) throw error
      }
      return found.toSorted((one, other) => other.at - one.at)
    }
    return Parked.of({
      park: (item) => Effect.asVoid(attempt(() => js.publish(`parked.${idOf(item)}`, encode(item)))),
      list: attempt(all),
      drop: (id) =>
        attempt(async () => {
          if (!/^[0-9a-f]{16}$/.test(id)) return false
          const { purged } = await jsm.streams.purge("PARKED", { filter: `parked.${id}` })
          return purged > 0
        })
    })
  }))

const idOf = ({ by, where }: ParkedItem): string => createHash("sha256").update(`${by}\n${where}`).digest("hex").slice(0, 16)

/** Errands and their answers as messages: past JetStream, since whoever is not there now need not hear of one later. */
import { promisify } from "node:util"
import { gunzip, gzip } from "node:zlib"
import { Effect, Exit, Schema } from "effect"
import { Errand, ErrandAnswer, Refused } from "../../domain/errand.ts"

const [pack, unpack] = [promisify(gzip), promisify(gunzip)]
/** Some hundred thousand things. */
const longest = 64 * 2 ** 20
/** Less than what the server takes in one message. */
const mostBytes = 1000 * 1024

const Sent = Schema.fromJsonString(Schema.Struct({ errandId: Schema.String.check(Schema.isPattern(/^[0-9a-f-]{36}$/u)), errand: Errand }))
export const encodeErrand = Schema.encodeSync(Sent)
const decodeSent = Schema.decodeUnknownExit(Sent)
const Answer = Schema.fromJsonString(ErrandAnswer)
const encodeAnswer = Schema.encodeSync(Answer)
const decodeAnswer = Schema.decodeUnknownEffect(Answer)

export const errandIn = (text: string): typeof Sent.Type | undefined => {
  const sent = decodeSent(text)
  return Exit.isSuccess(sent) ? sent.value : undefined
}

export const packedAnswer = Effect.fnUntraced(function*(answer: ErrandAnswer) {
  const bytes = yield* Effect.promise(() => pack(encodeAnswer(answer)))
  return bytes.length <= mostBytes ? bytes : yield* Effect.promise(() => pack(encodeAnswer(Refused.make({ message: "more lies there than one message holds" }))))
})

export const unpackedAnswer = (message: Uint8Array) =>
  Effect.tryPromise(async () => (await unpack(message, { maxOutputLength: longest })).toString()).pipe(Effect.flatMap(decodeAnswer))

/** A stream's entries as an archive keeps them. */
import { isUtf8 } from "node:buffer"
import type { JsMsg } from "@nats-io/jetstream"
import { Effect } from "effect"
import type { Line } from "../archive/segments.ts"
import { consume } from "./follow-stream.ts"
import type { Nats } from "./nats.ts"

const handful = 500

/** From the first to the one with this sequence, for as long as the scope lasts. */
export const linesOf = (nats: Nats, stream: string, last: number) =>
  last === 0 ? Effect.succeed(none()) : Effect.map(consume(nats, { stream, after: 0 }), ({ messages }) => handfuls(messages, last))

async function* handfuls(messages: AsyncIterable<JsMsg>, last: number): AsyncGenerator<ReadonlyArray<Line>, void> {
  let lines: Array<Line> = []
  for await (const message of messages) {
    const content = isPlain(message.data) ? { data: message.string() } : { data: "", base64: Buffer.from(message.data).toString("base64") }
    lines.push({ sequence: message.seq, subject: message.subject, message: message.headers?.get("Nats-Msg-Id") ?? "", ...content })
    if (message.seq < last && lines.length < handful) continue
    yield lines
    lines = []
    if (message.seq >= last) return
  }
}

/** What else would not come back from text as it was. */
const isPlain = (data: Uint8Array) => isUtf8(data) && data[0] !== byteOrderMark
const byteOrderMark = 0xef

async function* none(): AsyncGenerator<ReadonlyArray<Line>, void> {}

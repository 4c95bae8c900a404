import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { isInternalAddress } from "../../../domain/private-host.ts"
import { WebhookSender } from "../../../domain/ports/webhook-sender.ts"
import type { LookUp } from "../../../infra/targets/public-hosts.ts"
import { refusesBut } from "../../../infra/webhooks/allowed-networks.ts"
import { type SenderOptions, WebhookSenderHttp } from "../../../infra/webhooks/webhook-sender-http.ts"
import { certificate } from "../../support/certificate.ts"
import { answering, webhookReceiver } from "../../support/webhook-receiver.ts"

const refused = "the endpoint leads to an address that webhooks may not reach here"
const send = (url: string, options: Partial<SenderOptions> = {}, body = "{}") =>
  Effect.flatMap(WebhookSender, (sender) => sender.send({ url, headers: { "content-type": "application/json" }, body })).pipe(
    Effect.provide(WebhookSenderHttp({ refuses: isInternalAddress, timeoutMs: 2000, ...options })))
const loopbackAllowed = { refuses: (address: string) => isInternalAddress(address) && address !== "127.0.0.1" }
/** Answers each of these in turn, then the last for ever. */
const answeringWith = (...turns: ReadonlyArray<ReadonlyArray<string>>) => {
  let turn = 0
  const look: LookUp = (_, _options, found) => found(null, turns[Math.min(turn++, turns.length - 1)]!.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })))
  return look
}

describe("a sender", () => {
  it.effect.each(["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost:1/", "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://2130706433:1/", "http://[::ffff:127.0.0.1]:1/", "http://[fd00:ec2::254]/"])(
    "given %s, then it connects to nobody and says so", (url) =>
      Effect.gen(function*() {
        const answer = yield* send(url)
        assert.deepStrictEqual([answer.status, answer.error], [undefined, refused])
      }))

  it.effect("given a name that stands for a public address when it is looked at and for the machine itself when it is connected to, then it connects to nobody", () =>
    Effect.gen(function*() {
      const receiver = yield* webhookReceiver()
      const { port } = new URL(receiver.url)
      const lookUp = answeringWith(["127.0.0.1"], ["127.0.0.2"])
      // The first connection is allowed for the sake of the test; the second finds another address.
            const answers = yield* Effect.gen(function*() {
        const sender = yield* WebhookSender
        const letter = { url: `http://rebinds.example:${port}/`, headers: { connection: "close" }, body: "{}" }
        return [yield* sender.send(letter), yield* sender.send(letter)]
      }).pipe(Effect.provide(WebhookSenderHttp({ lookUp, timeoutMs: 2000, ...loopbackAllowed })))
      assert.deepStrictEqual(answers.map(({ error, status }) => [status, error]), [[200, undefined], [undefined, refused]])
      assert.strictEqual(receiver.state.got.length, 1)
    }))

  it.effect("given a name that stands for a public address and for a private one too, then it connects to nobody", () =>
    Effect.gen(function*() {
      const answer = yield* send("http://both.example:1/", { lookUp: answeringWith(["93.184.216.34", "10.0.0.7"]) })
      assert.strictEqual(answer.error, refused)
    }))

  it.effect("given an answer that redirects to the machine itself, then it is not followed", () =>
    Effect.gen(function*() {
      const inner = yield* webhookReceiver()
      const outer = yield* webhookReceiver(answering(302, "", { location: inner.url }))
      const answer = yield* send(outer.url, loopbackAllowed)
      assert.deepStrictEqual([answer.status, inner.state.got.length], [302, 0])
    }))

  it.effect("given TLS, then the certificate must be of somebody who is trusted", () =>
    Effect.gen(function*() {
      const tls = certificate()
      const receiver = yield* webhookReceiver(answering(204), tls)
      const [distrusted, trusted] = [yield* send(receiver.url, loopbackAllowed), yield* send(receiver.url, { ...loopbackAllowed, ca: tls.cert })]
      assert.deepStrictEqual([distrusted.status, trusted.status], [undefined, 204])
      assert.match(distrusted.error!, /self.signed|certificate/i)
    }))

  it.effect("given an endpoint that asks for time, then that is passed on; given a long answer, its beginning", () =>
    Effect.gen(function*() {
      const receiver = yield* webhookReceiver(answering(429, "y".repeat(5000), { "retry-after": "120" }))
      const answer = yield* send(receiver.url, loopbackAllowed)
      assert.deepStrictEqual([answer.status, answer.retryAfterMs, answer.excerpt], [429, 120_000, "y".repeat(1024)])
    }))

  it.effect("given an answer that drips on for ever, then its status counts and nobody waits for the rest", () =>
    Effect.gen(function*() {
      const receiver = yield* webhookReceiver((_, response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write("."), 20)
        response.on("close", () => clearInterval(timer))
      })
      assert.strictEqual((yield* send(receiver.url, loopbackAllowed)).status, 200)
    }))
})

describe("networks that an operator allows", () => {
  it.effect("are reached, and nothing else that is private", () =>
    Effect.gen(function*() {
      const refuses = yield* refusesBut("10.0.0.0/8, fd12::/16,192.168.1.5")
      assert.deepStrictEqual(["10.9.9.9", "fd12::7", "192.168.1.5", "::ffff:10.1.1.1", "93.184.216.34"].map(refuses), [false, false, false, false, false])
      assert.deepStrictEqual(["127.0.0.1", "192.168.1.6", "fd13::1", "169.254.169.254", "::1"].map(refuses), [true, true, true, true, true])
    }))
  it.effect.each(["10.0.0.0/33", "example.org", "10.0.0/8", "::/129"])("are refused when they are none: %s", (text) =>
    Effect.gen(function*() {
      assert.include((yield* Effect.flip(refusesBut(text))).message, text)
    }))
})

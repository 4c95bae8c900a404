/** A worker that is killed in the midst of an upload, with the real processes: the next attempt sends what is missing. */
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { type Stack, startStack } from "../../apps/standalone/stack.ts"
import { s3Keys, s3StandIn } from "../support/s3-stand-in.ts"
import { temporaryFolder } from "../support/servers.ts"

const mebi = 1 << 20
const bytes = 70 * mebi + 321
const part = 16 * mebi

interface Shown {
  readonly status: string
  readonly images: ReadonlyArray<{ readonly targets: ReadonlyArray<{
    readonly status: string; readonly attempts: number; readonly failure?: unknown
    readonly progress?: { readonly stage: string; readonly bytes_total: number }
    readonly copy?: { readonly id: string; readonly place: string; readonly bytes_sent: number }
  }> }>
}

const api = Effect.fnUntraced(function*(stack: Stack) {
  const token = yield* stack.token("acme", "requester")
  return (path: string, init: RequestInit = {}) => Effect.promise(async () => {
    const answer = await fetch(`${stack.url}/api/kiln/v1${path}`, { ...init, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" } })
    return { status: answer.status, body: await answer.json() as unknown }
  })
})

describe("a worker killed -9 in the midst of an upload", () => {
  it.live("given parts that are there, when it is back, then only the others are sent, there is one object and no open upload, and its link opens it", () =>
    Effect.gen(function*() {
      const home = yield* temporaryFolder
      const s3 = yield* s3StandIn()
      const bucket = s3.store.make("images", "eu-central-1")
      const set = { provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: s3.endpoint } }
      const env = { KILN_TEST_DISTRIBUTION: "1", KILN_LOST_AFTER: "4 seconds", KILN_ALLOW_PRIVATE_ENDPOINTS: "true" }
      const stack = yield* startStack({ home, durable: false, env })
      const call = yield* api(stack)
      assert.strictEqual((yield* call("/credentials/lab", { method: "PUT", body: JSON.stringify(set) })).status, 200)

      const fourth = Promise.withResolvers<void>()
      s3.fault = ({ operation, query }) => {
        if (operation !== "UploadPart" || Number(query.get("partNumber")) < 4) return undefined
        fourth.resolve()
        return { wait: new Promise(() => {}) }
      }
      const asked = yield* call("/composes", { method: "POST", body: JSON.stringify({
        distribution: "test-distro-1",
        images: [{ architecture: "x86_64", type: "simulated", options: { bytes }, targets: [{ type: "s3", bucket: "images", credentials: "lab" }] }]
      }) })
      assert.strictEqual(asked.status, 202, JSON.stringify(asked.body))
      const { id } = asked.body as { readonly id: string }
      const show = Effect.map(call(`/composes/${id}`), ({ body }) => body as Shown)
      const shownUntil = (holds: (shown: Shown) => boolean) => show.pipe(Effect.repeat({ until: holds, schedule: Schedule.spaced("100 millis") }), Effect.timeout("90 seconds"))

      yield* Effect.promise(() => fourth.promise)
      const [open] = bucket.uploads.values()
      yield* Effect.sync(() => open!.parts.size).pipe(Effect.repeat({ until: (there) => there === 3, schedule: Schedule.spaced("20 millis") }), Effect.timeout("30 seconds"))
      const running = yield* shownUntil(({ images }) => images[0]!.targets[0]!.progress !== undefined)
      assert.deepInclude(running.images[0]!.targets[0]!.progress!, { stage: "upload", bytes_total: bytes })
      yield* stack.processes.get("worker")!.kill("SIGKILL")
      s3.fault = () => undefined
      const before = s3.bytesKept

      const done = yield* shownUntil(({ status }) => status !== "pending" && status !== "running")
      const [target] = done.images[0]!.targets
      assert.deepStrictEqual([done.status, target!.status, target!.attempts], ["succeeded", "succeeded", 2])
      assert.strictEqual(before, 3 * part)
      assert.strictEqual(s3.bytesKept, bytes, "nothing was sent twice")
      assert.deepStrictEqual([bucket.objects.size, bucket.uploads.size], [1, 0])
      const [object] = bucket.objects.values()
      assert.deepInclude(target!.copy!, { id: object!.key, place: "images" })

      const artifacts = (yield* call(`/composes/${id}/artifacts`)).body as ReadonlyArray<{ readonly url: string; readonly digest: string; readonly expires_at: string }>
      assert.strictEqual(artifacts.length, 1)
      assert.isAbove(Date.parse(artifacts[0]!.expires_at), Date.now())
      const path = join(home, "fetched")
      writeFileSync(path, Buffer.from(yield* Effect.promise(async () => (await fetch(artifacts[0]!.url)).arrayBuffer())))
      assert.strictEqual(`sha256:${execFileSync("sha256sum", [path]).toString().slice(0, 64)}`, artifacts[0]!.digest)
    }).pipe(Effect.scoped))
})

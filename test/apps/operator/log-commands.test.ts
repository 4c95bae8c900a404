/** What operators ask of log and read models past the gateway, over a real NATS and a real Postgres. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { assert, layer } from "@effect/vitest"
import { type Context, Effect, Layer, Redacted } from "effect"
import { v7 } from "uuid"
import { executeOnCredentials } from "../../../apps/credentials.ts"
import { SetCredentials } from "../../../domain/credential-sets.ts"
import { Millis, type TenantId } from "../../../domain/ids.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { LogServerJetStream } from "../../../infra/jetstream/log-server.ts"
import { ProjectionStatesPostgres } from "../../../infra/postgres/projection-states-postgres.ts"
import { composeHistory } from "../../../projections/compose-history.ts"
import { TestNats } from "../../support/servers.ts"
import { newTenant, requestSimulated, rowsOf, SmallStack, startProjector, until } from "../../support/small-stack.ts"
import { kiln } from "./kiln-command.ts"

const Servers = Layer.merge(LogServerJetStream, ProjectionStatesPostgres).pipe(Layer.provideMerge(SmallStack))
process.env["KILN_NATS_CORE_URL"] = "nats://of.the.test"
process.env["KILN_POSTGRES_URL"] = "postgres://of.the.test"

type Ports = Layer.Success<typeof Servers>
const run = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(Effect.context<Ports>(), (ports) => Effect.promise(() => kiln(args, { backends: Layer.succeedContext(ports as Context.Context<any>), columns: 200 })))
const document = <A>(...args: ReadonlyArray<string>) => Effect.map(run(...args, "--json"), ({ out }) => JSON.parse(out) as A)

interface Entry {
  readonly stream: string
  readonly sequence: number
  readonly tenant: string
  readonly aggregate: string
  readonly id: string
  readonly at: string
  readonly actor: { readonly kind: string; readonly id: string }
  readonly events: ReadonlyArray<{ readonly _tag: string } & Record<string, unknown>>
}
const tail = (...args: ReadonlyArray<string>) =>
  Effect.map(run("events", "tail", "--once", "--json", ...args), ({ out }) => out.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Entry))

const setSecret = (tenantId: TenantId) =>
  executeOnCredentials({ tenantId, messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "anna" } },
    SetCredentials.make({ name: "prod", provider: "aws", fields: ["access_key_id"], sealed: { keyId: "k", nonce: "n", ciphertext: "hush-hush", fingerprint: "f" } }))

/** The command in a process of its own, as far as it takes to see lines. */
const followed = (args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { credentials: { core }, url } = yield* TestNats
    const nats = new URL(url)
    Object.assign(nats, { username: core.user, password: Redacted.value(core.password) })
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [join(import.meta.dirname, "../../../apps/operator/main.ts"), ...args], {
        env: { ...process.env, KILN_HOME: "/nonexistent", KILN_NATS_CORE_URL: nats.href, KILN_POSTGRES_URL: "" },
        stdio: ["ignore", "pipe", "inherit"]
      })),
      (child) => Effect.sync(() => child.kill("SIGKILL")))
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    return { child, next: Effect.promise(async () => JSON.parse((await lines.next()).value as string) as Entry) }
  })

layer(Servers, { excludeTestServices: true })("past the gateway", (it) => {
  it.effect("given decisions of two tenants, when the log is tailed once, then all, one tenant's, one kind's, one aggregate's or one event's are shown, and no secret", () =>
    Effect.gen(function*() {
      const [one, other] = [newTenant(), newTenant()]
      const composeId = yield* requestSimulated(one)
      yield* requestSimulated(other)
      yield* setSecret(one)
      const all = yield* tail("--from", "1")
      assert.deepStrictEqual(new Set(all.map(({ tenant }) => tenant)).isSupersetOf(new Set([one, other])), true)
      const mine = yield* tail("--from", "1", "--tenant", one)
      assert.deepStrictEqual(mine.map(({ aggregate, events: [first] }) => [aggregate, first!._tag]), [["compose", "ComposeRequested"], ["credentials", "CredentialsSet"]])
      assert.strictEqual(mine[1]!.events[0]!["sealed"], "***")
      assert.notInclude((yield* run("events", "tail", "--once", "--json", "--from", "1")).out, "hush-hush")
      assert.deepStrictEqual((yield* tail("--from", "1", "--tenant", one, "--aggregate", "credentials")).length, 1)
      assert.deepStrictEqual((yield* tail("--from", "1", "--aggregate", `compose/${composeId}`)).map(({ id }) => id), [composeId])
      assert.deepStrictEqual((yield* tail("--from", "1", "--tenant", one, "--event", "CredentialsSet")).map(({ aggregate }) => aggregate), ["credentials"])
      const { code, out } = yield* run("events", "tail", "--once", "--from", "1", "--tenant", one, "--utc")
      assert.strictEqual(code, 0)
      assert.match(out, new RegExp(`^\\S+ \\S+ Z  EVENTS:\\d+  ${one}/credentials  anna  CredentialsSet  name=prod provider=aws$`, "m"))
    }))

  it.effect("given places in the log, when it is tailed from there, then that entry is the first, be the place a sequence, one of a stream, or a time", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      for (let n = 0; n < 5; n += 1) {
        yield* requestSimulated(tenantId)
        yield* Effect.sleep("3 millis")
      }
      const all = yield* tail("--from", "1", "--tenant", tenantId)
      const third = all[2]!
      assert.deepStrictEqual(yield* tail("--from", `EVENTS:${third.sequence}`, "--tenant", tenantId), all.slice(2))
      assert.deepStrictEqual(yield* tail("--from", String(third.sequence), "--tenant", tenantId), all.slice(2))
      assert.deepStrictEqual(yield* tail("--from", third.at, "--tenant", tenantId), all.slice(2))
      assert.deepStrictEqual(yield* tail("--from", "2020-01-01T00:00:00Z", "--tenant", tenantId), all)
      assert.deepStrictEqual(yield* tail("--from", "EVENTS_7:1"), [])
      assert.deepStrictEqual(yield* tail(), [])
      for (const wrong of [["--from", "soon"], ["--aggregate", "recipe"], ["--tenant", "A B"], ["--event", "Composed"]]) {
        assert.strictEqual((yield* run("events", "tail", "--once", ...wrong)).code, 2)
      }
      assert.strictEqual((yield* run("events", "tail", "--event", "ComposeRequestd")).err.split(",")[0], "--event ComposeRequestd is no event; there is ComposeRequested")
    }))

  it.effect("given a command that follows the log, when something is decided, then it is printed at once, and the command ends when it is told to", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const first = yield* requestSimulated(tenantId)
      const { child, next } = yield* followed(["events", "tail", "--json", "--tenant", tenantId, "--from", "1"])
      assert.strictEqual((yield* next).id, first)
      const second = yield* requestSimulated(tenantId)
      assert.strictEqual((yield* next).id, second)
      const ended = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGINT")
      assert.strictEqual(yield* Effect.promise(() => ended), 130)
    }))

  it.effect("given a place or an aggregate, then its decisions are shown with their fields, without secrets, and what cannot be read says why", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const composeId = yield* requestSimulated(tenantId)
      yield* setSecret(tenantId)
      const [entry] = yield* document<ReadonlyArray<Entry>>("events", "show", `${tenantId}/compose/${composeId}`)
      assert.strictEqual(entry!.events[0]!._tag, "ComposeRequested")
      assert.deepStrictEqual(yield* document("events", "show", `EVENTS:${entry!.sequence}`), [entry])
      const secret = yield* run("events", "show", `${tenantId}/credentials`)
      assert.match(secret.out, /CredentialsSet[^]*"sealed": "\*\*\*"/)
      assert.notInclude(secret.out, "hush-hush")
      const { js } = yield* CoreNats
      const { seq } = yield* Effect.promise(() => js.publish(`events.${tenantId}.compose.${v7()}.1`, "{\"schema\": 1}"))
      assert.match((yield* run("events", "show", `EVENTS:${seq}`)).out, /cannot be read/)
      assert.deepStrictEqual([(yield* run("events", "show", "EVENTS:999999")).code, (yield* run("events", "show", `${tenantId}/account`)).code], [4, 4])
      assert.deepStrictEqual([(yield* run("events", "show", "what")).code, (yield* run("events", "show", "a/recipe/b")).code], [2, 2])
    }))

  it.effect("given a projector that keeps up, then streams and read models say how far they are, and one that falls behind says by how much", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* startProjector
        yield* requestSimulated(tenantId)
        yield* until(document<ReadonlyArray<{ streams: ReadonlyArray<{ behind: number }> }>>("projections"), (all) => all.length >= 5 && all.every(({ streams }) => streams[0]?.behind === 0))
        const composes = (yield* document<ReadonlyArray<Record<string, unknown>>>("projections")).find(({ projection }) => projection === "composes")!
        assert.deepInclude(composes, { generation: "live", version: composeHistory.version, wanted: composeHistory.version })
        assert.deepInclude((composes["streams"] as ReadonlyArray<object>)[0], { stream: "EVENTS", behind: 0, lag_seconds: 0 })
        assert.match((yield* run("projections")).out, /^composes +live +\d +EVENTS +\d+ +\d+ +0\.0 s +\d+/m)
        const events = (yield* document<ReadonlyArray<Record<string, unknown>>>("streams")).find(({ name }) => name === "EVENTS")!
        assert.isAtLeast(events["consumers"] as number, 1)
        assert.strictEqual(events["messages"], events["last_sequence"])
        assert.isTrue(Date.parse(events["last_at"] as string) >= Date.parse(events["first_at"] as string))
        assert.match((yield* run("streams")).out, /^EVENTS +\d+/m)
        assert.isAtLeast((yield* document<ReadonlyArray<unknown>>("streams", "EVENTS")).length, 1)
      }))
      yield* requestSimulated(tenantId)
      const behind = (yield* document<ReadonlyArray<{ streams: ReadonlyArray<{ behind: number; lag_seconds: number }> }>>("projections"))[0]!
      assert.strictEqual(behind.streams[0]!.behind, 1)
      assert.isAbove(behind.streams[0]!.lag_seconds, 0)
      assert.strictEqual((yield* run("streams", "NOWHERE")).code, 4)
    }))

  it.effect("given a replay and a retry of what is parked, then who did it, to what, and how it went is in the log", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        yield* startProjector
        const tenantId = newTenant()
        yield* requestSimulated(tenantId)
        yield* until(Effect.orElseSucceed(rowsOf("composes", tenantId), () => []), ({ length }) => length === 1)
      }))
      assert.strictEqual((yield* run("replay", "--projection", "jobs")).code, 0)
      yield* run("parked", "retry", "--projection", "jobs")
      // Puts the table of an earlier one away.
      assert.strictEqual((yield* run("replay", "--projection", "jobs", "--until", "2026-01-31T12:00:00.000Z")).code, 0)
      const operations = yield* tail("--from", "1", "--aggregate", "operation")
      assert.deepStrictEqual(operations.map(({ events: [{ _tag, on }] }: any) => [_tag, on]),
        ["jobs", "jobs", "jobs until 2026-01-31T12:00:00.000Z"].flatMap((on) => [["OperationBegun", on], ["OperationSucceeded", undefined]]))
      assert.deepStrictEqual(operations.map(({ id }) => id.slice(0, -37)), ["replay", "parked-retry", "replay"].flatMap((name) => [name, name]))
      assert.strictEqual(operations[0]!.actor.kind, "operator")
      assert.match(operations[0]!.actor.id, /^.+@.+$/)
      assert.strictEqual(operations[0]!.tenant, "default")
    }))
})

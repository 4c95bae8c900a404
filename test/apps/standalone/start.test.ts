/** `npm start` as a process: what it leaves while it serves, how it ends, and what survives a kill. */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { Effect } from "effect"
import { poll } from "../../../infra/process/poll.ts"
import { gone } from "../../support/gone.ts"
import { kiln } from "../operator/kiln-command.ts"

const main = join(import.meta.dirname, "../../../apps/standalone/main.ts")
const home = mkdtempSync(join(tmpdir(), "kiln-start-"))
const endpointFile = join(home, "endpoint.json")
const started: Array<Started> = []

interface Started {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
  readonly exited: Promise<number | null>
}

const start = (env: Readonly<Record<string, string>> = {}, args = ["--no-first-image"]): Started => {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, KILN_HOME: home, KILN_PORT: "0", KILN_TEST_DISTRIBUTION: "1", ...env }, stdio: ["ignore", "pipe", "pipe"]
  })
  let [out, err] = ["", ""]
  child.stdout!.on("data", (text) => out += String(text))
  child.stderr!.on("data", (text) => err += String(text))
  const one = { child, out: () => out, err: () => err, exited: new Promise<number | null>((resolve) => child.once("exit", resolve)) }
  started.push(one)
  return one
}

const until = <A>(ask: () => A | undefined) => Effect.runPromise(Effect.timeout(poll(20, ask), "60 seconds"))

const serving = (kiln: Started) =>
  until(() => {
    if (kiln.child.exitCode !== null) throw new Error(`it ended: ${kiln.err()}`)
    return existsSync(endpointFile) ? JSON.parse(readFileSync(endpointFile, "utf8")) as Record<"url" | "token" | "nats" | "postgres", string> : undefined
  })

const pidOf = (name: string) => Number.parseInt(readFileSync(join(home, "run", `${name}.pid`), "utf8"), 10)

const ask = async (url: string, token: string, ...args: ReadonlyArray<string>) => {
  const { code, out } = await kiln(["--url", url, "--token", token, "--json", ...args])
  return { code, answer: JSON.parse(out) }
}

afterAll(async () => {
  for (const { child } of started) child.kill("SIGTERM")
  await Promise.all(started.map(({ exited }) => exited))
  rmSync(home, { recursive: true, force: true, maxRetries: 5 })
})

describe("npm start", () => {
  it("serves until it is told to go, survives what dies, and finds its history again", { timeout: 300_000 }, async () => {
    const first = start()
    const { nats, postgres, token, url } = await serving(first)
    assert.strictEqual(statSync(endpointFile).mode & 0o777, 0o600)
    assert.isTrue(URL.canParse(nats) && URL.canParse(postgres))
    const request = join(home, "request.json")
    writeFileSync(request, JSON.stringify({ distribution: "test-distro-1", name: "kept", images: [{ architecture: "x86_64", type: "simulated" }] }))
    const built = await ask(url, token, "build", request)
    assert.deepStrictEqual([built.code, built.answer.status], [0, "succeeded"])

    // A second one on the same home, or on the same port, says so.
    const second = start()
    assert.strictEqual(await second.exited, 1)
    assert.strictEqual(second.err(), `${home} is in use by another Kiln, process ${first.child.pid}: stop that one, or choose another folder with KILN_HOME\n`)
    const other = mkdtempSync(join(tmpdir(), "kiln-start-"))
    const third = start({ KILN_HOME: other, KILN_PORT: new URL(url).port })
    assert.strictEqual(await third.exited, 1)
    assert.match(third.err(), /^Port \d+ on 127\.0\.0\.1 is taken: .*KILN_PORT\n$/)
    rmSync(other, { recursive: true })

    // A process that is killed comes back.
    const gateway = pidOf("gateway")
    process.kill(gateway, "SIGKILL")
    await until(() => existsSync(join(home, "run/gateway.pid")) && pidOf("gateway") !== gateway ? true : undefined)
    await until(() => first.out().includes("gateway ended (SIGKILL); starting it again in 100ms") ? true : undefined)
    const answers = () => fetch(`${url}/readyz`).then(({ ok }) => ok, () => false)
    while (!(await answers())) await new Promise((resolve) => setTimeout(resolve, 50))

    // Killed itself, it takes all with it, and the next one goes on. Its scheduler looks for the server some 25 s more before it gives up.
    const [scheduler, ...others] = ["scheduler", "gateway", "projector", "worker"].map(pidOf)
    first.child.kill("SIGKILL")
    await first.exited
    await Effect.runPromise(gone(...others))
    const again = start()
    const next = await until(() => {
      const found = existsSync(endpointFile) ? JSON.parse(readFileSync(endpointFile, "utf8")) as Record<string, string> : undefined
      return found?.["url"] !== url && again.out().includes("Kiln serves at") ? found : undefined
    })
    const listed = await ask(next["url"]!, next["token"]!, "list")
    assert.deepStrictEqual(listed.answer.items.map(({ name }: { name: string }) => name), ["kept"])

    // Told to go, it leaves nothing behind.
    const last = ["gateway", "scheduler", "projector", "worker"].map(pidOf)
    again.child.kill("SIGTERM")
    assert.deepStrictEqual([await again.exited, again.err()], [0, ""])
    assert.isFalse(existsSync(endpointFile))
    await Effect.runPromise(gone(scheduler!, ...last))
  })

  it("explains itself, and refuses what it does not know", async () => {
    const help = start({}, ["--help"])
    assert.strictEqual(await help.exited, 0)
    assert.include(help.out(), "--no-first-image")
    const wrong = start({}, ["--first-image"])
    assert.strictEqual(await wrong.exited, 2)
    assert.match(wrong.err(), /^Unknown option '--first-image'.*--help says more\n$/)
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../../support/servers.ts"

/** What `npm ci` leaves, as far as the set-up looks at it. */
const installs = `mkdir -p node_modules/.bin node_modules/patch-package; ln -sf ${process.execPath} node_modules/.bin/node; : > node_modules/patch-package/index.js`
const root = join(import.meta.dirname, "../../..")
const programs = "bash sh cat awk cut tr grep paste sed dirname mkdir uname sha256sum head tail sort flock env ln rm touch sleep true".split(" ")

/** A tree and a machine to set up: its only programs are these and the stand-ins. */
const machine = Effect.gen(function*() {
  const dir = yield* temporaryFolder
  const [tree, bin, calls] = [join(dir, "tree"), join(dir, "bin"), join(dir, "calls")]
  cpSync(join(root, "infra/setup"), join(tree, "infra/setup"), { recursive: true })
  mkdirSync(bin)
  writeFileSync(join(tree, "package-lock.json"), JSON.stringify({ packages: {} }))
  writeFileSync(join(tree, "program.ts"), "console.log('ran', ...process.argv.slice(2))\n")
  writeFileSync(calls, "")
  for (const name of programs) symlinkSync(join("/usr/bin", name), join(bin, name))
  const stub = (name: string, text: string) => {
    writeFileSync(join(bin, name), `#!/bin/bash\necho "${name} $*" >> ${calls}\n${text}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  stub("node", `exec ${process.execPath} "$@"`)
  stub("npm", `sleep 0.2; ${installs}`)
  stub("df", "echo; echo x x x 99999999 x x")
  stub("id", "echo 1000")
  stub("sudo", "exit 1")
  stub("apt-get", "exit 0")
  stub("dpkg-query", "shift 3; for name; do echo $name ii; done")
  mkdirSync(join(tree, ".tools/bin"), { recursive: true })
  symlinkSync("/bin/true", join(tree, ".tools/bin/nats-server"))
  const env: Record<string, string> = { PATH: bin, HOME: dir }
  const run = (...args: ReadonlyArray<string>) =>
    Effect.callback<{ code: number; out: string; err: string }>((resume) => {
      const options = { cwd: tree, env }
      execFile("/bin/bash", [join(tree, "infra/setup/run.sh"), ...args], options, (error, out, err) =>
        resume(Effect.succeed({ code: Number(error?.code ?? 0), out, err })))
    })
  const called = (text: string) => readFileSync(calls, "utf8").split("\n").filter((line) => line.startsWith(text)).length
  return { tree, bin, env, stub, run, called }
})

describe("the set-up before every command", () => {
  it.effect("installs what the lock file says once, and again when that changes", () =>
    Effect.gen(function*() {
      const { called, run, tree } = yield* machine
      const first = yield* run("cli", "program.ts", "a", "b c")
      assert.deepStrictEqual(first, { code: 0, out: "ran a b c\n", err: "setting up: Node 24 and npm packages …\n" })
      assert.deepStrictEqual(yield* run("start", "program.ts"), { code: 0, out: "ran\n", err: "" })
      assert.deepStrictEqual([called("npm"), called("apt-get")], [1, 0])
      appendFileSync(join(tree, "package-lock.json"), "\n")
      yield* run("cli", "program.ts")
      assert.strictEqual(called("npm"), 2)
    }))

  it.effect("is done once by two commands at the same time", () =>
    Effect.gen(function*() {
      const { called, run } = yield* machine
      const both = yield* Effect.all([run("cli", "program.ts"), run("cli", "program.ts")], { concurrency: 2 })
      assert.deepStrictEqual(both.map(({ out }) => out), ["ran\n", "ran\n"])
      assert.strictEqual(called("npm"), 1)
    }))

  it.effect("updates apt first and asks nothing where packages are missing and sudo may", () =>
    Effect.gen(function*() {
      const { bin, called, run, stub } = yield* machine
      stub("dpkg-query", `[ ! -e ${bin}/installed ] || { shift 3; for name; do echo $name ii; done; }`)
      stub("sudo", '[ "$1" = -n ] && shift; exec "$@"')
      stub("apt-get", `case "$*" in *install*) touch ${bin}/installed ;; esac`)
      const { code, err } = yield* run("start", "program.ts")
      assert.deepStrictEqual([code, err.split("\n")[1]?.slice(0, 38)], [0, "setting up: Debian packages: mmdebstra"])
      assert.strictEqual(called("apt-get -o DPkg::Lock::Timeout=300 update"), 1)
      assert.strictEqual(called("apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends mmdebstrap uidmap"), 1)
    }))

  it.effect("says in one sentence what is in the way", () =>
    Effect.gen(function*() {
      const { bin, run, stub, tree } = yield* machine
      const refusal = (...args: ReadonlyArray<string>) =>
        Effect.map(run(...args), ({ code, err, out }) => [code, out, err.trim().split("\n").at(-1)])
      const is = (actual: ReadonlyArray<unknown>, pattern: RegExp) => {
        assert.deepStrictEqual(actual.slice(0, 2), [1, ""])
        assert.match(String(actual[2]), pattern)
      }
      stub("node", "echo 18.19.1")
      is(yield* refusal("cli", "program.ts"), /^kiln: Node 18.19.1 is too old: install Node 20 or newer$/)
      stub("node", `exec ${process.execPath} "$@"`)
      stub("npm", "echo npm error code EAI_AGAIN; exit 1")
      is(yield* refusal("cli", "program.ts"), /^kiln: no network: npm cannot reach its registry/)
      stub("npm", `${installs}; echo "throw new Error('it does not fit')" > node_modules/patch-package/index.js`)
      is(yield* refusal("cli", "program.ts"), /^kiln: a package could not be patched: .*it does not fit/)
      stub("npm", installs)
      stub("df", "echo; echo x x x 1023000 x x")
      is(yield* refusal("start", "program.ts"), /^kiln: too little disk: .* has 999 MB free, and setting up needs 1024 MB$/)
      stub("df", "echo; echo x x x 99999999 x x")
      stub("dpkg-query", "shift 3; for name; do [ $name = zstd ] || echo $name ii; done")
      const command = "apt-get update && apt-get install -y --no-install-recommends zstd"
      is(yield* refusal("start", "program.ts"), new RegExp(`^kiln: packages are missing .* run, as root, ${command}$`))
      stub("id", "echo 0")
      stub("apt-get", "echo 'W: Temporary failure resolving mirror'; exit 100")
      is(yield* refusal("start", "program.ts"), /^kiln: no network: apt-get cannot reach its mirror, .*: zstd$/)
      unlinkSync(join(bin, "dpkg-query"))
      is(yield* refusal("start", "program.ts"), /^kiln: this is neither Debian nor Ubuntu: install by hand .*mmdebstrap/)
      unlinkSync(join(tree, ".tools/bin/nats-server"))
      is(yield* refusal("start", "program.ts", "--no-first-image"), /^kiln: this is neither Debian nor Ubuntu: install nats-server/)
    }))

  it.effect("asks for no more disk than it needs itself, and for none where all is there", () =>
    Effect.gen(function*() {
      const { run, stub } = yield* machine
      stub("df", "echo; echo x x x 1536000 x x")
      assert.strictEqual((yield* run("start", "program.ts", "--no-first-image")).code, 0)
      stub("df", "echo; echo x x x 102400 x x")
      const again = yield* run("start", "program.ts", "--no-first-image")
      assert.deepStrictEqual(again, { code: 0, out: "ran --no-first-image\n", err: "" })
    }))

  it.effect("brings a nats-server for every command but those that need none, for tests on containers too", () =>
    Effect.gen(function*() {
      const { env, run, tree } = yield* machine
      const setUp = join(tree, "infra/setup/nats-server.sh")
      writeFileSync(setUp, 'mkdir -p "$1" && ln -s /bin/true "$1/nats-server"\n')
      const bringsOne = Effect.fnUntraced(function*(profile: string) {
        rmSync(join(tree, ".tools/bin/nats-server"), { force: true })
        assert.strictEqual((yield* run(profile, "program.ts")).code, 0)
        return existsSync(join(tree, ".tools/bin/nats-server"))
      })
      const profiles = ["cli", "start", "bench", "test"]
      assert.deepStrictEqual(yield* Effect.forEach(profiles, bringsOne), [false, true, true, true])
      env["KILN_TEST_SERVERS"] = "containers"
      assert.isTrue(yield* bringsOne("test"))
    }))

  it.effect("goes on with a line where only some builds or tests need what is missing", () =>
    Effect.gen(function*() {
      const { run, stub } = yield* machine
      stub("dpkg-query", "shift 3; for name; do [ $name = zstd ] || echo $name ii; done")
      const served = yield* run("start", "program.ts", "--no-first-image")
      assert.deepStrictEqual([served.code, served.out], [0, "ran --no-first-image\n"])
      assert.match(served.err, /zstd; builds of this worker need them\n$/)
      const tested = yield* run("test", "program.ts")
      assert.deepStrictEqual([tested.code, tested.out], [0, "ran\n"])
      assert.match(tested.err, /zstd; tests that need them are skipped\n$/)
    }))
})

import { execFile } from "node:child_process"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { existsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect } from "effect"
import { debianBuilder } from "../../infra/debian/builder.ts"
import { debianConfigOf } from "../../infra/debian/config.ts"
import { atMost, type Bench, percentile, told } from "./bench.ts"
import { client } from "./http-client.ts"
import { tokenOf, withStack } from "./stack.ts"

const rounds = 3
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFrEvKHRCpFQkMpSqI9ToHWhxyTTlG8lCvO8hgXU6vB9 admin"
const image = { architecture: "x86_64", type: "guest-image" } as const
const customizationsOf = (hostname: string) => ({ hostname, users: [{ name: "admin", keys: [key], groups: ["sudo"] }] })

/** Base trees and finished images go, packages and indexes stay. */
const makeCold = async (cache: string) => {
  for (const folder of ["base", "held/manifests"]) {
    for (const name of await readdir(join(cache, folder))) await rm(join(cache, folder, name), { recursive: true, force: true })
  }
}

export const build: Bench = {
  name: "build",
  about: "a real Debian 13 image from POST to ready: cold, warm and the same again, against the same commands by hand",
  run: (say) =>
    withStack({}, async (stack) => {
      const cache = join(stack.home, "cache")
      const http = client(stack.url, await tokenOf(stack), 2)
      /** Seconds from POST to its last event. */
      const timed = async (hostname: string): Promise<number> => {
        const start = performance.now()
        const posted = await http.send("POST", "/api/kiln/v1/composes", JSON.stringify({ distribution: "debian-13", images: [image], customizations: customizationsOf(hostname) }))
        const { id } = JSON.parse(posted.body) as { id: string }
        // The event stream ends when the compose has.
        const { body } = await http.send("GET", `/api/kiln/v1/composes/${id}/events`)
        const seconds = (performance.now() - start) / 1000
        const shown = JSON.parse((await http.send("GET", `/api/kiln/v1/composes/${id}`)).body) as { status: string; failure?: unknown }
        if (shown.status !== "succeeded") throw new Error(`the compose ${shown.status}: ${JSON.stringify(shown.failure)} ${body.slice(-500)}`)
        return seconds
      }
      const byHand = async (lock: string): Promise<number> => {
        const work = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "kiln-by-hand-"))
        const start = performance.now()
        await promisify(execFile)("bash", [join(import.meta.dirname, "by-hand-build.sh"), cache, lock, work], { maxBuffer: 2 ** 26 })
        const seconds = (performance.now() - start) / 1000
        await rm(work, { recursive: true, force: true })
        return seconds
      }

      say("a first build, which fills the package cache")
      await timed("box")
      const lockFile = join(stack.home, "lock.json")
      const { resolve } = debianBuilder(debianConfigOf(cache, process.env))
      const lock = await Effect.runPromise(resolve({ distribution: "debian-13", image, customizations: customizationsOf("box") }, stack.home, { progress: () => {}, line: () => {} }))
      await writeFile(lockFile, JSON.stringify(lock))

      const pairs: Array<{ cold: number; hand: number }> = []
      for (let round = 1; round <= rounds; round++) {
        await makeCold(cache)
        const pair = { cold: await timed("box"), hand: await byHand(lockFile) }
        say(`round ${round}: cold ${pair.cold.toFixed(1)} s, by hand ${pair.hand.toFixed(1)} s`)
        pairs.push(pair)
      }
      const warm: Array<number> = []
      for (let round = 1; round <= rounds; round++) warm.push(await timed(`other${round}`))
      const again: Array<number> = []
      for (let round = 1; round <= 5; round++) again.push(await timed("other1"))
      http.close()
      const middle = (values: ReadonlyArray<number>) => percentile(values, 0.5)
      return [
        told("cold", middle(pairs.map(({ cold }) => cold)), "s"),
        told("by hand", middle(pairs.map(({ hand }) => hand)), "s"),
        atMost("cold / by hand", middle(pairs.map(({ cold, hand }) => cold / hand)), 1.1, "ratio"),
        atMost("warm", middle(warm), 5, "s"),
        atMost("identical", middle(again), 0.5, "s")
      ]
    })
}

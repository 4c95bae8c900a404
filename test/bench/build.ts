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
import { dibSeconds } from "./dib.ts"
import { client } from "./http-client.ts"
import { peakRss } from "./rss.ts"
import { tokenOf, withStack } from "./stack.ts"

const rounds = 3
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFrEvKHRCpFQkMpSqI9ToHWhxyTTlG8lCvO8hgXU6vB9 admin"
/** A boot test is another job's time. */
const image = { architecture: "x86_64", type: "guest-image", test: false } as const
const customizationsOf = (hostname: string) => ({ hostname, users: [{ name: "admin", keys: [key], groups: ["sudo"] }] })

/** Base trees and finished images go, packages and indexes stay. */
const makeCold = async (cache: string) => {
  for (const folder of ["base", "held/manifests"]) {
    for (const name of await readdir(join(cache, folder))) await rm(join(cache, folder, name), { recursive: true, force: true })
  }
}

/** A round pays for what it writes itself, and not for what those before it have left to be written. */
const settled = () => promisify(execFile)("sync")

interface Pair {
  readonly kiln: number
  readonly hand: number
}

const ratio = ({ hand, kiln }: Pair) => kiln / hand

export const build: Bench = {
  name: "build",
  about: "real Debian images from POST to ready: cold, warm, the same again and two at once, against the same commands by hand",
  run: (say, { dib }) =>
    withStack({ workerEnv: () => ({ KILN_SLOTS: JSON.stringify({ resolve: 2, build: 2, upload: 4 }) }) }, async (stack) => {
      const cache = join(stack.home, "cache")
      const http = client(stack.url, await tokenOf(stack), 2)
      /** Seconds from POST to its last event. */
      const timed = async (hostname: string, distribution = "debian-13"): Promise<number> => {
        await settled()
        const start = performance.now()
        const posted = await http.send("POST", "/api/kiln/v1/composes", JSON.stringify({ distribution, images: [image], customizations: customizationsOf(hostname) }))
        const { id } = JSON.parse(posted.body) as { id: string }
        // The event stream ends when the compose has.
        const { body } = await http.send("GET", `/api/kiln/v1/composes/${id}/events`)
        const seconds = (performance.now() - start) / 1000
        const shown = JSON.parse((await http.send("GET", `/api/kiln/v1/composes/${id}`)).body) as { status: string; failure?: unknown }
        if (shown.status !== "succeeded") throw new Error(`the compose ${shown.status}: ${JSON.stringify(shown.failure)} ${body.slice(-500)}`)
        return seconds
      }
      const scratch = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "kiln-by-hand-"))
      const lockFile = join(stack.home, "lock.json")
      const base = join(scratch, "base", "base.tar.zst")
      const byHand = async (mode: "cold" | "base" | "warm"): Promise<number> => {
        const work = join(scratch, mode)
        await settled()
        const start = performance.now()
        await promisify(execFile)("bash", [join(import.meta.dirname, "by-hand-build.sh"), mode, cache, lockFile, work, base], { maxBuffer: 2 ** 26 })
        const seconds = (performance.now() - start) / 1000
        if (mode !== "base") await rm(work, { recursive: true, force: true })
        return seconds
      }

      const said = (what: string, pair: Pair): Pair => {
        say(`${what} ${pair.kiln.toFixed(1)} s, by hand ${pair.hand.toFixed(1)} s`)
        return pair
      }

      say("a first build, which fills the package cache")
      await timed("box")
      const { resolve } = debianBuilder(debianConfigOf(cache, process.env))
      const lockOf = (distribution: string) =>
        Effect.runPromise(resolve({ distribution, image, customizations: customizationsOf("box") }, stack.home, { progress: () => {}, line: () => {} }))
      const lock = await lockOf("debian-13")
      await writeFile(lockFile, JSON.stringify(lock))

      const cold: Array<Pair> = []
      for (let round = 1; round <= rounds; round++) {
        await makeCold(cache)
        cold.push(said(`round ${round}: cold`, { kiln: await timed("box"), hand: await byHand("cold") }))
      }
      await byHand("base")
      const warm: Array<Pair> = []
      for (let round = 1; round <= rounds; round++) {
        warm.push(said(`round ${round}: warm`, { kiln: await timed(`other${round}`), hand: await byHand("warm") }))
      }
      await rm(scratch, { recursive: true, force: true })
      const again: Array<number> = []
      for (let round = 1; round <= 5; round++) again.push(await timed("other1"))

      say("one of each distribution alone, and both at once")
      await timed("box", "debian-12")
      const alone: Array<number> = []
      for (const distribution of ["debian-12", "debian-13"]) {
        await makeCold(cache)
        alone.push(await timed("box", distribution))
      }
      await makeCold(cache)
      await settled()
      const began = performance.now()
      await Promise.all(["debian-12", "debian-13"].map((distribution) => timed("box", distribution)))
      const together = (performance.now() - began) / 1000
      const memory = await peakRss(stack.processes.get("worker")!.pid)
      http.close()
      if (dib) say("Debian 12 by diskimage-builder")
      const byDib = dib
        ? [told("Debian 12 cold", alone[0]!, "s"), told("Debian 12 by diskimage-builder, tree alone", await dibSeconds(await lockOf("debian-12")), "s")]
        : []
      const middle = (values: ReadonlyArray<number>) => percentile(values, 0.5)
      return [
        told("cold", middle(cold.map(({ kiln }) => kiln)), "s"),
        told("cold by hand", middle(cold.map(({ hand }) => hand)), "s"),
        atMost("cold / by hand", middle(cold.map(ratio)), 1.05, "ratio"),
        atMost("warm", middle(warm.map(({ kiln }) => kiln)), 4.5, "s"),
        told("warm by hand", middle(warm.map(({ hand }) => hand)), "s"),
        atMost("warm / by hand", middle(warm.map(ratio)), 1.15, "ratio"),
        atMost("identical", middle(again), 0.3, "s"),
        ...byDib,
        told("two cold at once", together, "s"),
        atMost("two at once / one", together / (alone.reduce((sum, each) => sum + each, 0) / alone.length), 1.7, "ratio"),
        atMost("worker's peak memory", memory, 200, "MiB")
      ]
    })
}

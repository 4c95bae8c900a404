/** Builds of the same manifest at the same time, by workers in processes of their own that share a cache. */
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let folder = ""
let started: Array<ChildProcessByStdio<Writable, Readable, null>> = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-shared-"))
})
afterEach(async () => {
  await Promise.all(started.map((child) => ended(child)))
  started = []
  rmSync(folder, { recursive: true, force: true })
})

const ended = (child: (typeof started)[number]) => {
  const gone = child.exitCode === null && child.signalCode === null ? new Promise((resolve) => child.once("exit", resolve)) : undefined
  child.kill("SIGKILL")
  return gone
}

const worker = () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "build-shared.ts"), folder], { stdio: ["pipe", "pipe", "inherit"] })
  started.push(child)
  const lines: Array<string> = []
  let told = () => {}
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line)
    told()
  }).on("close", () => told())
  return {
    lines,
    goOn: () => void child.stdin.write("go on\n"),
    kill: () => ended(child),
    says: async (text: string) => {
      while (!lines.some((line) => line.includes(text))) {
        if (child.stdout.readableEnded) throw new Error(`ended without "${text}": ${lines.join("; ")}`)
        await new Promise<void>((resolve) => (told = resolve))
      }
    }
  }
}

const waits = "is being built by another worker that shares this cache; waiting for that image"

describe("two workers that share a cache", () => {
  it("share one run of a manifest: the second waits, says so, and uses the first's image", async () => {
    const first = worker()
    await first.says("building")
    const second = worker()
    await second.says(waits)
    first.goOn()
    await first.says("built, reused: false")
    await second.says("built, reused: true")
    expect(second.lines).not.toContain("building")
  })

  it("go on where the one that builds is killed in the middle: one that waits builds, and the next waits for it", async () => {
    const first = worker()
    await first.says("building")
    const [second, third] = [worker(), worker()]
    await Promise.all([second.says(waits), third.says(waits)])
    await first.kill()
    await Promise.race([second.says("building"), third.says("building")])
    const [next, last] = second.lines.includes("building") ? [second, third] : [third, second]
    await next.says("the other worker has made no image")
    expect(last.lines).not.toContain("building")
    next.goOn()
    await next.says("built, reused: false")
    await last.says("built, reused: true")
    expect(last.lines).not.toContain("building")
  })

  it("give up their wait by being killed too, and nobody waits for them", async () => {
    const first = worker()
    await first.says("building")
    const second = worker()
    await second.says(waits)
    await second.kill()
    first.goOn()
    await first.says("built, reused: false")
    const third = worker()
    await third.says("built, reused: true")
    expect(third.lines.join()).not.toContain(waits)
  })
})

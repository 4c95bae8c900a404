/** What a newcomer sees: `npm start` in an empty home builds a first image, says how to boot it, and goes on serving. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { skipWhere } from "../support/needs.ts"
import { buildImpossible } from "../infra/debian/real.ts"

const impossible = await buildImpossible()
const root = join(import.meta.dirname, "../..")

describe("a first npm start", () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  const dir = mkdtempSync(join(tmpdir(), "kiln-first-image-"))
  let kiln: ChildProcess | undefined
  afterAll(async () => {
    if (kiln !== undefined && kiln.exitCode === null && kiln.kill("SIGTERM")) await once(kiln, "exit")
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })

  it("leaves a bootable image, says how to boot it and how to reach the API, and ends by Ctrl-C", async () => {
    const [home, images] = [join(dir, "home"), join(dir, "images")]
    const started = kiln = spawn(process.execPath, [join(root, "apps/standalone/main.ts")], {
      env: { ...process.env, KILN_HOME: home, KILN_IMAGES: images, KILN_PORT: "0", NO_COLOR: "1" }, stdio: ["ignore", "pipe", "pipe"]
    })
    let said = ""
    const ended = new Promise<number | null>((resolve) => started.once("exit", resolve))
    const serving = new Promise<void>((resolve) => {
      for (const stream of [started.stdout, started.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          said += text
          if (said.includes("Ctrl-C stops Kiln.")) resolve()
        })
      }
    })
    await Promise.race([serving, ended])
    const [image] = existsSync(images) ? readdirSync(images) : []
    expect(said).toMatch(/resolve +succeeded[\s\S]+base-system[\s\S]+build +succeeded[\s\S]+SHA-256 right/)
    expect(said).toContain("qemu-system-x86_64")
    expect(said).toContain("/api/kiln/v1")
    expect(image).toMatch(/\.qcow2$/)
    expect(JSON.parse(execFileSync("qemu-img", ["check", "--output=json", join(images, image!)], { encoding: "utf8" }))).toMatchObject({ format: "qcow2" })
    expect(existsSync(join(home, "endpoint.json"))).toBe(true)
    started.kill("SIGINT")
    expect(await ended).toBe(0)
    expect(existsSync(join(home, "endpoint.json"))).toBe(false)
  })
})

import { execFile, spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { mkdtemp, open, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { once } from "node:events"
import { atLeast, atMost, type Bench, percentile, told } from "./bench.ts"
import { sparse } from "./upload/sparse.ts"

const gibi = 2 ** 30
const size = 2 * gibi
const rounds = 3

interface Cost {
  readonly seconds: number
  readonly cpu: number
  readonly rss: number
}

/** No two of its blocks are the same, and it has no holes. */
const writeFile = async (path: string): Promise<string> => {
  const [file, hash, block] = [await open(path, "w"), createHash("sha256"), randomBytes(16 << 20)]
  for (let at = 0; at < size; at += block.length) {
    block.writeBigUInt64LE(BigInt(at))
    hash.update(block)
    await file.write(block)
  }
  await file.sync()
  await file.close()
  return hash.digest("hex")
}

const serve = async () => {
  const server = spawn(process.execPath, [join(import.meta.dirname, "upload/serve.ts")], { stdio: ["pipe", "pipe", "inherit"] })
  const [line] = await once(server.stdout, "data") as [Buffer]
  return { endpoint: line.toString().trim(), end: () => server.stdin.end() }
}

export const upload: Bench = {
  name: "upload",
  about: "2 GiB to a stand-in for S3 in another process, by Kiln's target and by a bare loop over the SDK; a sparse disk of 10 GiB to Azure and Google",
  run: async (say) => {
    const dir = await mkdtemp(join(tmpdir(), "kiln-upload-"))
    const { end, endpoint } = await serve()
    try {
      const path = join(dir, "disk.raw")
      const sha256 = await writeFile(path)
      const send = async (how: string, round: number): Promise<Cost> => {
        const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, "upload/send.ts"), how, endpoint, path, String(size), sha256, join(dir, `${how}-${round}.jsonl`)], { env: { ...process.env, NODE_COMPILE_CACHE: join(dir, "compile-cache") } })
        const cost = JSON.parse(stdout) as Cost
        say(`${how}: ${(size / 2 ** 20 / cost.seconds).toFixed(0)} MiB/s, ${cost.cpu.toFixed(1)} CPU s, ${cost.rss.toFixed(0)} MiB`)
        return cost
      }
      const pairs: Array<{ readonly ours: Cost; readonly bare: Cost }> = []
      // Once for nothing, so that the file is in memory and both are compiled, as Kiln's processes are.
      await send("bare", -1)
      await send("ours", -1)
      for (let round = 0; round < rounds; round++) pairs.push({ ours: await send("ours", round), bare: await send("bare", round) })
      const median = (of: (pair: typeof pairs[number]) => number) => percentile(pairs.map(of), 0.5)
      await rm(path)
      const { allocated, azure, gcp } = await sparse(dir)
      return [
        atLeast("throughput against the bare loop", median(({ bare, ours }) => bare.seconds / ours.seconds), 0.95, "ratio"),
        told("throughput", median(({ ours }) => size / 2 ** 20 / ours.seconds), "MiB/s"),
        told("throughput of the bare loop", median(({ bare }) => size / 2 ** 20 / bare.seconds), "MiB/s"),
        atMost("CPU for 2 GiB", median(({ ours }) => ours.cpu), 4.5, "s"),
        told("CPU of the bare loop", median(({ bare }) => bare.cpu), "s"),
        atMost("peak memory", Math.max(...pairs.map(({ ours }) => ours.rss)), 200, "MiB"),
        told("allocated of a sparse 10 GiB", allocated / 2 ** 20, "MiB"),
        atMost("sent to Azure of it", azure / allocated, 1.05, "ratio"),
        atMost("sent to Google of it", gcp / allocated, 1.05, "ratio")
      ]
    } finally {
      end()
      await rm(dir, { recursive: true, force: true })
    }
  }
}

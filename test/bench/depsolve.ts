import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect } from "effect"
import { aptIndexes } from "../../infra/debian/apt-index.ts"
import { debianConfigOf } from "../../infra/debian/config.ts"
import { releases } from "../../infra/debian/distributions.ts"
import { atMost, type Bench, percentile, told } from "./bench.ts"
import { client } from "./http-client.ts"
import { tokenOf, withStack } from "./stack.ts"

const where = { distribution: "debian-13", architecture: "x86_64" } as const
/** No set comes twice: what was answered once is remembered. */
const sets = [
  ["nginx-light"], ["git", "curl"], ["postgresql"], ["python3-numpy"], ["vim", "tmux", "htop"], ["apache2", "php"], ["build-essential"], ["chromium"], ["qemu-system-x86"]
]
const searches = ["ssh", "lib", "python3-", "a", "postgres", "no-such-name"]

export const depsolve: Bench = {
  name: "depsolve",
  about: "the exact packages of sets that nobody asked for before, the index being there, and searches over all names",
  run: (say) =>
    withStack({}, async (stack) => {
      const http = client(stack.url, await tokenOf(stack), 1)
      const timed = async (method: string, path: string, body?: object): Promise<number> => {
        const start = performance.now()
        const { body: answer, status } = await http.send(method, `/api/kiln/v1${path}`, body && JSON.stringify(body))
        if (status !== 200) throw new Error(`${path}: ${status} ${answer.slice(0, 500)}`)
        return performance.now() - start
      }
      const resolved = (packages: ReadonlyArray<string>) => timed("POST", "/depsolve", { ...where, customizations: { packages } })
      const searched = (search: string) => timed("GET", `/packages?distribution=${where.distribution}&architecture=${where.architecture}&search=${search}&limit=50`)

      say("a first answer, which fetches the index")
      const first = await resolved(["tree"])
      const warm: Array<number> = []
      for (const set of sets) warm.push(await resolved(set))
      const again: Array<number> = []
      for (const set of sets) again.push(await resolved(set))
      await searched("tree")
      const found: Array<number> = []
      for (let round = 0; round < 10; round++) for (const search of searches) found.push(await searched(search))
      http.close()

      say("apt alone")
      const index = await Effect.runPromise(aptIndexes(debianConfigOf(join(stack.home, "cache"), process.env)).get(releases.find(({ id }) => id === where.distribution)!, "amd64"))
      const names = (await readFile(join(index.dir, "packages.tsv"), "utf8")).split("\n").length - 1
      const alone: Array<number> = []
      for (const set of sets) {
        const start = performance.now()
        await promisify(execFile)("apt-get", ["-q", "-y", ...index.options, "install", "--print-uris", "--", "?essential", "apt", ...set], { env: { ...process.env, ...index.env }, maxBuffer: 2 ** 26 })
        alone.push(performance.now() - start)
      }
      const seconds = (values: ReadonlyArray<number>, part: number) => percentile(values, part) / 1000
      return [
        told("first answer, index fetched", first / 1000, "s"),
        atMost("new set, the slowest", seconds(warm, 1), 1.5, "s"),
        told("new set, middle", seconds(warm, 0.5), "s"),
        told("apt alone, middle", seconds(alone, 0.5), "s"),
        told("the same set again, middle", seconds(again, 0.5), "s"),
        atMost("search, p99", percentile(found, 0.99), 50, "ms"),
        told("search, middle", percentile(found, 0.5), "ms"),
        told("names that are searched", names, "names")
      ]
    })
}

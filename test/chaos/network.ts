/**
 * A network for a cluster whose cables can be pulled: this process runs in a network namespace of its own, each NATS node in
 * another one, and a bridge joins them. It goes when the last process in it has ended; the machine's own network is not touched.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { readlinkSync } from "node:fs"
import type { NatsPlace } from "../../infra/nats-server/cluster.ts"
import { dieWithParent } from "../../infra/process/child.ts"
import type { CutOff } from "./cut-off.ts"

/** As root the network is all that has to be our own; for others a user namespace goes with it, in which they stay who they are. */
const unshare: ReadonlyArray<string> = process.getuid?.() === 0
  ? ["unshare", "--net", "--"]
  : ["unshare", "--user", "--map-current-user", "--keep-caps", "--net", "--"]

const probe = "ip link add probe type bridge && ip link add one type veth peer name two && unshare --net -- nsenter --net=/proc/self/ns/net -- true"

/** Why this machine has no network to cut, in a sentence; nothing where it has one. */
export const whyNoNetwork = (): string | undefined => {
  const [program, ...args] = unshare
  const { error, status, stderr } = spawnSync(program!, [...args, "sh", "-c", probe], { encoding: "utf8" })
  if (error === undefined && status === 0) return undefined
  return `no network namespaces here (${(error?.message ?? stderr).trim().split("\n").at(-1)})`
}

/** This program once more, inside; answers with its exit code. */
export const againInside = (argv: ReadonlyArray<string>): Promise<number> => {
  const [program, ...args] = unshare
  const child = spawn(program!, [...args, process.execPath, ...process.execArgv, ...argv], { stdio: "inherit" })
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => void child.kill(name))
  return new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)))
}

const ip = (...args: ReadonlyArray<string>) => void execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] })

/** To be called inside, once. */
export const layNetwork = (): CutOff => {
  ip("link", "set", "lo", "up")
  ip("link", "add", "hub", "type", "bridge")
  ip("addr", "add", "10.99.0.1/24", "dev", "hub")
  ip("link", "set", "hub", "up")
  const cable = (node: string) => `cable-${node.at(-1)}`
  return {
    how: "its cable pulled, in network namespaces",
    places: ["nats-1", "nats-2", "nats-3"].map((node, at) => layCable(cable(node), `10.99.0.${11 + at}`)),
    cut: async (_, node) => ip("link", "set", cable(node), "down"),
    mend: async (_, node) => ip("link", "set", cable(node), "up")
  }
}

const layCable = (cable: string, host: string): NatsPlace => {
  // Somebody has to be there for the namespace to be kept while its node is dead.
  const [program, ...args] = dieWithParent("SIGKILL", ["sleep", "infinity"])
  const holder = spawn("unshare", ["--net", "--", program!, ...args], { stdio: "ignore" })
  holder.unref()
  const inside = ["nsenter", `--net=/proc/${holder.pid}/ns/net`, "--"]
  const there = (...words: ReadonlyArray<string>) => void execFileSync(inside[0]!, [...inside.slice(1), "ip", ...words])
  waitForOther(holder.pid!)
  ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", String(holder.pid))
  ip("link", "set", cable, "master", "hub", "up")
  there("link", "set", "lo", "up")
  there("addr", "add", `${host}/24`, "dev", "eth0")
  there("link", "set", "eth0", "up")
  return { host, port: 4222, routePort: 6222, inside }
}

/** Until it has gone into its own. */
const waitForOther = (pid: number) => {
  const own = readlinkSync("/proc/self/ns/net")
  while (readlinkSync(`/proc/${pid}/ns/net`) === own) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
}

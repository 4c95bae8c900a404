/** What the machine is asked, and what its answer means. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { BootOrder, Facts } from "../../domain/ports/image-tests.ts"

const look = readFileSync(join(import.meta.dirname, "look.sh"), "utf8")

/** No line of a list can be the end mark: none has a space behind its first word's end, as `KILN END` has. */
const listing = (name: string, lines: ReadonlyArray<string>) => `${name}() {\ncat <<'KILN END'\n${lines.map((line) => `${line}\n`).join("")}KILN END\n}\n`

/** The program that the agent runs. Names that a tenant chose are data in it, never words of it. */
export const lookProgram = ({ certificates = [], files, script, sysctl, units }: Pick<BootOrder, "certificates" | "files" | "script" | "sysctl" | "units">, limitSeconds: number): string => {
  const encoded = script === undefined ? [] : Buffer.from(script).toString("base64").match(/.{1,76}/g) ?? []
  return [
    `LIMIT=${limitSeconds}\n`,
    listing("files", files),
    listing("units", units),
    listing("keys", sysctl),
    listing("certificates", certificates),
    listing("encoded", encoded),
    script === undefined ? "" : "PROGRAM=1\n",
    "program() { encoded | base64 -d; }\n",
    look
  ].join("")
}

/** The agent's end mark: nothing follows it. */
export const answered = /\nkiln-test-end \d+\n/

export const factsOf = (answer: string): Facts => {
  const parts = partsOf(answer)
  const lines = (name: string) => parts.get(name) ?? []
  const text = (name: string) => lines(name).join("\n").trim()
  const each = (kind: string) => [...parts].flatMap(([name, content]) => name.startsWith(`${kind} `) ? [[name.slice(kind.length + 1), content] as const] : [])
  const exit = text("exit")
  return {
    state: text("state"),
    failed: each("failed").map(([unit, content]) => ({ unit, said: content.join("\n") })),
    hostname: text("hostname"),
    localtime: text("localtime"),
    locale: text("locale"),
    kernelArguments: text("arguments"),
    users: new Map(lines("users").map((line) => line.split(":")).flatMap(([name, , uid, gid, , home, shell]) =>
      shell === undefined ? [] : [[name!, { uid: Number(uid), gid: Number(gid), home: home!, shell }]])),
    groups: new Map(lines("groups").map((line) => line.split(":")).flatMap(([name, , gid, members]) =>
      members === undefined ? [] : [[name!, { gid: Number(gid), members: members.split(",") }]])),
    packages: new Map(lines("packages").map((line) => line.split(" ")).flatMap(([state, name, version]) =>
      state === "installed" && version !== undefined ? [[name!, version]] : [])),
    listening: new Set(each("sockets").flatMap(([table, content]) => content.flatMap((line) => portOf(table, line)))),
    units: new Map(each("unit").map(([name, content]) => [name, unitOf(content)])),
    files: new Map(each("file").flatMap(([path, content]) => fileOf(path, content))),
    sysctl: new Map(each("sysctl").filter(([, content]) => content.length > 0).map(([key, content]) => [key, content.join(" ")])),
    keys: new Map(each("keys")),
    sudo: new Map(each("sudo")),
    certificates: new Set(lines("certificates")),
    keyboard: lines("keyboard"),
    timeServers: lines("timeservers"),
    firewall: lines("firewall"),
    services: lines("services"),
    environment: lines("environment"),
    ...(exit !== "" && { script: { exit: Number(exit), output: lines("said").join("\n") } })
  }
}

/** Content stands behind a space, so that no line of it looks like a heading. */
const partsOf = (answer: string): ReadonlyMap<string, ReadonlyArray<string>> => {
  const parts = new Map<string, Array<string>>()
  let current: Array<string> = []
  for (const line of answer.split("\n")) {
    if (line.startsWith("= ")) {
      current = []
      parts.set(line.slice(2), current)
    } else if (line.startsWith(" ")) current.push(line.slice(1))
  }
  return parts
}

/** A line of `/proc/net`: a socket that others can reach. */
const portOf = (table: string, line: string): ReadonlyArray<string> => {
  const [, local = "", , state] = line.trim().split(/\s+/)
  const [address = "", port = ""] = local.split(":")
  const waits = state === (table.startsWith("tcp") ? "0A" : "07")
  const isLoopback = address.length === 8 ? address.endsWith("7F") : address === "00000000000000000000000001000000"
  return waits && !isLoopback ? [`${Number.parseInt(port, 16)}:${table.slice(0, 3)}`] : []
}

/** What `stat` says, and what `sha256sum` does if it was asked. */
const fileOf = (path: string, [line = "", sum = ""]: ReadonlyArray<string>): ReadonlyArray<readonly [string, Facts["files"] extends ReadonlyMap<string, infer File> ? File : never]> => {
  const [mode, user, group, uid, gid] = line.split(" ")
  const sha256 = /^[0-9a-f]{64}(?= )/.exec(sum)?.[0]
  return gid === undefined ? [] : [[path, { mode: mode!, user: user!, group: group!, uid: Number(uid), gid: Number(gid), ...(sha256 !== undefined && { sha256 }) }]]
}

const unitOf = (content: ReadonlyArray<string>) => {
  const of = (key: string) => content.find((line) => line.startsWith(`${key}=`))?.slice(key.length + 1) ?? ""
  return { load: of("LoadState"), active: of("ActiveState"), result: of("Result"), file: of("UnitFileState") }
}

/** What a booted image has to show for what was asked of it. Pure: from the request and the machine's own words. */
import { lookedFor, placed, type Sha256 } from "./boot-checks-files.ts"
import { type Judged, of, same } from "./boot-checks-judged.ts"
import { certificateLines, settings } from "./boot-checks-settings.ts"
import type { TestOptions } from "./boot-test.ts"
import type { SealedCustomizations } from "./customizations.ts"
import type { BootOrder, Facts } from "./ports/image-tests.ts"

/** What to look at in the machine. Whatever a first boot may remove again is no sign of anything. */
export const looksOf = (customizations: SealedCustomizations): Pick<BootOrder, "certificates" | "files" | "units" | "sysctl"> => {
  const { cacerts, directories = [], files = [], services = {}, sysctl = {} } = customizations
  return {
    files: lookedFor(customizations, [...directories, ...files]).map(({ path }) => path),
    units: [...new Set([...services.enabled ?? [], ...services.disabled ?? [], ...services.masked ?? []])],
    sysctl: Object.keys(sysctl).filter((key) => !key.includes("*")),
    certificates: certificateLines(cacerts)
  }
}

export const judge = (customizations: SealedCustomizations, options: TestOptions, facts: Facts, sha256: Sha256): ReadonlyArray<Judged> => [
  systemd(customizations, facts),
  ...own(customizations, facts, sha256),
  ...(options.ports ?? []).map((port) => of(`port ${port}`, facts.listening.has(port), `nobody listens there; there is ${[...facts.listening].join(" ") || "nobody at all"}`)),
  ...script(options, facts)
]

/** There is no cloud around the machine for them to ask. */
const ofClouds = /^(cloud-(init|config|final)|(wa|walinux|google-guest-)agent|google-|gce-|ec2-)/

const systemd = (customizations: SealedCustomizations, { failed, state }: Facts): Judged => {
  const { cloud_init, files = [], first_boot, packages = [] } = customizations
  const counted = failed.filter(({ unit }) => cloud_init !== undefined || !ofClouds.test(unit))
  const passed = state === "running" || (state === "degraded" && failed.length > 0 && counted.length === 0)
  const failures = counted.map(({ said, unit }) => `${unit} has failed:\n${said}`).join("\n")
  // Units come with packages and files, and a first boot can break what it likes.
  const isOwn = packages.length > 0 || files.length > 0 || first_boot !== undefined || cloud_init !== undefined
  return of("systemd", passed, `its state is ${state}, not running${failures === "" ? "" : `\n${failures}`}`, isOwn)
}

const own = (customizations: SealedCustomizations, facts: Facts, sha256: Sha256): ReadonlyArray<Judged> => {
  const { groups = [], hostname, kernel, locale, packages = [], services = {}, timezone, users = [] } = customizations
  const args = facts.kernelArguments.split(/\s+/)
  return [
    ...(hostname === undefined ? [] : [same("hostname", hostname, facts.hostname)]),
    ...(timezone === undefined ? [] : [of("timezone", facts.localtime.endsWith(`/zoneinfo/${timezone}`), `expected ${timezone}, found ${facts.localtime}`)]),
    ...(locale === undefined ? [] : [same("locale", locale, facts.locale)]),
    ...packages.map((wanted) => installed(wanted, facts)),
    ...groups.map(({ gid, name }) => group(name, gid, facts)),
    ...users.flatMap((wanted) => user(wanted, facts)),
    ...(services.enabled ?? []).map((name) => enabled(name, facts)),
    ...(services.disabled ?? []).map((name) => off(name, "disabled", facts)),
    ...(services.masked ?? []).map((name) => off(name, "masked", facts)),
    ...(kernel?.append ?? "").split(" ").filter((arg) => arg !== "").map((arg) => of(`kernel argument ${arg}`, args.includes(arg), `found ${facts.kernelArguments}`)),
    ...placed(customizations, facts, sha256),
    ...Object.entries(customizations.sysctl ?? {}).filter(([key]) => facts.sysctl.has(key))
      .map(([key, value]) => same(`sysctl ${key}`, words(String(value)), words(facts.sysctl.get(key)!))),
    ...settings(customizations, facts)
  ]
}

const words = (text: string) => text.trim().split(/\s+/).join(" ")

const installed = (wanted: NonNullable<SealedCustomizations["packages"]>[number], { packages }: Facts): Judged => {
  const { name, version } = typeof wanted === "string" ? { name: wanted, version: undefined } : wanted
  const found = packages.get(name)
  return version === undefined ? of(`package ${name}`, found !== undefined, "it is not installed") : same(`package ${name}`, version, found ?? "")
}

const group = (name: string, gid: number | undefined, { groups }: Facts): Judged => {
  const found = groups.get(name)
  return of(`group ${name}`, found !== undefined && (gid === undefined || found.gid === gid), found === undefined ? "there is no such group" : `its number is ${found.gid}, not ${gid}`)
}

const user = (wanted: NonNullable<SealedCustomizations["users"]>[number], { groups, users }: Facts): ReadonlyArray<Judged> => {
  const { name, uid, home, shell } = wanted
  const found = users.get(name)
  if (found === undefined) return [of(`user ${name}`, false, "there is no such user")]
  const wrong = [
    ...(uid === undefined || found.uid === uid ? [] : [`uid is ${found.uid}, not ${uid}`]),
    ...(home === undefined || found.home === home ? [] : [`home is ${found.home}, not ${home}`]),
    ...(shell === undefined || found.shell === shell ? [] : [`shell is ${found.shell}, not ${shell}`]),
    ...(wanted.groups ?? []).filter((each) => groups.get(each)?.gid !== found.gid && !groups.get(each)?.members.includes(name)).map((each) => `not in group ${each}`)
  ]
  return [of(`user ${name}`, wrong.length === 0, wrong.join("; "))]
}

/** One that has done its work, or had no reason to begin, has not failed. */
const enabled = (name: string, { units }: Facts): Judged => {
  const unit = units.get(name)
  const passed = unit !== undefined && unit.load === "loaded" && unit.active !== "failed" && unit.result === "success"
  return of(`service ${name}`, passed, unit === undefined ? "systemd does not know it" : `${unit.load}, ${unit.active}, result ${unit.result}`)
}

const off = (name: string, wanted: "disabled" | "masked", { units }: Facts): Judged => {
  const unit = units.get(name)
  const passed = unit === undefined || (wanted === "masked" ? unit.file === "masked" || unit.load === "masked" : unit.file !== "enabled")
  return of(`service ${name}`, passed, `expected ${wanted}, found ${unit?.file ?? "nothing"}`)
}

const script = ({ script }: TestOptions, facts: Facts): ReadonlyArray<Judged> => {
  if (script === undefined) return []
  const ran = facts.script
  const output = ran?.output.slice(-3000) ?? ""
  if (ran?.exit === 0) return [{ name: "script", passed: true, isOwn: true, ...(output !== "" && { message: output }) }]
  return [of("script", false, ran === undefined ? "it was not run" : `it ended with ${ran.exit}${output === "" ? "" : `:\n${output}`}`)]
}

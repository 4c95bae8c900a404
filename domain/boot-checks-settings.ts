/** Whether settings that the builder has put into files of its own are in a booted machine. Pure. */
import { mayChange } from "./boot-checks-files.ts"
import { firewalled } from "./boot-checks-firewall.ts"
import { type Judged, of, same } from "./boot-checks-judged.ts"
import type { SealedCustomizations } from "./customizations.ts"
import type { Facts } from "./ports/image-tests.ts"

/** A file of the requester's takes the place of the builder's, and is looked at as a file. */
export const settings = (customizations: SealedCustomizations, facts: Facts): ReadonlyArray<Judged> => {
  if (mayChange(customizations)) return []
  const { cacerts, files = [], firewall, keyboard, ntp_servers = [], proxy, users = [] } = customizations
  const brought = new Set(files.map(({ path }) => path))
  const unless = (path: string, judged: () => ReadonlyArray<Judged>) => brought.has(path) ? [] : judged()
  return [
    ...users.flatMap((user) => unless(`${facts.users.get(user.name)?.home}/.ssh/authorized_keys`, () => keys(user, facts))),
    ...users.flatMap(({ name, sudo }) => sudo === true ? unless(`/etc/sudoers.d/90-kiln-${name}`, () => [root(name, facts)]) : []),
    ...(keyboard === undefined ? [] : unless("/etc/default/keyboard", () => [layout(keyboard, facts)])),
    ...certificateLines(cacerts).map((line, at) => of(`certificate ${at + 1}`, facts.certificates.has(line), "it is not in /etc/ssl/certs/ca-certificates.crt")),
    ...(ntp_servers.length === 0 ? [] : unless("/etc/systemd/timesyncd.conf.d/90-kiln.conf", () => [servers(ntp_servers, facts)])),
    ...(firewall === undefined ? [] : unless("/etc/nftables.conf", () => firewalled(firewall, facts, brought.has("/etc/services")))),
    ...(proxy === undefined ? [] : unless("/etc/environment", () => through(proxy, facts)))
  ]
}

type Asked<Key extends keyof SealedCustomizations> = NonNullable<SealedCustomizations[Key]>

const keys = ({ keys, name }: Asked<"users">[number], facts: Facts): ReadonlyArray<Judged> => {
  const found = facts.keys.get(name) ?? []
  const missing = (keys ?? []).filter((key) => !found.some((line) => ` ${line} `.includes(` ${key.split(" ").slice(0, 2).join(" ")} `)))
  return keys === undefined ? [] : [of(`keys of ${name}`, missing.length === 0, `${missing.length} of ${keys.length} not in authorized_keys; the first is ${missing[0]}`)]
}

const root = (name: string, { sudo }: Facts): Judged => {
  const said = sudo.get(name) ?? []
  return of(`sudo of ${name}`, said.some((line) => /^\s*\(ALL( : ALL)?\) NOPASSWD: ALL$/.test(line)), said.join("\n") || "sudo knows of nothing that is allowed")
}

const layout = ({ layout, variant = "" }: Asked<"keyboard">, facts: Facts): Judged => {
  const value = (name: string) => facts.keyboard.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1).replaceAll(/["']/g, "") ?? ""
  return same("keyboard", `${layout} ${variant}`.trim(), `${value("XKBLAYOUT")} ${value("XKBVARIANT")}`.trim())
}

/** Of each certificate the last whole line of its text, which is of its signature: it is in a bundle if that is. */
export const certificateLines = (cacerts: SealedCustomizations["cacerts"]): ReadonlyArray<string> =>
  (cacerts?.pem_certs ?? []).flatMap((text) => [...text.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)])
    .map(([, base64 = ""]) => base64.replaceAll(/\s/g, "").match(/.{64}/g)?.at(-1) ?? "")

const servers = (asked: ReadonlyArray<string>, { timeServers }: Facts): Judged => {
  const found = timeServers.flatMap((line) => line.split(/\s+/))
  return of("time servers", asked.every((server) => found.includes(server)), `expected ${asked.join(" ")}, found ${found.join(" ") || "nothing"}`)
}

const through = ({ http, https, no_proxy = [] }: Asked<"proxy">, { environment }: Facts): ReadonlyArray<Judged> =>
  Object.entries({ http_proxy: http, https_proxy: https, no_proxy: no_proxy.length > 0 ? no_proxy.join(",") : undefined }).flatMap(([name, value]) =>
    value === undefined ? [] : [same(name, value, environment.findLast((line) => line.startsWith(`${name}=`))?.slice(name.length + 1) ?? "")])

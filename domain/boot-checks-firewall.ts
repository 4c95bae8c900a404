/** Whether a booted machine lets in what was asked for: by number, and by name as its own `/etc/services` has it, from which its rules were written. Pure. */
import { type Judged, of } from "./boot-checks-judged.ts"
import type { SealedCustomizations } from "./customizations.ts"
import type { Facts } from "./ports/image-tests.ts"

type Firewall = NonNullable<SealedCustomizations["firewall"]>

/** `isOwnTable`: the requester's own file has taken the place of the table since, so that names say nothing. */
export const firewalled = (asked: Firewall, facts: Facts, isOwnTable: boolean): ReadonlyArray<Judged> => [
  of("firewall", facts.firewall.some((line) => line.includes("policy drop")), "it lets in what was not asked for"),
  ...(asked.ports ?? []).filter((port) => isNumber(port) || !isOwnTable).map((port) => opened(port, rulesOfPort(port, facts), facts)),
  ...(isOwnTable ? [] : services(asked, facts))
]

const isNumber = (port: string) => /^[0-9]/.test(port)

const isOpen = (rule: string, { firewall }: Facts) => firewall.some((line) => line.trim() === `${rule} accept`)

const opened = (name: string, rules: ReadonlyArray<string>, facts: Facts): Judged =>
  rules.length === 0
    ? of(`firewall ${name}`, false, "/etc/services of the machine does not know it")
    : of(`firewall ${name}`, rules.every((rule) => isOpen(rule, facts)), "it is not open")

/** What stays shut must not be open for any other reason than that it was asked for by number. */
const services = (asked: Firewall, facts: Facts): ReadonlyArray<Judged> => {
  const { disabled = [], enabled = [] } = asked.services ?? {}
  const open = [...new Set(["ssh", ...enabled])].filter((name) => !disabled.includes(name))
  const wanted = new Set([...open.flatMap((name) => rulesOfService(name, facts)), ...(asked.ports ?? []).flatMap((port) => rulesOfPort(port, facts))])
  const shut = (name: string) => of(`firewall ${name}`, rulesOfService(name, facts).every((rule) => wanted.has(rule) || !isOpen(rule, facts)), "it is open")
  return [...open.map((name) => opened(name, rulesOfService(name, facts), facts)), ...disabled.map(shut)]
}

const rulesOfPort = (port: string, facts: Facts): ReadonlyArray<string> => {
  const [range = "", protocol] = port.split(":")
  return isNumber(port)
    ? [`${protocol} dport ${[...new Set(range.split("-").map(Number))].join("-")}`]
    : rulesOfService(range, facts).filter((rule) => rule.startsWith(`${protocol} `)).slice(0, 1)
}

/** A line is a name, a number and its protocol, further names, and a remark behind a `#`. */
const rulesOfService = (name: string, { services }: Facts): ReadonlyArray<string> =>
  services.flatMap((line) => {
    const [first = "", place = "", ...others] = line.split("#")[0]!.trim().split(/\s+/)
    const [number, protocol = ""] = place.split("/")
    return [first, ...others].includes(name) && /^(tcp|udp)$/.test(protocol) ? [`${protocol} dport ${number}`] : []
  })

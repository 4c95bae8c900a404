/** What can be said of an endpoint before anybody connects to it, which is judged once more then. Pure. */
import { isPrivateHost } from "./private-host.ts"

export const endpointFault = (text: string, refuses: (address: string) => boolean): string | undefined => {
  const url = URL.parse(text)
  if (url === null) return "is no address"
  if (url.username !== "" || url.password !== "") return "must not have a user or a password in it"
  const host = url.hostname.replace(/^\[|\]$/gu, "")
  const isNumber = host.includes(":") || /^\d+(\.\d+){3}$/u.test(host)
  const refused = isNumber ? refuses(host) : isPrivateHost(host) && refuses("127.0.0.1")
  return refused ? "is an address that webhooks may not reach here" : undefined
}

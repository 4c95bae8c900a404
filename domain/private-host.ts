/** Addresses that only a machine itself, or its own link, can mean. A tenant must not make a worker speak to those. Pure. */

/** Of the machine itself, of its link (where clouds keep a machine's credentials), and of nobody. */
const privateV4 = (bytes: ReadonlyArray<number>): boolean =>
  bytes[0] === 0 || bytes[0] === 127 || (bytes[0] === 169 && bytes[1] === 254) || bytes[0]! >= 224

const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/
const bytesOf = (text: string) => v4.exec(text)?.slice(1).map(Number)

/** The eight groups of an address, or nothing. */
const groupsOf = (text: string): ReadonlyArray<number> | undefined => {
  const [, head = text, last] = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text) ?? []
  const bytes = last === undefined ? [] : bytesOf(last) ?? []
  const tail = bytes.length === 4 ? [bytes[0]! * 256 + bytes[1]!, bytes[2]! * 256 + bytes[3]!] : []
  const groups = (part: string) => part.split(":").filter((group) => group !== "").map((group) => Number.parseInt(group, 16))
  const [before = "", after] = head.split("::")
  const [left, right] = [groups(before), [...groups(after ?? ""), ...tail]]
  const all = after === undefined ? [...left, ...right] : [...left, ...Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0), ...right]
  return all.length === 8 && all.every((group) => group >= 0 && group <= 0xffff) ? all : undefined
}

const privateV6 = (groups: ReadonlyArray<number>): boolean => {
  const [first = 0] = groups
  const embedded = [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255]
  const zeros = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0)
  if (zeros(0, 5) && (groups[5] === 0xffff || groups[5] === 0)) return privateV4(embedded)
  // NAT64 leads to the address of version 4 in it.
  if (first === 0x64 && groups[1] === 0xff9b && zeros(2, 6)) return privateV4(embedded)
  // Of the link, of many, and where a cloud keeps a machine's credentials under version 6.
  return (first & 0xffc0) === 0xfe80 || (first & 0xff00) === 0xff00 || (first === 0xfd00 && groups[1] === 0x0ec2)
}

export const isPrivateAddress = (address: string): boolean => {
  const bytes = bytesOf(address)
  if (bytes !== undefined) return bytes.some((byte) => byte > 255) || privateV4(bytes)
  const groups = groupsOf(address.replace(/%.*$/, ""))
  return groups === undefined || privateV6(groups)
}

/** Of networks that are not the whole world's: those of houses, carriers, tests and tunnels that lead back into them. */
const internalV4 = ([first = 0, second = 0, third = 0]: ReadonlyArray<number>): boolean =>
  first === 10 || (first === 172 && second >= 16 && second < 32) || (first === 192 && second === 168) || (first === 100 && second >= 64 && second < 128) ||
  (first === 192 && second === 0 && (third === 0 || third === 2)) || (first === 198 && (second === 18 || second === 19)) ||
  (first === 198 && second === 51 && third === 100) || (first === 203 && second === 0 && third === 113)

const internalV6 = (groups: ReadonlyArray<number>): boolean => {
  const [first = 0, second = 0, third = 0] = groups
  const v4At = (at: number) => internalV4([groups[at]! >> 8, groups[at]! & 255, groups[at + 1]! >> 8])
  if (groups.slice(0, 5).every((group) => group === 0)) return v4At(6)
  // NAT64 by any prefix, 6to4 and Teredo carry an address of version 4; documentation's and unique local ones are nobody's out there.
  if (first === 0x64 && second === 0xff9b) return v4At(6) || third !== 0
  if (first === 0x2002) return v4At(1) || privateV4([second >> 8, second & 255])
  return (first === 0x2001 && (second === 0 || second === 0xdb8)) || (first & 0xfe00) === 0xfc00 || (first & 0xffc0) === 0xfec0
}

/** What those outside may not be led to: also the networks that only insiders reach. */
export const isInternalAddress = (address: string): boolean => {
  if (isPrivateAddress(address)) return true
  const bytes = bytesOf(address)
  return bytes !== undefined ? internalV4(bytes) : internalV6(groupsOf(address.replace(/%.*$/, ""))!)
}

/** By its name alone: what it stands for is seen only when it is looked up. Odd ways to write a number are refused. */
export const isPrivateHost = (host: string): boolean => {
  const name = host.toLowerCase().replace(/\.$/, "")
  if (name === "localhost" || name.endsWith(".localhost")) return true
  const last = name.slice(name.lastIndexOf(".") + 1)
  return /^(\d+|0x[0-9a-f]*)$/.test(last) && (bytesOf(name) === undefined || isPrivateAddress(name))
}

/** How one document differs from another, place by place. */

/** Without `from` it is added, without `to` it goes. Values as JSON; what is sealed is only named. */
export interface Difference {
  readonly path: string
  readonly from?: string
  readonly to?: string
}

export const differencesOf = (from: unknown, to: unknown): ReadonlyArray<Difference> => {
  const [before, after] = [leaves(from), leaves(to)]
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((path): ReadonlyArray<Difference> => {
    const [was, is] = [before.get(path), after.get(path)]
    return was === is ? [] : [{ path, ...(was !== undefined && { from: was }), ...(is !== undefined && { to: is }) }]
  })
}

const leaves = (value: unknown): ReadonlyMap<string, string> => new Map(value === undefined ? [] : leavesOf(value, ""))

const leavesOf = (value: unknown, path: string): ReadonlyArray<readonly [string, string]> => {
  if (value === null || typeof value !== "object") return [[path, JSON.stringify(value)]]
  if (Array.isArray(value)) {
    return value.every((item) => item === null || typeof item !== "object")
      ? [[path, JSON.stringify(value)]] : value.flatMap((item, at) => leavesOf(item, `${path}[${at}]`))
  }
  const record = value as Readonly<Record<string, unknown>>
  if (typeof record["fingerprint"] === "string" && typeof record["ciphertext"] === "string") return [[path, `(secret ${record["fingerprint"].slice(0, 8)})`]]
  return Object.entries(record).flatMap(([key, item]) => leavesOf(item, path === "" ? key : `${path}.${key}`))
}

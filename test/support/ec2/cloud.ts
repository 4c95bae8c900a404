/** What the stand-in for EC2 keeps, and the words in which it says no. */
import { Refused } from "../aws-refused.ts"

export interface Task {
  readonly id: string
  readonly region: string
  readonly description: string
  readonly tags: Map<string, string>
  readonly format: string
  readonly bucket: string
  readonly key: string
  status: "active" | "completed" | "deleting" | "deleted"
  message: string
  progress: number
  size: number
  snapshotId: string | undefined
}

export interface Snapshot {
  readonly id: string
  readonly region: string
  readonly tags: Map<string, string>
  readonly description: string
  /** What was imported, byte for byte. */
  readonly bytes: Buffer
  /** GiB. */
  readonly volumeSize: number
  readonly sharedWith: Set<string>
}

export interface Image {
  readonly id: string
  readonly region: string
  readonly name: string
  readonly description: string
  readonly architecture: string
  readonly bootMode: string
  readonly ena: boolean
  readonly imds: string | undefined
  readonly root: string
  readonly volumeType: string
  readonly snapshotId: string
  readonly tags: Map<string, string>
  readonly sharedWith: Set<string>
  state: "pending" | "available" | "failed"
  reason: string | undefined
  /** How often it was looked at while pending. */
  looks: number
}

export interface Cloud {
  readonly tasks: Array<Task>
  readonly snapshots: Array<Snapshot>
  readonly images: Array<Image>
  /** Images that were there once. */
  readonly deregistered: Set<string>
  /** What a client token was used for, and what came of it. */
  readonly tokens: Map<string, { readonly asked: string; readonly answer: string }>
  /** Of the services that import. */
  readonly roles: Set<string>
  /** Regions, and whether this account may use them. */
  readonly regions: Map<string, boolean>
  readonly activeImports: number
  /** How often an import or a copy is looked at before it has ended. */
  looks: number
  /** So many lists of images by tag do not know yet what there is. */
  blind: number
  /** The next imports fail with these words; the next copies. */
  readonly importFaults: Array<string>
  readonly copyFaults: Array<string>
  readonly object: (bucket: string, key: string) => Promise<Buffer | undefined>
  readonly newId: (kind: "import-snap" | "snap" | "ami") => string
}

export interface Asked {
  readonly region: string
  readonly given: Readonly<Record<string, string>>
}

export interface Action {
  readonly takes: RegExp
  readonly needs: ReadonlyArray<string>
  readonly act: (cloud: Cloud, asked: Asked) => string | Promise<string>
}

/** The members of a list, `Name.1` and on, without a gap. */
export const listed = (given: Asked["given"], name: string): ReadonlyArray<string> => {
  const members: Array<string> = []
  while (given[`${name}.${members.length + 1}`] !== undefined) members.push(given[`${name}.${members.length + 1}`]!)
  if (Object.keys(given).filter((key) => new RegExp(`^${name.replaceAll(".", "\\.")}\\.\\d+$`).test(key)).length !== members.length) {
    throw new Refused("InvalidParameter", `the list ${name} has gaps`)
  }
  return members
}

export const tagsAt = (given: Asked["given"], at: string): Map<string, string> => {
  const tags = new Map<string, string>()
  for (let index = 1; given[`${at}.${index}.Key`] !== undefined; index++) {
    const key = given[`${at}.${index}.Key`]!
    const value = given[`${at}.${index}.Value`] ?? ""
    if (key.startsWith("aws:")) throw new Refused("InvalidParameterValue", `Tag keys starting with 'aws:' are reserved for internal use: ${key}`)
    if (key.length > 127 || value.length > 255) throw new Refused("InvalidParameterValue", `Tag value exceeds the maximum length: ${key}`)
    if (tags.has(key)) throw new Refused("InvalidParameterValue", `Duplicate tag key '${key}' specified.`)
    tags.set(key, value)
  }
  if (tags.size > 50) throw new Refused("TagLimitExceeded", "The maximum number of tags for a resource has been reached.")
  return tags
}

/** Of the only kinds of resources that an action may tag. */
export const specified = (given: Asked["given"], ...kinds: ReadonlyArray<string>): ReadonlyMap<string, Map<string, string>> => {
  const found = new Map<string, Map<string, string>>()
  for (let index = 1; given[`TagSpecification.${index}.ResourceType`] !== undefined; index++) {
    const kind = given[`TagSpecification.${index}.ResourceType`]!
    if (!kinds.includes(kind)) throw new Refused("InvalidParameterValue", `'${kind}' is not a valid taggable resource type for this operation.`)
    found.set(kind, tagsAt(given, `TagSpecification.${index}.Tag`))
  }
  return found
}

/** The same token answers the same, and refuses what is not the same question. */
export const once = async (cloud: Cloud, { given, region }: Asked, action: string, answer: () => Promise<string>): Promise<string> => {
  const token = given["ClientToken"]
  if (token === undefined) return answer()
  if (!/^[\u0021-\u007e]{1,64}$/.test(token)) throw new Refused("InvalidParameterValue", "a client token has at most 64 ASCII characters")
  const asked = JSON.stringify(Object.entries(given).sort())
  const known = cloud.tokens.get(`${region} ${action} ${token}`)
  if (known === undefined) {
    const fresh = await answer()
    cloud.tokens.set(`${region} ${action} ${token}`, { asked, answer: fresh })
    return fresh
  }
  if (known.asked !== asked) {
    throw new Refused("IdempotentParameterMismatch", `The client token you have provided is already associated with other parameters: ${token}`)
  }
  return known.answer
}

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

export const tag = (name: string, content: string | number | boolean | undefined) =>
  content === undefined ? "" : `<${name}>${escaped(String(content))}</${name}>`

export const set = (name: string, items: ReadonlyArray<string>) => `<${name}>${items.map((item) => `<item>${item}</item>`).join("")}</${name}>`

export const tagSet = (tags: ReadonlyMap<string, string>) =>
  set("tagSet", [...tags].map(([key, value]) => tag("key", key) + tag("value", value)))

/** Filters of a Describe call: a tag's value, or a property; `*` and `?` stand for what they do at Amazon's. */
export const matches = (given: Asked["given"], properties: Readonly<Record<string, string>>, tags: ReadonlyMap<string, string>): boolean => {
  for (let index = 1; given[`Filter.${index}.Name`] !== undefined; index++) {
    const name = given[`Filter.${index}.Name`]!
    const value = name.startsWith("tag:") ? tags.get(name.slice(4)) : properties[name]
    if (!name.startsWith("tag:") && value === undefined) throw new Refused("InvalidParameterValue", `The filter '${name}' is invalid`)
    const wanted = listed(given, `Filter.${index}.Value`)
    if (wanted.length === 0) throw new Refused("InvalidParameterValue", `The filter '${name}' has no value`)
    if (value === undefined || !wanted.some((one) => glob(one).test(value))) return false
  }
  return true
}

const glob = (pattern: string) =>
  new RegExp(`^${pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`)

const most = 5

/** Pages of five where a size is not said, so that nobody forgets to turn one. */
export const paged = <Item>({ given }: Asked, items: ReadonlyArray<Item>): { readonly page: ReadonlyArray<Item>; readonly next: string } => {
  const from = Number(given["NextToken"]?.replace(/^page-/, "") ?? 0)
  if (!Number.isInteger(from)) throw new Refused("InvalidNextToken", "The token is not valid")
  const to = from + Math.min(Number(given["MaxResults"] ?? most), most)
  return { page: items.slice(from, to), next: tag("nextToken", to < items.length ? `page-${to}` : undefined) }
}

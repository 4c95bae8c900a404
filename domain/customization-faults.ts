/** What is wrong with customizations that no single field shows: said before anything is stored. Pure. */
import type { Customizations } from "./customizations.ts"
import { isTimeZone } from "./pipeline-schedule.ts"
import { isPrivateHost } from "./private-host.ts"

export interface CustomizationFault {
  /** As one writes it in code, from the customizations on: `files[0].data`. */
  readonly path: string
  readonly message: string
}

/** Of a file that comes with the request. */
const mostBytes = 524_288

/** `privateRepositories`: whether a repository may be on the machine that resolves, or on its link. */
export const customizationFaults = (customizations: Customizations, privateRepositories = false): ReadonlyArray<CustomizationFault> => {
  const { cacerts, cloud_init, directories = [], files = [], firewall, first_boot, groups = [], locale, repositories = [], timezone, users = [] } = customizations
  return [
    ...repeated(users, "users", "name"),
    ...repeated(groups, "groups", "name"),
    ...repeated(groups, "groups", "gid"),
    ...repeated(files, "files", "path"),
    ...repeated(directories, "directories", "path"),
    ...files.flatMap((file, index) => fileFaults(file, `files[${index}]`)),
    ...placeFaults(customizations),
    ...packageFaults(customizations),
    ...repeated(repositories, "repositories", "id"),
    ...repositories.flatMap((repository, index) => repositoryFaults(repository, `repositories[${index}]`, privateRepositories)),
    ...(timezone === undefined ? [] : timeZoneFaults(timezone)),
    ...(locale === undefined ? [] : localeFaults(locale)),
    ...(firewall?.ports ?? []).flatMap((port, index) => portFaults(port, `firewall.ports[${index}]`)),
    ...(cacerts?.pem_certs.length === 0 ? [{ path: "cacerts.pem_certs", message: "there is no certificate" }] : []),
    ...(first_boot === undefined || first_boot.script.startsWith("#!") ? [] : [
      { path: "first_boot.script", message: "begins with the program that runs it, such as #!/bin/sh" }
    ]),
    ...(cloud_init === undefined || userData.test(cloud_init.user_data) ? [] : [
      { path: "cloud_init.user_data", message: "begins with what it is: #cloud-config, #!, another mark of cloud-init, or a MIME header" }
    ])
  ]
}

const userData =
  /^(#cloud-config|#!|#include|#cloud-boothook|#part-handler|#cloud-config-archive|## template: ?jinja|(Content-Type|MIME-Version):)/i

const repeated = <Field extends string>(
  items: ReadonlyArray<{ readonly [F in Field]?: string | number }>,
  list: string,
  field: Field
): ReadonlyArray<CustomizationFault> => {
  const first = new Map<string | number, number>()
  return items.flatMap((item, index) => {
    const value = item[field]
    if (value === undefined) return []
    const before = first.get(value)
    if (before !== undefined) return [{ path: `${list}[${index}].${field}`, message: `the same as ${list}[${before}].${field}` }]
    first.set(value, index)
    return []
  })
}

type Items<Key extends keyof Customizations> = NonNullable<Customizations[Key]> extends ReadonlyArray<infer Item> ? Item : never

const fileFaults = ({ data, data_encoding, digest }: Items<"files">, path: string): ReadonlyArray<CustomizationFault> => {
  if (data === undefined && digest === undefined) return [{ path, message: "has neither data nor the digest of a stored file" }]
  if (data !== undefined && digest !== undefined) return [{ path: `${path}.digest`, message: "there is data as well; one of them is the file's" }]
  if (data === undefined) return data_encoding === undefined ? [] : [{ path: `${path}.data_encoding`, message: "is of data alone" }]
  if (data_encoding === "base64" && !isBase64(data)) return [{ path: `${path}.data`, message: "is no base64" }]
  const bytes = data_encoding === "base64" ? (data.length / 4) * 3 : data.length
  return bytes > mostBytes + 2 ? [{ path: `${path}.data`, message: `is longer than ${mostBytes}` }] : []
}

/** In two steps: one pattern of groups would need a stack as deep as the text is long. */
const isBase64 = (text: string) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)

/** A path is either a file or a directory. */
const placeFaults = ({ directories = [], files = [] }: Customizations): ReadonlyArray<CustomizationFault> => {
  const places = new Map(files.map(({ path }, index) => [path, index]))
  return directories.flatMap(({ path }, index) =>
    places.has(path) ? [{ path: `directories[${index}].path`, message: `is a file by files[${places.get(path)}]` }] : [])
}

/** The same package twice is no fault, but two versions of one are. */
const packageFaults = ({ packages = [] }: Customizations): ReadonlyArray<CustomizationFault> => {
  const versions = new Map<string, string>()
  return packages.flatMap((wanted, index) => {
    if (typeof wanted === "string" || wanted.version === undefined) return []
    const before = versions.get(wanted.name) ?? wanted.version
    versions.set(wanted.name, before)
    return before === wanted.version ? [] : [{ path: `packages[${index}].version`, message: `version ${before} is asked for as well` }]
  })
}

const repositoryFaults = (
  { components = [], suite, uri }: Items<"repositories">,
  path: string,
  privateRepositories: boolean
): ReadonlyArray<CustomizationFault> => [
  ...(suite.endsWith("/") && components.length > 0
    ? [{ path: `${path}.components`, message: "a suite that ends with / has none" }] : []),
  ...(isPrivateHost(hostOf(uri)) && !privateRepositories
    ? [{ path: `${path}.uri`, message: "repositories of the machine itself, or of its link, are not allowed here" }] : [])
]

export const hostOf = (uri: string): string => /^https?:\/\/([^/:]+)/.exec(uri)?.[1] ?? ""

/** Zones of the tz database that this process does not know; `posix/` and `right/` are trees of the same names. */
const zonesUnknownHere = /^(Factory|GMT[+-]0|(posix|right)\/.+)$/

const timeZoneFaults = (name: string): ReadonlyArray<CustomizationFault> => {
  if (zonesUnknownHere.test(name)) return []
  // An offset is no name.
  if (!/^[A-Za-z]/.test(name) || !isTimeZone(name))
    return [{ path: "timezone", message: `there is no time zone "${name}"; names are those of the tz database, such as Europe/Berlin` }]
  // Intl takes any letters, files do not.
  const { timeZone } = new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions()
  return timeZone !== name && timeZone.toLowerCase() === name.toLowerCase()
    ? [{ path: "timezone", message: `there is no time zone "${name}", but ${timeZone}` }]
    : []
}

const countries = new Intl.DisplayNames("en", { type: "region", fallback: "none" })
const languages = new Intl.DisplayNames("en", { type: "language", fallback: "none" })

/** Every country of a locale that there is has a name here, and every language of two letters; the build knows the rest. */
const localeFaults = (locale: string): ReadonlyArray<CustomizationFault> => {
  const [, language, country] = /^([a-z]{2,3})(?:_([A-Z]{2}))?/.exec(locale) ?? []
  const isNone = (country !== undefined && countries.of(country) === undefined) ||
    (language?.length === 2 && languages.of(language) === undefined)
  return isNone ? [{ path: "locale", message: `there is no locale "${locale}"; one is such as de_DE.UTF-8 or C.UTF-8` }] : []
}

const portFaults = (port: string, path: string): ReadonlyArray<CustomizationFault> => {
  const [, from, to = from] = /^(\d+)(?:-(\d+))?:/.exec(port) ?? []
  if (from === undefined) return []
  return Number(from) >= 1 && Number(to) <= 65_535 && Number(from) <= Number(to) ? [] : [{ path, message: "ports are 1 to 65535, the lower one first" }]
}

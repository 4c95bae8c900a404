/**
 * A request as data files for the script in the tree: a value a file, so that no text of a tenant is ever part of a
 * program or a command line. Pure.
 */
import { X509Certificate } from "node:crypto"
import type { Manifest } from "../../domain/manifest.ts"
import type { Secrets } from "../../domain/ports/image-builder.ts"
import { proxyEnvironment, type SettingFile, settingFiles, settingLinks } from "./setting-files.ts"
import { saltOf, sha512Crypt } from "./sha512-crypt.ts"
import { broughtUnit, linksOf } from "./units.ts"

export interface DataFile {
  /** Made of words of this file only. */
  readonly path: string
  readonly text: string | Uint8Array | StoredText
}

/** What lies in a file already. `text`: what it says, of one that is read for more than its bytes. */
export interface StoredText {
  readonly at: string
  readonly text: string
}

const cryptHash = /^\$[0-9a-z]{1,8}\$[!-9;-~]+$/

/** Hashes stay as they came. The salt comes from the seal's fingerprint: equal requests give equal images. */
export const passwordHash = (user: string, secret: string, fingerprint: string): string =>
  cryptHash.test(secret) ? secret : sha512Crypt(secret, saltOf(`${user} ${fingerprint}`))

const numbered = (index: number) => String(index).padStart(4, "0")
const lines = (values: ReadonlyArray<string>) => values.map((value) => `${value}\n`).join("")

/** `undefined` values are left out. */
const filesIn = (folder: string, values: Readonly<Record<string, DataFile["text"] | undefined>>): ReadonlyArray<DataFile> =>
  Object.entries(values).flatMap(([name, text]) => (text === undefined ? [] : [{ path: `${folder}/${name}`, text }]))

export const secretNameOf = (user: string) => `users.${user}.password`

/** The users whose sealed password came without its secret. */
export const missingSecrets = ({ users = [] }: Manifest["customizations"], secrets: Secrets): ReadonlyArray<string> =>
  users
    .filter(({ name, password }) => password !== undefined && !secrets.has(secretNameOf(name)))
    .map(({ name }) => secretNameOf(name))

type Customizations = Manifest["customizations"]
type TenantFile = NonNullable<Customizations["files"]>[number]

export type StoredTexts = ReadonlyMap<string, StoredText>

/** What a file holds; text in base64 has been checked when it was asked for, and a stored file is there. */
const contentOf = ({ data = "", data_encoding, digest }: TenantFile, stored: StoredTexts): DataFile["text"] =>
  digest !== undefined ? stored.get(digest)! : data_encoding === "base64" ? Buffer.from(data, "base64") : data

/** A unit is read for how it is to be enabled. */
const asText = (stored: StoredTexts) => (file: TenantFile) => {
  const content = contentOf(file, stored)
  return { path: file.path, data: typeof content === "string" ? content : content instanceof Uint8Array ? Buffer.from(content).toString() : content.text }
}

const owned = ({ ensure_parents, group, path, user }: Pick<TenantFile, "path" | "user" | "group" | "ensure_parents">) => ({
  path,
  user: user?.toString(),
  group: group?.toString(),
  lone: ensure_parents === false ? "" : undefined
})

/** Ours first: a tenant's file may take the place of one. */
const placedFiles = (customizations: Customizations, files: ReadonlyArray<TenantFile>, stored: StoredTexts, asksCloud: boolean) => [
  ...settingFiles(customizations, asksCloud).map(({ data, field, mode = "644", path }: SettingFile) => ({ field, path, data, mode })),
  ...files.map((file, index) => ({ field: `files[${index}]`, ...owned(file), data: contentOf(file, stored), mode: file.mode ?? "644" }))
]

const userFiles = (users: NonNullable<Customizations["users"]>, hashes: ReadonlyMap<string, string>) =>
  users.flatMap((user, index) =>
    filesIn(`users/${numbered(index)}`, {
      name: user.name,
      description: user.description,
      groups: lines(user.groups ?? []),
      password: hashes.get(user.name),
      keys: user.keys && lines(user.keys),
      shell: user.shell,
      home: user.home,
      uid: user.uid?.toString(),
      gid: user.gid?.toString(),
      expiredate: user.expiredate,
      sudo: user.sudo ? "" : undefined
    })
  )

/** Units of the tree are enabled by its own systemctl; those that come as files by links. */
const serviceFiles = (customizations: Customizations, files: ReadonlyArray<TenantFile>, stored: StoredTexts) => {
  const { firewall, services } = customizations
  const units = files.map(asText(stored))
  const ownUnits = (names: ReadonlyArray<string>) => names.filter((name) => broughtUnit(units, name) === undefined)
  const links = (services?.enabled ?? []).flatMap((name) => {
    const brought = broughtUnit(units, name)
    return brought === undefined ? [] : linksOf(name, brought)
  })
  return [
    ...[...settingLinks(customizations), ...links].flatMap((link, index) =>
      filesIn(`links/${numbered(index)}`, { path: link.path, target: link.target })
    ),
    ...filesIn("services", {
      enabled:
        services?.enabled || firewall
          ? lines([...ownUnits(services?.enabled ?? []), ...(firewall ? ["nftables.service"] : [])])
          : undefined,
      disabled: services?.disabled && lines(ownUnits(services.disabled)),
      // Of a unit that is both masked and brought along, the file wins.
      masked: services?.masked && lines(services.masked)
    })
  ]
}

/** SSH stays open unless it is disabled: nobody is shut out by opening something else. */
const firewallFiles = ({ ports = [], services = {} }: NonNullable<Customizations["firewall"]>) => {
  const open = new Set(["ssh", ...(services.enabled ?? [])]).difference(new Set(services.disabled))
  return filesIn("firewall", {
    ports: lines([...new Set(ports)].sort().map((port) => port.replace(":", " "))),
    services: lines([...open].sort())
  })
}

const certificateFiles = ({ pem_certs }: NonNullable<Customizations["cacerts"]>) =>
  filesIn("cacerts", Object.fromEntries(pem_certs.flatMap(certificatesIn).map((pem, index) => [numbered(index), pem])))

const certificatesIn = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].map(([pem]) => new X509Certificate(pem).toString())

export const customizationFiles = (
  customizations: Customizations,
  hashes: ReadonlyMap<string, string>,
  stored: StoredTexts = new Map(),
  asksCloud = false
): ReadonlyArray<DataFile> => {
  const { cacerts, directories = [], files = [], firewall, groups = [], hostname, keyboard, locale, proxy, timezone, users = [] } = customizations
  return [
    ...filesIn(".", { hostname, locale, timezone, environment: proxy && proxyEnvironment(proxy) }),
    ...filesIn("keyboard", { layout: keyboard?.layout, variant: keyboard?.variant }),
    ...groups.flatMap(({ gid, name }, index) => filesIn(`groups/${numbered(index)}`, { name, gid: gid?.toString() })),
    ...userFiles(users, hashes),
    ...directories.flatMap((directory, index) =>
      filesIn(`directories/${numbered(index)}`, { field: `directories[${index}]`, ...owned(directory), mode: directory.mode })
    ),
    ...placedFiles(customizations, files, stored, asksCloud).flatMap((file, index) => filesIn(`files/${numbered(index)}`, file)),
    ...serviceFiles(customizations, files, stored),
    ...(firewall === undefined ? [] : firewallFiles(firewall)),
    ...(cacerts === undefined ? [] : certificateFiles(cacerts))
  ]
}

/**
 * A request as data files for the script in the tree: a value a file, so that no text of a tenant is ever part of a
 * program or a command line. Pure.
 */
import type { Manifest } from "../../domain/manifest.ts"
import type { Secrets } from "../../domain/ports/image-builder.ts"
import { saltOf, sha512Crypt } from "./sha512-crypt.ts"
import { broughtUnit, linksOf } from "./units.ts"

export interface DataFile {
  /** Made of words of this file only. */
  readonly path: string
  readonly text: string
}

const cryptHash = /^\$[0-9a-z]{1,8}\$[!-9;-~]+$/

/** Hashes stay as they came. The salt comes from the seal's fingerprint: equal requests give equal images. */
export const passwordHash = (user: string, secret: string, fingerprint: string): string =>
  cryptHash.test(secret) ? secret : sha512Crypt(secret, saltOf(`${user} ${fingerprint}`))

const numbered = (index: number) => String(index).padStart(4, "0")
const lines = (values: ReadonlyArray<string>) => values.map((value) => `${value}\n`).join("")

/** `undefined` values are left out. */
const filesIn = (folder: string, values: Readonly<Record<string, string | undefined>>): ReadonlyArray<DataFile> =>
  Object.entries(values).flatMap(([name, text]) => (text === undefined ? [] : [{ path: `${folder}/${name}`, text }]))

export const secretNameOf = (user: string) => `users.${user}.password`

/** Units of the tree, as opposed to those that come as files. */
const ownUnits = (files: NonNullable<Manifest["customizations"]["files"]>, units: ReadonlyArray<string> | undefined) =>
  units && lines(units.filter((name) => broughtUnit(files, name) === undefined))

/** The users whose sealed password came without its secret. */
export const missingSecrets = ({ users = [] }: Manifest["customizations"], secrets: Secrets): ReadonlyArray<string> =>
  users
    .filter(({ name, password }) => password !== undefined && !secrets.has(secretNameOf(name)))
    .map(({ name }) => secretNameOf(name))

export const customizationFiles = (
  { files = [], hostname, locale, services, timezone, users = [] }: Manifest["customizations"],
  hashes: ReadonlyMap<string, string>
): ReadonlyArray<DataFile> => [
  ...filesIn(".", { hostname, locale, timezone }),
  ...users.flatMap((user, index) =>
    filesIn(`users/${numbered(index)}`, {
      name: user.name,
      groups: lines(user.groups ?? []),
      password: hashes.get(user.name),
      keys: user.keys && lines(user.keys),
      shell: user.shell,
      home: user.home,
      uid: user.uid?.toString(),
      sudo: user.sudo ? "" : undefined
    })
  ),
  ...files.flatMap((file, index) =>
    filesIn(`files/${numbered(index)}`, {
      field: `files[${index}]`,
      path: file.path,
      data: file.data,
      mode: file.mode ?? "644",
      user: file.user,
      group: file.group
    })
  ),
  ...(services?.enabled ?? [])
    .flatMap((name) => {
      const brought = broughtUnit(files, name)
      return brought === undefined ? [] : linksOf(name, brought)
    })
    .flatMap((link, index) => filesIn(`links/${numbered(index)}`, { path: link.path, target: link.target })),
  ...filesIn("services", {
    enabled: ownUnits(files, services?.enabled),
    disabled: ownUnits(files, services?.disabled),
    // Of a unit that is both masked and brought along, the file wins.
    masked: services?.masked && lines(services.masked)
  })
]

/** Every password in clear or hashed is hidden in what a tool says. */
export const hiding = (secrets: Iterable<string>) => {
  const hidden = [...secrets].filter((secret) => secret.length > 0).sort((a, b) => b.length - a.length)
  return (line: string): string => hidden.reduce((text, secret) => text.replaceAll(secret, "***"), line)
}

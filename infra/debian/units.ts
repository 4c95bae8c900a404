/**
 * Units that a request brings along as files, enabled by links. The tree's own systemctl does that for all others, but
 * nothing in the tree may run once a tenant's files are in it. Pure.
 */
export interface Link {
  readonly path: string
  readonly target: string
}

interface File {
  readonly path: string
  readonly data: string
}

const suffixes = /\.(service|socket|timer|path|target|mount|automount|swap|slice|scope|device)$/
const folders = /^\/(?:etc|usr\/lib|lib|usr\/local\/lib)\/systemd\/system\/([^/]+)$/
const unitName = /^[A-Za-z0-9:_\\@-][A-Za-z0-9:_.\\@-]*$/

export const unitNameOf = (name: string): string => (suffixes.test(name) ? name : `${name}.service`)

export const isUnitPath = (path: string): boolean => folders.test(path)

/** The file that a request brings for a unit; an instance may come from its template. */
export const broughtUnit = (files: ReadonlyArray<File>, name: string): File | undefined => {
  const unit = unitNameOf(name)
  const named = (wanted: string) => files.findLast(({ path }) => folders.exec(path)?.[1] === wanted)
  return named(unit) ?? (/@.+\./.test(unit) ? named(unit.replace(/@.+(?=\.[a-z]+$)/, "@")) : undefined)
}

/** Values of a key in the section that says how to install; an empty one takes back what stands before it. */
const installed = (text: string, key: string): ReadonlyArray<string> => {
  let section = ""
  let values: Array<string> = []
  for (const line of text.replace(/\\\r?\n/g, " ").split(/\r?\n/)) {
    section = /^\s*\[(.+)\]\s*$/.exec(line)?.[1] ?? section
    const [, name, value = ""] = /^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (section !== "Install" || name !== key) continue
    values = value === "" ? [] : [...values, ...value.split(/\s+/)]
  }
  return values
}

/** What `systemctl enable` would link. A unit without an `[Install]` section needs nothing. */
export const linksOf = (name: string, { data, path }: File): ReadonlyArray<Link> => {
  const asked = unitNameOf(name)
  const unit = asked.includes("@.") ? asked.replace("@.", `@${installed(data, "DefaultInstance")[0] ?? ""}.`) : asked
  if (unit.includes("@.")) return []
  const instance = /@(.+)\.[a-z]+$/.exec(unit)?.[1] ?? ""
  const plain = (value: string) =>
    value.replace(
      /%([iInNpP%])/g,
      (_, letter: string) =>
        ({
          i: instance,
          I: instance,
          n: unit,
          N: unit.replace(suffixes, ""),
          p: unit.split(/[@.]/)[0]!,
          P: unit.split(/[@.]/)[0]!,
          "%": "%"
        })[letter]!
    )
  const units = (key: string) =>
    installed(data, key)
      .map(plain)
      .filter((value) => unitName.test(value))
  return [
    ...units("WantedBy").map((target) => ({ path: `/etc/systemd/system/${target}.wants/${unit}`, target: path })),
    ...units("RequiredBy").map((target) => ({ path: `/etc/systemd/system/${target}.requires/${unit}`, target: path })),
    ...units("Alias").map((alias) => ({ path: `/etc/systemd/system/${alias}`, target: path }))
  ].filter((link) => link.path !== path)
}

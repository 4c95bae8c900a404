/** Debian's names of licenses, as its machine-readable copyright files have them, in the words of SPDX. */
import type { OwnLicense } from "./inventory.ts"

export interface SpdxExpression {
  readonly expression: string
  /** Those of its parts that SPDX has no id for. */
  readonly own: ReadonlyArray<Pick<OwnLicense, "id" | "name">>
}

/**
 * All of what `debian` names applies. In `GPL-2+ or Artistic, and Expat`, `and` binds closer than `or`, a comma before
 * either less than both. Names without an id become `LicenseRef-<owner>-<name>`, since the same name in two packages need
 * not be the same text.
 */
export const spdxOf = (debian: ReadonlyArray<string>, owner: string): SpdxExpression => {
  const own = new Map<string, string>()
  const license = (name: string): Expression => {
    const known = spdxIdOf(name)
    if (known !== undefined) return known
    const id = `LicenseRef-${plain(owner.replaceAll("+", "plus"))}-${plain(name)}`
    own.set(id, name)
    return id
  }
  const all = combined("AND", debian.map((text) => clauses(text, license)))
  return { expression: rendered(sorted(all)), own: [...own].map(([id, name]) => ({ id, name })) }
}

const plain = (text: string) => text.replaceAll("+", "-or-later").replace(/[^A-Za-z0-9.-]+/g, "-").replace(/^-+|-+$/g, "") || "unnamed"

type Word = "AND" | "OR"
type Expression = string | { readonly word: Word; readonly parts: ReadonlyArray<Expression> }

/** Nothing is said twice, and what one word joins already is joined with the rest. */
const combined = (word: Word, parts: ReadonlyArray<Expression>): Expression => {
  const flat = parts.flatMap((part) => (typeof part === "object" && part.word === word ? part.parts : [part]))
  const distinct = [...new Map(flat.map((part) => [rendered(part), part])).values()]
  return distinct.length === 1 ? distinct[0]! : { word, parts: distinct }
}

const sorted = (expression: Expression): Expression =>
  typeof expression === "string"
    ? expression
    : { ...expression, parts: expression.parts.toSorted((a, b) => (rendered(a) < rendered(b) ? -1 : 1)) }

const rendered = (expression: Expression): string =>
  typeof expression === "string"
    ? expression
    : expression.parts.map((part) => (typeof part === "string" ? part : `(${rendered(part)})`)).join(` ${expression.word} `)

type Licenses = (name: string) => Expression

/** From left to right; each but the first begins with its `and` or `or`. */
const clauses = (text: string, license: Licenses): Expression => {
  const [first = "", ...rest] = text.trim().split(/,\s+(?=(?:and|or)\s)/i)
  return rest.reduce((left, clause) => {
    const [, word = "", right = ""] = /^(and|or)\s+(.*)$/is.exec(clause) ?? []
    return combined(word.toLowerCase() === "or" ? "OR" : "AND", [left, alternatives(right, license)])
  }, alternatives(first, license))
}

const alternatives = (text: string, license: Licenses): Expression =>
  combined("OR", text.split(/\s+or\s+/i).map((choice) => combined("AND", choice.split(/\s+and\s+/i).map((name) => license(name.trim())))))

const spdxIdOf = (name: string): Expression | undefined => {
  // By the terms of Perl itself.
  if (/^perl$/i.test(name)) return { word: "OR", parts: ["Artistic-1.0-Perl", "GPL-1.0-or-later"] }
  const [, license, exception] = /^(.*?)[ -]with[ -](.*?)[ -]exception$/i.exec(name) ?? []
  if (license === undefined || exception === undefined) return plainIdOf(name)
  const base = plainIdOf(license)
  const known = base === undefined ? undefined : exceptionOf(base, exception.toLowerCase())
  return known && `${base} WITH ${known}`
}

const exceptionOf = (license: string, name: string): string | undefined =>
  name === "autoconf" ? (license.includes("-3.0-") ? "Autoconf-exception-3.0" : "Autoconf-exception-2.0") : exceptions[name]

const exceptions: Readonly<Record<string, string>> = {
  bison: "Bison-exception-2.2", "bison-2.2": "Bison-exception-2.2", classpath: "Classpath-exception-2.0", font: "Font-exception-2.0",
  "gcc runtime library": "GCC-exception-3.1", libtool: "Libtool-exception", "linux-syscall-note": "Linux-syscall-note",
  texinfo: "Texinfo-exception"
}

/** `GPL-2+`, `LGPL-2.1`, `GFDL-NIV-1.3+`: a family, a version, perhaps any later one. */
const versioned = /^(GPL|LGPL|AGPL|GFDL|GFDL-NIV)-?v?([0-9](?:\.[0-9])?)(\+|-only|-or-later)?$/i

const plainIdOf = (name: string): string | undefined => {
  const [, family, version, later] = versioned.exec(name) ?? []
  if (family === undefined || version === undefined) return ids[name.toLowerCase()]
  const invariants = /niv/i.test(family) ? "-no-invariants" : ""
  const full = `${family.replace(/-niv/i, "").toUpperCase()}-${version.includes(".") ? version : `${version}.0`}`
  if (!families.has(full)) return undefined
  return `${full}${invariants}${later === "+" || later === "-or-later" ? "-or-later" : "-only"}`
}

const families = new Set([
  "GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "AGPL-3.0", "GFDL-1.1", "GFDL-1.2", "GFDL-1.3"
])

const same = (...names: ReadonlyArray<string>) => names.map((name) => [name.toLowerCase(), name] as const)

/** By their names in lower case. What Debian calls Artistic is the text of Perl. */
const ids: Readonly<Record<string, string>> = {
  ...Object.fromEntries(same(
    "0BSD", "AFL-2.1", "Apache-1.1", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "BSD-4-Clause-UC", "Beerware",
    "BSL-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0", "CDDL-1.0", "CPL-1.0", "curl", "EPL-1.0", "EPL-2.0",
    "EUPL-1.2", "FSFAP", "FSFUL", "FSFULLR", "HPND", "ISC", "Latex2e", "LPPL-1.3c", "MIT", "MIT-0", "MPL-1.1", "MPL-2.0", "MS-PL",
    "NCSA", "OFL-1.1", "OpenSSL", "PostgreSQL", "QPL-1.0", "Ruby", "Sleepycat", "TCP-wrappers", "Unicode-DFS-2016", "Unlicense",
    "Vim", "W3C", "WTFPL", "X11", "Zlib", "ZPL-2.1"
  )),
  "apache-2": "Apache-2.0",
  artistic: "Artistic-1.0-Perl",
  "artistic-2": "Artistic-2.0",
  "bsl-1": "BSL-1.0",
  cc0: "CC0-1.0",
  expat: "MIT",
  ofl: "OFL-1.1",
  "psf-2": "PSF-2.0",
  "python-2": "Python-2.0",
  wtfpl2: "WTFPL"
}

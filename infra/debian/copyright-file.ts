/** Reads Debian's machine-readable copyright files, and the paragraphs that all its control files are made of. Pure. */

/** A paragraph's fields, named in lower case; further lines of a field come after its first. */
export const paragraphsOf = (text: string): ReadonlyArray<ReadonlyMap<string, string>> =>
  text.split(/\r?\n(?:[ \t]*\r?\n)+/).flatMap((paragraph) => {
    const fields = [...paragraph.matchAll(/^([!-9;-~]+):[ \t]*(.*(?:\r?\n[ \t].*)*)/gm)]
    return fields.length === 0 ? [] : [new Map(fields.map(([, name = "", value = ""]) => [name.toLowerCase(), value.trim()]))]
  })

/** What the parts of a package are under, in Debian's names; `undefined` when nobody but a person can tell. */
export const licensesOf = (text: string): ReadonlyArray<string> | undefined => {
  const [head, ...rest] = paragraphsOf(text)
  if (head === undefined || !/copyright-format|dep-?5/i.test(head.get("format") ?? head.get("format-specification") ?? "")) return undefined
  // The others have the texts of licenses that these only name.
  const about = [head, ...rest.filter((paragraph) => paragraph.has("files"))]
  const names = about.flatMap((paragraph) => paragraph.get("license")?.split(/\r?\n/)[0]?.trim() || [])
  return names.length === 0 ? undefined : [...new Set(names)]
}

/** What is wrong with a request, and where: from schema issues to the `errors` of a problem. */
import { SchemaIssue } from "effect"
import { BadRequest, type Fault } from "./api/problems.ts"

/** Enough to mend a request by; a hostile one gets no longer answer than this. */
const mostFaults = 50
const longestKey = 80

const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => {
    switch (issue._tag) {
      case "UnexpectedKey":
        return "there is no such field"
      case "MissingKey":
        return "is missing"
      default:
        return SchemaIssue.defaultLeafHook(issue)
    }
  }
})

export const faultsOf = (where: Fault["in"], issue: SchemaIssue.Issue): ReadonlyArray<Fault> =>
  format(issue).issues.slice(0, mostFaults)
    .map(({ path, message }) => ({ in: where, path: pathText(path ?? []), message }))

/** As one writes it in code: `customizations.users[0].name`. */
const pathText = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }>): string =>
  path.reduce<string>((text, segment) => {
    const key = typeof segment === "object" ? segment.key : segment
    if (typeof key === "number" || /^\d{1,9}$/.test(String(key))) return `${text}[${String(key)}]`
    const name = String(key).slice(0, longestKey)
    if (!/^[A-Za-z_][\w-]*$/.test(name)) return `${text}[${JSON.stringify(name)}]`
    return text === "" ? name : `${text}.${name}`
  }, "")

export const badRequest = (errors: ReadonlyArray<Fault>): BadRequest => {
  const [first] = errors
  const detail = first === undefined ? "the request cannot be read" : `${first.path || first.in}: ${first.message}`
  return new BadRequest({ detail: errors.length > 1 ? `${detail} (and ${errors.length - 1} more)` : detail, errors })
}

export const fault = (where: Fault["in"], path: string, message: string): BadRequest =>
  badRequest([{ in: where, path, message }])

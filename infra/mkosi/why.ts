/** What the end of mkosi's log means. Pure. */
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { failureOf } from "../debian/failures.ts"

const unknownPackage = /(?:Unable to locate package|No match for argument:|target not found:|nothing provides) (\S+)/
const fetching = /Failed to fetch|Could not resolve|Failed to download metadata|Cannot download|failed retrieving file|does not have a Release file/

/** `packages`: those that the request brought. */
export const whyMkosi = (code: number, tail: ReadonlyArray<string>, packages: ReadonlyArray<string>): BuildFailed => {
  const excerpt = tail.join("\n")
  const unknown = unknownPackage.exec(excerpt)?.[1]
  if (unknown !== undefined && packages.includes(unknown)) {
    return new BuildFailed({ class: "user", message: `customizations.packages: there is no package ${unknown}`, excerpt })
  }
  return fetching.test(excerpt) ? new BuildFailed({ class: "repository", message: "mkosi could not fetch what it needs", excerpt }) : failureOf("mkosi", code, tail)
}

/** What the end of disk-image-create's log means. Pure. */
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { failureOf } from "../debian/failures.ts"

const unknownPackage = /^(?:> )?E: (?:Unable to locate package|Package '?)\s*([a-z0-9][a-z0-9+.-]*)/m
const fetching = /^(?:> )?(?:E: (?:Failed to fetch|Unable to fetch|The repository)|W: Failed to fetch|curl: \(\d+\)|E: Couldn't download|E: Invalid Release|E: Failed getting release)/m

/** `packages`: those that the request brought. */
export const whyDib = (code: number, tail: ReadonlyArray<string>, packages: ReadonlyArray<string>): BuildFailed => {
  const text = tail.join("\n")
  const failure = failureOf("disk-image-create", code, tail)
  const excerpt = text
  const unknown = unknownPackage.exec(text)?.[1]
  if (unknown !== undefined && packages.includes(unknown)) {
    return new BuildFailed({ class: "user", message: `customizations.packages: there is no package ${unknown}`, excerpt })
  }
  return fetching.test(text) ? new BuildFailed({ class: "repository", message: "disk-image-create could not fetch what it needs", excerpt }) : failure
}

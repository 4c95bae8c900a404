/** A tenant's own apt repositories: how apt is told of them, where packages are chosen and in the image. Pure. */
import { hostOf } from "../../domain/customization-faults.ts"
import type { Repository } from "../../domain/customizations.ts"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import type { SettingFile } from "./setting-files.ts"

const componentsOf = ({ components, suite }: Repository): ReadonlyArray<string> =>
  suite.endsWith("/") ? [] : components?.length ? components : ["main"]

export const repositoryUri = ({ uri }: Repository) => uri.replace(/\/+$/, "")

export const sourceLine = (repository: Repository, keyring: string): string =>
  `deb [signed-by=${keyring}] ${[repositoryUri(repository), repository.suite, ...componentsOf(repository)].join(" ")}\n`

/** apt tells repositories apart by host only. */
export const pinsOf = (repositories: ReadonlyArray<Repository>): string =>
  repositories
    .flatMap(({ priority, uri }) =>
      priority === undefined ? [] : [`Package: *\nPin: origin "${hostOf(uri)}"\nPin-Priority: ${priority}\n`]
    )
    .join("\n")

/** What their servers answer must not lead elsewhere: a tenant could have a worker speak to whom it likes. */
export const withoutRedirects = (repositories: ReadonlyArray<Repository>): string =>
  [...new Set(repositories.map(({ uri }) => hostOf(uri)))]
    .flatMap((host) => ["http", "https"].map((scheme) => `Acquire::${scheme}::${host}::AllowRedirect "false";\n`))
    .join("")

/** In the image, where that was asked for. */
export const repositoryFiles = (repositories: ReadonlyArray<Repository>): ReadonlyArray<SettingFile> =>
  repositories.flatMap((repository, index) => {
    if (!repository.install_in_image) return []
    const keyring = `/etc/apt/keyrings/kiln-${repository.id}.asc`
    const components = componentsOf(repository)
    const pins = pinsOf([repository])
    return [
      { path: keyring, data: `${repository.key.trim()}\n` },
      {
        path: `/etc/apt/sources.list.d/kiln-${repository.id}.sources`,
        data: [
          "Types: deb",
          `URIs: ${repositoryUri(repository)}`,
          `Suites: ${repository.suite}`,
          ...(components.length > 0 ? [`Components: ${components.join(" ")}`] : []),
          `Signed-By: ${keyring}`,
          ""
        ].join("\n")
      },
      ...(pins === "" ? [] : [{ path: `/etc/apt/preferences.d/kiln-${repository.id}`, data: pins }])
    ].map((file) => ({ field: `repositories[${index}]`, ...file }))
  })

/** Signatures and addresses are for whoever asked to mend; a server that does not answer may do so later. */
const worthAnotherTry = /connect|timed? ?out|resolv|temporary|unreachable| 5\d\d |reset|closed/i

/** What apt said of one of them, if its words are about one. */
export const repositoryFailure = (
  repositories: ReadonlyArray<Repository>,
  tail: ReadonlyArray<string>
): BuildFailed | undefined => {
  for (const [index, repository] of repositories.entries()) {
    const said = tail.filter((line) => /^[EW]: /.test(line) && line.includes(repositoryUri(repository)))
    if (said.length === 0) continue
    return new BuildFailed({
      class: said.some((line) => worthAnotherTry.test(line)) ? "repository" : "user",
      message: `repositories[${index}]: ${said[0]!.slice(3)}`,
      excerpt: tail.join("\n")
    })
  }
  return undefined
}

/** mkosi's own manifest of an image (ManifestFormat=json), and what the image itself adds to it. */
import { readFile } from "node:fs/promises"
import { Effect, Option, Schema } from "effect"
import type { InstalledPackage, PackageSystem } from "../../domain/evidence/inventory.ts"

const Manifest = Schema.fromJsonString(Schema.Struct({
  manifest_version: Schema.Literal(1),
  config: Schema.Struct({ distribution: Schema.String, release: Schema.optionalKey(Schema.NullOr(Schema.String)) }),
  packages: Schema.Array(Schema.Struct({ type: Schema.String, name: Schema.String, version: Schema.String, architecture: Schema.String }))
}))
const decode = Schema.decodeUnknownOption(Manifest)

export interface Listed {
  readonly packages: ReadonlyArray<InstalledPackage>
  readonly system: PackageSystem
}

/** mkosi's name for Arch Linux's packages is not that of package URLs. */
const types: Readonly<Record<string, string>> = { deb: "deb", rpm: "rpm", pkg: "alpm" }

/** `undefined` where there is none: mkosi writes none of an image without packages. */
export const mkosiManifest = (path: string): Effect.Effect<Listed | undefined> =>
  Effect.promise(() => readFile(path, "utf8").catch(() => "")).pipe(Effect.map((text) => Option.getOrUndefined(Option.flatMap(decode(text), listed))))

const listed = ({ config: { distribution, release }, packages }: (typeof Manifest)["Type"]): Option.Option<Listed> => {
  const [first] = packages
  return first === undefined ? Option.none() : Option.some({
    packages: packages.map(({ architecture, name, version }) => ({ name, version, architecture })),
    system: { type: types[first.type] ?? "generic", vendor: distribution, distribution: release ? `${distribution}-${release}` : distribution }
  })
}

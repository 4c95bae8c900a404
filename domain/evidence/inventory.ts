/** What a builder says about what is in an image that it has made. */
import { Schema } from "effect"
import { ToolVersions } from "../artifact.ts"

export const InstalledPackage = Schema.Struct({
  name: Schema.String,
  version: Schema.String,
  architecture: Schema.String,
  /** What it was built from, in the distribution's words; security trackers know packages by it. */
  source: Schema.optionalKey(Schema.Struct({ name: Schema.String, version: Schema.String })),
  maintainer: Schema.optionalKey(Schema.String),
  /** An SPDX expression; absent when nobody can tell. */
  license: Schema.optionalKey(Schema.String)
})
export type InstalledPackage = typeof InstalledPackage.Type

/** A license that SPDX has no id for: what its distribution calls it, and where its text is. */
export const OwnLicense = Schema.Struct({ id: Schema.String, name: Schema.String, text: Schema.String })
export type OwnLicense = typeof OwnLicense.Type

/** Whose packages they are, in the words of package URLs: `deb`, `debian`, `debian-13`. */
export const PackageSystem = Schema.Struct({
  type: Schema.String,
  vendor: Schema.optionalKey(Schema.String),
  distribution: Schema.optionalKey(Schema.String)
})
export type PackageSystem = typeof PackageSystem.Type

export const Inventory = Schema.Struct({
  /** Seconds since 1970: the time that everything in the image has. */
  epoch: Schema.Int,
  packages: Schema.Array(InstalledPackage),
  /** All `LicenseRef-` that the packages' expressions name. */
  licenses: Schema.Array(OwnLicense),
  /** Versions of the programs that made the image, by name. */
  tools: Schema.optionalKey(ToolVersions),
  /** What it was made from, as the end of a sentence; absent: from dpkg's word in the image, and the lock. */
  origin: Schema.optionalKey(Schema.String),
  /** Absent: packages of Debian's kind, of the manifest's distribution. */
  system: Schema.optionalKey(PackageSystem)
})
export type Inventory = typeof Inventory.Type

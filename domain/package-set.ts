import { canonical, type Lock } from "./manifest.ts"

/**
 * The text whose digest says whether images would be made of the same packages. Repositories are signed anew every few hours
 * though nothing in them changes, so where a package came from is no part of it.
 */
export const packageSetText = (locks: ReadonlyArray<Lock>): string =>
  canonical(locks.map(({ packages }) => packages.map(({ architecture, name, sha256, version }) => [name, version, architecture, sha256])))

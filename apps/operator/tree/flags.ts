/** Flags and arguments that several commands know. */
import { Argument, Flag } from "effect/cli"

export const described = (words: string) => <A>(flag: Flag.Flag<A>) => Flag.withDescription(flag, words)
export const off = <A>(flag: Flag.Flag<A>) => Flag.withoutNegation(Flag.withDefault(flag as Flag.Flag<boolean>, false))
export const optional = (name: string, words: string) => Flag.String(name).pipe(described(words), Flag.optional)

/** As in projections/all.ts, which takes longer to load than a short command runs; a test holds them together. */
export const projectionNames = ["composes", "jobs", "images", "accounts", "audit", "blueprints", "blueprint_versions", "pipelines"] as const

export const id = Argument.String("id").pipe(
  Argument.withDescription("The compose, as kiln list shows it"),
  Argument.filter((text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text), () => "a compose's id, as kiln list shows it")
)

export const limit = Flag.Int("limit").pipe(Flag.withMetavar("n"), described("At most so many (20)"), Flag.filter((n) => n > 0, () => "1 or more"), Flag.optional)
export const all = Flag.Boolean("all").pipe(described("All pages"), off)
export const within = (what: string) => ({
  since: optional("since", `${what} at or after: 2026-01-31, 2026-01-31T12:00:00Z, or 2h for two hours ago`),
  until: optional("until", `${what} before`)
})
export const architecture = Flag.Literals("architecture", ["x86_64", "aarch64"]).pipe(described("Only with an image for this architecture"), Flag.optional)
/** Of `domain/target.ts`, which a command that needs no targets does not load. */
export const targetNames = ["file", "s3", "aws", "gcp", "azure", "oci"] as const
export const target = Flag.Literals("target", targetNames).pipe(described("Only with an image that goes there"), Flag.optional)

/** Of whatever asks for a compose. */
export const watching = {
  detach: Flag.Boolean("detach").pipe(described("Print the id and leave, instead of watching"), off),
  download: Flag.String("download").pipe(
    Flag.withOptionalValue("."), Flag.withMetavar("dir"), described("Fetch the files when done, here or to --download=dir"), Flag.optional
  ),
  idempotencyKey: optional("idempotency-key", "The same key makes the same compose, however often it is sent")
}

export const yes = Flag.Boolean("yes").pipe(Flag.withAlias("y"), described("Do not ask"), off)
export const ofTenant = optional("tenant", "Of this tenant, for operators")
export const asOf = optional("as-of", "As it was at this time: 2026-01-31T12:00:00Z, or 2h for two hours ago")

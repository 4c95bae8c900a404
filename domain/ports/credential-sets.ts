import { Context, type Effect, Schema } from "effect"
import type { OfferedSet } from "../credential-sets.ts"
import type { Credentials } from "../credentials.ts"
import type { TenantId } from "../ids.ts"

/** The message names no value of a set. */
export class CredentialsUnusable extends Schema.TaggedError<CredentialsUnusable>()("CredentialsUnusable", { message: Schema.String }) {}

/** The sets that a worker's operator has given it, and whether a tenant's may be used here. */
export class CredentialSets extends Context.Service<CredentialSets, {
  /** Empty while the file cannot be read; why is logged. */
  readonly offered: Effect.Effect<ReadonlyArray<OfferedSet>>
  /** The operator's set of that name, if this tenant may use it. */
  find(name: string, tenantId: TenantId): Effect.Effect<Credentials | undefined, CredentialsUnusable>
  /** A tenant's set as it was stored, JSON text: read, judged as at its storing, and its addresses looked up. */
  admit(stored: string): Effect.Effect<Credentials, CredentialsUnusable>
}>()("domain/ports/CredentialSets") {}

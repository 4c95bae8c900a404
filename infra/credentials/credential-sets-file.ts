/**
 * `CredentialSets` from an operator's file, JSON or YAML, that only its owner can read. It is read anew when it is needed: keys
 * are changed under running workers.
 */
import { lookup } from "node:dns/promises"
import { readFile, stat } from "node:fs/promises"
import { Config, Effect, Layer, Option, Schema, SchemaIssue } from "effect"
import { parse } from "yaml"
import { credentialFaults, endpointsOf } from "../../domain/credential-faults.ts"
import { isFor, type OfferedSet } from "../../domain/credential-sets.ts"
import { Credentials } from "../../domain/credentials.ts"
import { TenantId } from "../../domain/ids.ts"
import { CredentialSets, CredentialsUnusable } from "../../domain/ports/credential-sets.ts"
import { isPrivateAddress } from "../../domain/private-host.ts"
import { CredentialsName } from "../../domain/target.ts"

const strict = { onExcessProperty: "error" } as const
const Entry = Schema.Record(Schema.String, Schema.Unknown)
const Names = Schema.Record(CredentialsName, Entry)
const Tenants = Schema.UndefinedOr(Schema.NonEmptyArray(TenantId))
const decodeNames = Schema.decodeUnknownEffect(Names)
const decodeTenants = Schema.decodeUnknownEffect(Tenants)
const decodeSet = Schema.decodeUnknownEffect(Credentials, strict)
const decodeStored = Schema.decodeUnknownEffect(Schema.fromJsonString(Credentials), strict)

export interface CredentialsFileOptions {
  /** None, where the operator has given no sets. */
  readonly file: string | undefined
  /** Whether tenants' sets may have addresses of the machine itself, or of its link. */
  readonly privateEndpoints: boolean
  /** What a name stands for; nothing, if nobody knows it. */
  readonly addressesOf?: (host: string) => Promise<ReadonlyArray<string>>
}

/** A name that is not known here may be known to a proxy. */
const byDns = (host: string): Promise<ReadonlyArray<string>> => lookup(host, { all: true }).then((found) => found.map(({ address }) => address), () => [])

interface OwnSet extends OfferedSet {
  readonly credentials: Credentials
}

export const credentialSetsFile = ({ addressesOf = byDns, file, privateEndpoints }: CredentialsFileOptions): CredentialSets["Service"] => {
  const sets: Effect.Effect<ReadonlyArray<OwnSet>, CredentialsUnusable> = file === undefined ? Effect.succeed([]) : readSets(file)
  let complaint = ""
  return {
    offered: sets.pipe(
      Effect.map((own) => own.map(({ name, provider, tenants }): OfferedSet => ({ name, provider, ...(tenants && { tenants }) }))),
      Effect.catch(({ message }) => Effect.suspend(() => {
        const isNews = message !== complaint
        complaint = message
        return Effect.as(isNews ? Effect.logWarning(message) : Effect.void, [])
      }))
    ),
    find: (name, tenantId) => Effect.map(sets, (own) => own.find((set) => set.name === name && isFor(set, tenantId))?.credentials),
    admit: Effect.fnUntraced(function*(stored) {
      const credentials = yield* decodeStored(stored).pipe(Effect.mapError(() => unusable("the stored set of credentials cannot be read")))
      const [fault] = credentialFaults(credentials, { operators: false, privateEndpoints })
      if (fault !== undefined) return yield* unusable(`the set of credentials may not be used here: ${fault.path} ${fault.message}`)
      if (privateEndpoints) return credentials
      yield* Effect.forEach(endpointsOf(credentials), ([name, text]) => lookedUp(name, text, addressesOf), { discard: true })
      return { ...credentials, publicOnly: true } as const
    })
  }
}

const unusable = (message: string) => new CredentialsUnusable({ message })

/** Where, and nothing of what stands there. */
const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: ({ _tag }) => _tag === "UnexpectedKey" ? "is not known" : _tag === "MissingKey" ? "is missing" : notAsItHasToBe, checkHook: () => notAsItHasToBe
})
const notAsItHasToBe = "is not as it has to be"
const faultsOf = (issue: SchemaIssue.Issue): ReadonlyArray<string> =>
  [...new Set(format(issue).issues.map(({ message, path = [] }) => `${path.map((key) => `.${String(key).slice(0, 60)}`).join("")} ${message}`))].slice(0, 5)

/** A parser's own words quote what it has read, so they are not repeated. */
const readSets = Effect.fnUntraced(function*(file: string) {
  const wrong = (why: string) => unusable(`KILN_CREDENTIALS_FILE=${file}: ${why}`)
  const text = yield* Effect.tryPromise({ try: () => readClosed(file), catch: (error) => wrong((error as Error).message) })
  const document = yield* Effect.try({ try: (): unknown => parse(text, { maxAliasCount: 0, logLevel: "silent" }) ?? {}, catch: () => wrong("it is neither JSON nor YAML") })
  const named = yield* Effect.mapError(decodeNames(document), () => wrong("it has to hold sets by their names, lower-case letters, digits and hyphens"))
  return yield* Effect.forEach(Object.entries(named), Effect.fnUntraced(function*([name, { tenants: listed, ...values }]) {
    const tenants = yield* Effect.mapError(decodeTenants(listed), () => wrong(`${name}.tenants is no list of tenants`))
    const credentials = yield* Effect.mapError(decodeSet(values), ({ issue }) => wrong(faultsOf(issue).map((fault) => `${name}${fault}`).join("; ")))
    const [fault] = credentialFaults(credentials, { operators: true, privateEndpoints: true })
    if (fault !== undefined) return yield* wrong(`${name}.${fault.path} ${fault.message}`)
    return { name, provider: credentials.provider, credentials, ...(tenants && { tenants }) } satisfies OwnSet
  }))
})

const readClosed = async (file: string): Promise<string> => {
  const { mode } = await stat(file)
  if ((mode & 0o077) !== 0) throw new Error(`others than its owner can read or write it (mode ${(mode & 0o777).toString(8)}); make that 600`)
  return await readFile(file, "utf8")
}

/** What a name stands for may have changed since it was stored. */
const lookedUp = Effect.fnUntraced(function*(name: string, endpoint: string, addressesOf: NonNullable<CredentialsFileOptions["addressesOf"]>) {
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/gu, "")
  const found = yield* Effect.promise(() => addressesOf(host))
  if (found.some(isPrivateAddress)) return yield* unusable(`endpoints.${name} leads to the machine itself, or to its link, which tenants' may not here`)
})

export const privateEndpointsAllowed = Config.Boolean("KILN_ALLOW_PRIVATE_ENDPOINTS").pipe(Config.withDefault(false))

export const CredentialSetsFromEnvironment = Layer.effect(CredentialSets, Effect.gen(function*() {
  const file = yield* Config.option(Config.String("KILN_CREDENTIALS_FILE"))
  const sets = credentialSetsFile({ file: Option.getOrUndefined(Option.filter(file, (text) => text !== "")), privateEndpoints: yield* privateEndpointsAllowed })
  return CredentialSets.of(sets)
}))

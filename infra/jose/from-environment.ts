/** Whose tokens count: the local issuer's unless `KILN_LOCAL_ISSUER=false`, and those of the issuers in `KILN_ISSUERS`. */
import { Config, Effect, Layer, Option, Schema } from "effect"
import { LocalIssuer, type Tokens } from "../../domain/ports/tokens.ts"
import { LocalIssuerFiles, trustLocal } from "./local-issuer.ts"
import { TokensJose } from "./tokens-jose.ts"
import { algorithms, type TrustedIssuer } from "./trusted-issuer.ts"

const Claim = Schema.Union([Schema.String, Schema.Array(Schema.String)])

/** A JSON array in one variable; see docs/configuration.md. */
const Issuers = Schema.fromJsonString(Schema.Array(Schema.Struct({
  issuer: Schema.String,
  audience: Schema.Union([Schema.String, Schema.Array(Schema.String)]),
  jwksUrl: Schema.String,
  algorithms: Schema.optionalKey(Schema.Array(Schema.Literals(algorithms))),
  clockSkewSeconds: Schema.optionalKey(Schema.Int),
  claims: Schema.optionalKey(Schema.Struct({
    tenant: Schema.optionalKey(Claim), role: Schema.optionalKey(Claim), pool: Schema.optionalKey(Claim), worker: Schema.optionalKey(Claim)
  })),
  defaultRole: Schema.optionalKey(Schema.Literals(["requester", "operator", "worker"]))
})))

export const TokensFromEnvironment: Layer.Layer<Tokens | LocalIssuer, Config.ConfigError | Schema.SchemaError> = Layer.unwrap(
  Effect.gen(function*() {
    const keys = yield* Config.String("KILN_KEYS")
    const configured = yield* Config.option(Config.String("KILN_ISSUERS"))
    const localCounts = yield* Config.Boolean("KILN_LOCAL_ISSUER").pipe(Config.withDefault(true))
    const issuers = Option.isNone(configured) ? [] : yield* Schema.decodeUnknownEffect(Issuers)(configured.value, { onExcessProperty: "error" })
    const foreign = issuers.map(({ jwksUrl, ...issuer }): TrustedIssuer => ({ ...issuer, keys: { url: jwksUrl } }))
    const tokens = Layer.unwrap(Effect.map(LocalIssuer, (local) => TokensJose([...(localCounts ? [trustLocal(local)] : []), ...foreign])))
    return Layer.provideMerge(tokens, LocalIssuerFiles(keys))
  })
)

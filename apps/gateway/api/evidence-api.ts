/** What is said of an image beside its bytes: bills of materials, provenance, checksums, known flaws. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ComposeId } from "../../../domain/ids.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, NotFound, Unavailable } from "./problems.ts"

const optional = Schema.optionalKey
const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))

const file = {
  params: { id: ComposeId, image: Index },
  headers: { "if-none-match": optional(Schema.String) },
  success: HttpApiSchema.StreamUint8Array(),
  error: [BadRequest, NotFound, Unavailable]
} as const

/** `status`: `fixable` where a newer version of the source is mended, `open` where none is. */
export const VulnerabilityView = Schema.Struct({
  id: Schema.String,
  urgency: Schema.String,
  status: Schema.Literals(["open", "fixable", "undetermined"]),
  source: Schema.Struct({ name: Schema.String, version: Schema.String }),
  packages: Schema.Array(Schema.String),
  fixed_version: optional(Schema.String),
  description: optional(Schema.String)
})
export type VulnerabilityView = typeof VulnerabilityView.Type

/** `counts`: by urgency, the gravest first. `data_from`: how old the security data is. */
export const VulnerabilitiesView = Schema.Struct({
  image: Schema.Int,
  distribution: Schema.String,
  data_from: Schema.String.annotate({ description: "RFC 3339, UTC", examples: ["2026-01-31T12:00:00.000Z"] }),
  counts: Schema.Record(Schema.String, Schema.Int),
  vulnerabilities: Schema.Array(VulnerabilityView)
}).annotate({ identifier: "Vulnerabilities" })
export type VulnerabilitiesView = typeof VulnerabilitiesView.Type

export class EvidenceApi extends HttpApiGroup.make("evidence").add(
  HttpApiEndpoint.get("spdx", "/:id/images/:image/sbom.spdx.json", file).annotate(OpenApi.Summary, "An image's bill of materials, SPDX 2.3"),
  HttpApiEndpoint.get("cyclonedx", "/:id/images/:image/sbom.cdx.json", file).annotate(OpenApi.Summary, "An image's bill of materials, CycloneDX 1.6"),
  HttpApiEndpoint.get("lock", "/:id/images/:image/lock.json", file).annotate(OpenApi.Summary, "The packages that an image was resolved to"),
  HttpApiEndpoint.get("dsse", "/:id/images/:image/provenance.dsse.json", file).annotate(OpenApi.Summary, "An image's signed provenance, a DSSE envelope"),
  HttpApiEndpoint.get("intoto", "/:id/images/:image/provenance.intoto.jsonl", file).annotate(OpenApi.Summary, "The same, an envelope a line"),
  HttpApiEndpoint.get("sigstore", "/:id/images/:image/provenance.sigstore.json", file).annotate(OpenApi.Summary, "The same, in a Sigstore bundle"),
  HttpApiEndpoint.get("vulnerabilities", "/:id/images/:image/vulnerabilities", {
    params: file.params, success: VulnerabilitiesView, error: file.error
  }).annotate(OpenApi.Summary, "Known flaws of an image's packages"),
  HttpApiEndpoint.get("checksums", "/:id/checksums", {
    params: { id: ComposeId }, headers: file.headers, success: HttpApiSchema.StreamUint8Array(), error: file.error
  }).annotate(OpenApi.Summary, "SHA-256 of a compose's files, as sha256sum reads it")
).middleware(Authorization).prefix("/composes") {}

/** `key_id`: SHA-256 of the key's SubjectPublicKeyInfo, in hex; envelopes name it. */
export const ProvenanceKeyView = Schema.Struct({
  key_id: Schema.String,
  algorithm: Schema.Literal("Ed25519"),
  pem: Schema.String,
  jwk: Schema.Record(Schema.String, Schema.String)
}).annotate({ identifier: "ProvenanceKey" })
export type ProvenanceKeyView = typeof ProvenanceKeyView.Type

/** Public, so without a token. */
export class KeysApi extends HttpApiGroup.make("keys").add(
  HttpApiEndpoint.get("provenanceKey", "/keys/provenance", { success: ProvenanceKeyView }).annotate(OpenApi.Summary, "The public key that provenance is signed with"),
  HttpApiEndpoint.get("provenancePem", "/keys/provenance.pem", {
    success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "application/x-pem-file" }))
  }).annotate(OpenApi.Summary, "The same as PEM alone")
) {}

/** What is said of an image, to its tenant; the key that it is signed with, to everybody. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Evidence } from "../../domain/artifact.ts"
import { cyclonedxMediaType, installedIn } from "../../domain/evidence/cyclonedx.ts"
import { outcomesOf } from "../../domain/evidence/provenance.ts"
import { spdxMediaType } from "../../domain/evidence/spdx.ts"
import { countsOf, sourcesOf, vulnerabilitiesOf } from "../../domain/evidence/vulnerabilities.ts"
import type { ComposeId } from "../../domain/ids.ts"
import { Advisories } from "../../domain/ports/advisories.ts"
import { Attester } from "../../domain/ports/attester.ts"
import type { Blobs } from "../../domain/ports/blobs.ts"
import type { EventLog } from "../../domain/ports/event-log.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { NotFound, Unavailable } from "./api/problems.ts"
import { delivered, time } from "./compose-details.ts"
import { GatewayConfig } from "./config.ts"
import { builderIdOf, signedProvenance, type SignedStatement, sigstoreBundle, sigstoreBundleType } from "../signed-provenance.ts"
import { answered, checksums, storedDocument } from "./evidence-files.ts"
import { findHistory } from "./find-compose.ts"

interface One {
  readonly params: { readonly id: ComposeId; readonly image: number }
}
interface Asked extends One {
  readonly headers: { readonly "if-none-match"?: string }
}

const noBill = (evidence: Evidence | undefined) =>
  `there is no bill of materials of this image: ${evidence?.noBill ?? "its builder makes none, or it was built before there were any"}`

/** The image as far as it has come, and whether its compose has ended well, so that nothing changes any more. */
const imageOf = Effect.fnUntraced(function*({ id, image }: One["params"]) {
  const { tenantId } = yield* CurrentIdentity
  const { history, state } = yield* findHistory(tenantId, id)
  const { compose } = state
  if (compose.request?.images[image] === undefined) return yield* new NotFound({ detail: `the compose has no image ${image}` })
  const outcomes = outcomesOf(history, image)
  if (outcomes === undefined) return yield* new NotFound({ detail: `image ${image} of this compose is not built` })
  return { history, settled: compose.status === "succeeded", distribution: compose.request.distribution, ...outcomes }
})

const bill = (which: "spdx" | "cyclonedx", contentType: string) =>
  Effect.fnUntraced(function*({ headers, params }: Asked) {
    const { built, settled } = yield* imageOf(params)
    return answered({ bytes: yield* storedDocument(built.evidence?.[which], noBill(built.evidence)), contentType, settled }, headers["if-none-match"])
  })

const lock = Effect.fnUntraced(function*({ headers, params }: Asked) {
  const { resolved, settled } = yield* imageOf(params)
  const bytes = yield* storedDocument(resolved?.lock, "this image was built without a lock")
  return answered({ bytes, contentType: "application/json", settled }, headers["if-none-match"])
})

/** The key may be another tomorrow. */
const provenance = (contentType: string, text: (envelope: SignedStatement) => string) =>
  Effect.fnUntraced(function*({ headers, params }: Asked) {
    const { publicUrl } = yield* GatewayConfig
    const { history } = yield* imageOf(params)
    const envelope = (yield* signedProvenance(history, params.image, builderIdOf(publicUrl))) ??
      (yield* new NotFound({ detail: `image ${params.image} of this compose is not built` }))
    return answered({ bytes: new TextEncoder().encode(text(envelope)), contentType, settled: false }, headers["if-none-match"])
  })

const vulnerabilities = Effect.fnUntraced(function*({ params }: One) {
  const { built, distribution } = yield* imageOf(params)
  const installed = installedIn(new TextDecoder().decode(yield* storedDocument(built.evidence?.cyclonedx, noBill(built.evidence))))
  const { asOf, bySource } = yield* (yield* Advisories).about(distribution, sourcesOf(installed).map(({ name }) => name)).pipe(
    Effect.mapError(({ message, reason }) => reason === "Unreadable" ? new Unavailable({ detail: message }) : new NotFound({ detail: message }))
  )
  const found = vulnerabilitiesOf(installed, bySource)
  return {
    image: params.image, distribution, data_from: time(asOf), counts: countsOf(found),
    vulnerabilities: found.map(({ fixedVersion, ...flaw }) => ({ ...flaw, ...(fixedVersion !== undefined && { fixed_version: fixedVersion }) }))
  }
})

const sums = Effect.fnUntraced(function*(id: ComposeId, ifNoneMatch: string | undefined) {
  const { tenantId } = yield* CurrentIdentity
  const { state: { compose } } = yield* findHistory(tenantId, id)
  const bytes = new TextEncoder().encode(checksums(delivered(compose)))
  return answered({ bytes, contentType: "text/plain; charset=utf-8", settled: compose.status === "succeeded" }, ifNoneMatch)
})

type Ports = EventLog | Blobs | Attester | Advisories

export const EvidenceLive = HttpApiBuilder.group(KilnApi, "evidence", Effect.fnUntraced(function*(handlers) {
  const ports = yield* Effect.context<Ports>()
  const config = yield* GatewayConfig
  const given = <A, E, R>(answer: Effect.Effect<A, E, R>) =>
    answer.pipe(Effect.provideService(GatewayConfig, config), Effect.provideContext(ports))
  const [spdx, cyclonedx] = [bill("spdx", spdxMediaType), bill("cyclonedx", cyclonedxMediaType)]
  const dsse = provenance("application/vnd.dsse.envelope.v1+json", (envelope) => `${JSON.stringify(envelope, undefined, 1)}\n`)
  const intoto = provenance("application/jsonl", (envelope) => `${JSON.stringify(envelope)}\n`)
  const sigstore = provenance(sigstoreBundleType, (envelope) => `${JSON.stringify(sigstoreBundle(envelope), undefined, 1)}\n`)
  return handlers.handleAll({
    spdx: (asked) => given(spdx(asked)),
    cyclonedx: (asked) => given(cyclonedx(asked)),
    lock: (asked) => given(lock(asked)),
    dsse: (asked) => given(dsse(asked)),
    intoto: (asked) => given(intoto(asked)),
    sigstore: (asked) => given(sigstore(asked)),
    vulnerabilities: (asked) => given(vulnerabilities(asked)),
    checksums: ({ headers, params }) => given(sums(params.id, headers["if-none-match"]))
  })
}))

export const KeysLive = HttpApiBuilder.group(KilnApi, "keys", Effect.fnUntraced(function*(handlers) {
  const { key: { jwk, keyId, pem } } = yield* Attester
  return handlers.handleAll({
    provenanceKey: () => Effect.succeed({ key_id: keyId, algorithm: "Ed25519" as const, pem, jwk }),
    provenancePem: () => Effect.succeed(pem)
  })
}))

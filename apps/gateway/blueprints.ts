/** The handlers of blueprints: judged as composes are, sealed, recorded; and composes made from them. */
import { Clock, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { v7 } from "uuid"
import { type BlueprintRejected, ChangeBlueprint, CreateBlueprint, mostVersions } from "../../domain/blueprint.ts"
import type { BlueprintNameTaken as NameTaken } from "../../domain/blueprint-name.ts"
import { differencesOf } from "../../domain/differences.ts"
import { BlueprintId, Millis, type TenantId } from "../../domain/ids.ts"
import type { CredentialSets } from "../../domain/ports/credential-sets.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Idempotency } from "../../domain/ports/idempotency.ts"
import { ImageTargets } from "../../domain/ports/image-targets.ts"
import { Scheduling } from "../../domain/ports/scheduling.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { StoredFiles } from "../../domain/ports/stored-files.ts"
import { blueprintList } from "../../projections/blueprints.ts"
import { blueprintVersionList } from "../../projections/blueprint-versions.ts"
import { Rows } from "../../projections/rows.ts"
import { wordTerms } from "../../projections/terms.ts"
import { blueprintAfter, blueprintNamed, changeBlueprint, createBlueprint, deleteBlueprint, readBlueprint } from "../blueprints.ts"
import type { Intent } from "../execute.ts"
import { answering, traceOf } from "./accepted.ts"
import { admitRequest, faultsMoved } from "./admit-request.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { BlueprintDocument, type BlueprintPage, BuildBlueprint } from "./api/blueprints-api.ts"
import { KilnApi, prefix } from "./api/kiln-api.ts"
import { BadRequest, BlueprintChanged, BlueprintNameTaken, type Fault, NotFound } from "./api/problems.ts"
import { Catalog } from "./catalog.ts"
import { lostSecrets, sealedAfter } from "./blueprint-request.ts"
import { blueprintItem, blueprintView, documentOf, rowOf, versionIn, versionItem, viewIn } from "./blueprint-views.ts"
import { bodyOf } from "./compose-body.ts"
import { withoutSecrets } from "./compose-details.ts"
import { badRequest, fault } from "./faults.ts"
import { orUnavailable } from "./find-compose.ts"
import { linked, pageOf } from "./list-page.ts"
import { testedImages } from "./offered.ts"
import { recordRequest } from "./request-compose.ts"
import { Reservations } from "./reserve-quota.ts"

type Ports = Catalog | CredentialSets | EventLog | Idempotency | ImageTargets | Reservations | Scheduling | Sealer | StoredFiles

const documentIn = bodyOf(BlueprintDocument)
const buildIn = bodyOf(BuildBlueprint)

export const BlueprintsLive = HttpApiBuilder.group(KilnApi, "blueprints", Effect.fnUntraced(function*(handlers) {
  const ports = yield* Effect.context<Ports>()
  const rows = yield* Rows

  return handlers
    .handleRaw("create", Effect.fnUntraced(function*({ query: { dry_run }, request: http }) {
      const { description, name, request } = yield* documentIn(http)
      const intent = yield* intended(traceOf(http))
      yield* admitRequest(intent.tenantId, request).pipe(inRequest)
      const blueprintId = BlueprintId.make(v7({ msecs: intent.at }))
      const sealed = yield* sealedAfter(intent.tenantId, request, undefined)
      const command = CreateBlueprint.make({ blueprintId, name, ...(description !== undefined && { description }), request: sealed })
      const created = Effect.andThen(createBlueprint(intent, command), recordedOf(intent.tenantId, blueprintId))
      const history = yield* (dry_run === "true" ? blueprintAfter(intent, command) : created).pipe(
        Effect.catchTags({ BlueprintNameTaken: nameTaken, BlueprintRejected: Effect.die, LogUnavailable: unavailable }))
      return HttpServerResponse.jsonUnsafe({ ...viewIn(history), differences: differencesOf(undefined, documentOf(history)) },
        dry_run === "true" ? {} : { status: 201, headers: { location: `${prefix}/blueprints/${blueprintId}` } })
    }, Effect.provideContext(ports)))
    .handleRaw("change", Effect.fnUntraced(function*({ headers, params: { id }, query: { dry_run }, request: http }) {
      const { description, name, request } = yield* documentIn(http)
      const intent = yield* intended(traceOf(http))
      const { history: before } = yield* historyOf(intent.tenantId, id)
      yield* admitRequest(intent.tenantId, request).pipe(inRequest)
      const onlyAfter = headers["if-match"] === undefined ? undefined : Number(headers["if-match"].replaceAll("\"", ""))
      const sealed = yield* sealedAfter(intent.tenantId, request, versionIn(before)?.request)
      const command = ChangeBlueprint.make({
        blueprintId: id, name, ...(description !== undefined && { description }), request: sealed, ...(onlyAfter !== undefined && { onlyAfter })
      })
      const changed = Effect.andThen(changeBlueprint(intent, command), recordedOf(intent.tenantId, id))
      const after = yield* (dry_run === "true" ? blueprintAfter(intent, command) : changed).pipe(
        Effect.catchTags({ BlueprintNameTaken: nameTaken, BlueprintRejected: rejected, LogUnavailable: unavailable }))
      if (rowOf(after) === undefined) return yield* missing(id)
      return HttpServerResponse.jsonUnsafe({ ...viewIn(after), differences: differencesOf(documentOf(before), documentOf(after)) })
    }, Effect.provideContext(ports)))
    .handleRaw("build", Effect.fnUntraced(function*({ headers, params: { id }, request: http }) {
      const identity = yield* CurrentIdentity
      const { image_types, version: wanted } = yield* buildIn(http)
      const { row, history } = yield* historyOf(identity.tenantId, id)
      const version = versionIn(history, wanted) ?? (yield* noVersion(wanted))
      const images = version.request.images.filter(({ type }) => image_types === undefined || image_types.includes(type))
      const [first, ...others] = images
      if (first === undefined) return yield* fault("body", "image_types", `version ${version.version} has no image of these types`)
      const sealed = { name: row.name, ...version.request, images: [first, ...others] as const }
      const plain = withoutSecrets(sealed)
      const distribution = yield* admitRequest(identity.tenantId, plain).pipe(ofVersion(version.version))
      const lost = yield* lostSecrets(identity.tenantId, sealed)
      if (lost.length > 0) yield* badRequest(lost).pipe(ofVersion(version.version))
      const tests = testedImages(distribution, plain)
      const asked = {
        builder: distribution.builder, resolves: distribution.resolves, blueprint: { id, version: version.version }, ...(tests.length > 0 && { tests })
      }
      return yield* answering(recordRequest({ identity, sealed, asked, idempotencyKey: headers["idempotency-key"], trace: traceOf(http) }))
    }, Effect.provideContext(ports)))
    .handleAll({
      list: Effect.fnUntraced(function*({ query, request }) {
        const { tenantId } = yield* CurrentIdentity
        const { distribution, name, search = "", since, until } = query
        // By name the log itself is asked: whoever has just made one finds it.
        if (name !== undefined) return linked((yield* named(tenantId, name)) satisfies BlueprintPage as BlueprintPage, request.url)
        const filter = {
          equal: { distribution }, ...(search !== "" && { wanted: { terms: [], beginnings: wordTerms(tenantId, search) } }),
          since: since === undefined ? undefined : Date.parse(since), until: until === undefined ? undefined : Date.parse(until)
        }
        const page = yield* pageOf(query, ["number", "string"], (limit, before) => rows.list(tenantId, blueprintList, filter, { limit, before }),
          { item: blueprintItem, valuesOf: ({ blueprintId, changedAt }) => [changedAt ?? 0, blueprintId] })
        return linked(page, request.url)
      }, Effect.provideContext(ports)),
      show: Effect.fnUntraced(function*({ params: { id }, query: { version } }) {
        return yield* viewOf((yield* CurrentIdentity).tenantId, id, version)
      }, Effect.provideContext(ports)),
      remove: Effect.fnUntraced(function*({ params: { id }, request }) {
        yield* deleteBlueprint(yield* intended(traceOf(request)), id).pipe(
          Effect.catchTags({ BlueprintRejected: () => missing(id), LogUnavailable: unavailable }))
      }, Effect.provideContext(ports)),
      differences: Effect.fnUntraced(function*({ params: { id }, query: { from: first, to: last } }) {
        const { history, row } = yield* historyOf((yield* CurrentIdentity).tenantId, id)
        const to = last ?? row.version
        const from = first ?? Math.max(1, to - 1)
        const [one, other] = [versionIn(history, from) ?? (yield* noVersion(from)), versionIn(history, to) ?? (yield* noVersion(to))]
        return { from, to, differences: differencesOf(one.request, other.request) }
      }, Effect.provideContext(ports)),
      versions: Effect.fnUntraced(function*({ params: { id }, query, request }) {
        const { tenantId } = yield* CurrentIdentity
        yield* historyOf(tenantId, id)
        const page = yield* pageOf(query, ["number", "number"],
          (limit, before) => rows.list(tenantId, blueprintVersionList, { equal: { blueprintId: id } }, { limit, before }),
          { item: versionItem, valuesOf: ({ at, version }) => [at, version] })
        return linked(page, request.url)
      }, Effect.provideContext(ports))
    })
}))

const intended = Effect.fnUntraced(function*(trace: string | undefined) {
  const { role, subject, tenantId } = yield* CurrentIdentity
  return { tenantId, messageId: v7(), at: Millis.make(yield* Clock.currentTimeMillis), actor: { kind: role, id: subject }, trace } satisfies Intent
})

/** Another tenant's is not there, like one that never was. */
const historyOf = Effect.fnUntraced(function*(tenantId: TenantId, id: BlueprintId) {
  const { recorded: history } = yield* orUnavailable(readBlueprint(tenantId, id))
  const row = rowOf(history)
  return row === undefined ? yield* missing(id) : { history, row }
})

const viewOf = Effect.fnUntraced(function*(tenantId: TenantId, id: BlueprintId, wanted?: number) {
  const { history, row } = yield* historyOf(tenantId, id)
  return blueprintView(row, versionIn(history, wanted) ?? (yield* noVersion(wanted)))
})

const recordedOf = (tenantId: TenantId, id: BlueprintId) => Effect.map(readBlueprint(tenantId, id), ({ recorded }) => recorded)

const named = Effect.fnUntraced(function*(tenantId: TenantId, name: string) {
  const id = yield* orUnavailable(blueprintNamed(tenantId, name))
  const row = id === undefined ? undefined : rowOf((yield* orUnavailable(readBlueprint(tenantId, id))).recorded)
  return { items: row === undefined ? [] : [blueprintItem(row)] }
})

const noVersion = (version: number | undefined) => Effect.fail(new NotFound({ detail: `the blueprint has no version ${version}` }))

const unavailable = (error: { readonly message: string }) => orUnavailable(Effect.fail(error))

const missing = (id: BlueprintId) => Effect.fail(new NotFound({ detail: `there is no blueprint ${id}` }))

const nameTaken = ({ by }: NameTaken) => Effect.fail(new BlueprintNameTaken({ detail: `blueprint ${by} has this name`, blueprint: by }))

const rejected = ({ reason, version }: BlueprintRejected): Effect.Effect<never, BadRequest | BlueprintChanged | NotFound> => {
  if (reason === "NotFound") return Effect.fail(new NotFound({ detail: "there is no such blueprint any more" }))
  if (reason === "TooMany") return Effect.fail(fault("body", "request", `a blueprint has at most ${mostVersions} versions`))
  return Effect.fail(new BlueprintChanged({ detail: `it has version ${version} now`, version }))
}

const inRequest = faultsMoved((fault): Fault => ({ ...fault, path: fault.path === "" ? "request" : `request.${fault.path}` }))

/** What was right when it was stored need not be so any more. */
const ofVersion = (version: number) =>
  faultsMoved(({ message, path }): Fault => ({ in: "path", path: "id", message: `version ${version} cannot be built now: ${path}: ${message}` }))

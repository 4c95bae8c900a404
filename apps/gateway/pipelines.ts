/** The handlers of pipelines. What they decide is carried out by the scheduler. */
import { Clock, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { v7 } from "uuid"
import type { ComposeRequest } from "../../domain/compose-request.ts"
import { Millis, type PipelineName, type TenantId } from "../../domain/ids.ts"
import type { PipelineCommand } from "../../domain/pipeline-commands.ts"
import { pipelineDifferences } from "../../domain/pipeline-differences.ts"
import { definitionOf, PipelineDocument } from "../../domain/pipeline-document.ts"
import type { PipelineDefinition, PipelineMeans } from "../../domain/pipeline-events.ts"
import { buildOf, type PipelineRejected } from "../../domain/pipeline.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { ImageTargets } from "../../domain/ports/image-targets.ts"
import type { Scheduling } from "../../domain/ports/scheduling.ts"
import type { Sealer } from "../../domain/ports/sealer.ts"
import type { StoredFiles } from "../../domain/ports/stored-files.ts"
import { pipelineList, type PipelineRow, pipelines } from "../../projections/pipelines.ts"
import { Rows } from "../../projections/rows.ts"
import { executeOnPipeline, readPipeline } from "../pipelines.ts"
import { readCompose } from "../read-compose.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import type { PipelineDeclared } from "./api/pipelines-api.ts"
import { BadRequest, BuildNotGood, type Fault, NotFound, PipelineChanged, PipelinePaused, TooManyPipelines } from "./api/problems.ts"
import { Catalog } from "./catalog.ts"
import { bodyOf } from "./compose-body.ts"
import { delivered } from "./compose-details.ts"
import { GatewayConfig } from "./config.ts"
import { badRequest } from "./faults.ts"
import { storedFilesNamed } from "./files.ts"
import { orUnavailable } from "./find-compose.ts"
import { linked, pageOf } from "./list-page.ts"
import { offered, testedImages } from "./offered.ts"
import { pipelineDetails, pipelineView } from "./pipeline-views.ts"
import { sealSecrets } from "./request-compose.ts"
import { checkTargetCredentials } from "./target-credentials.ts"

const documentBody = bodyOf(PipelineDocument)
/** Its composes carry two labels more than it declares. */
const mostLabels = 30
const ownLabels = ["pipeline", "pipeline-build", "pipeline-check"] as const

export const PipelinesLive = HttpApiBuilder.group(KilnApi, "pipelines", Effect.fnUntraced(function*(handlers) {
  const ports = yield* Effect.context<EventLog | Scheduling | Sealer | StoredFiles>()
  const { distributions } = yield* Catalog
  const { pipelinesPerTenant = Infinity, privateRepositories } = yield* GatewayConfig
  const targets = yield* ImageTargets
  const rows = yield* Rows

  /** What a compose would be refused for is refused when it is declared. */
  const judged = Effect.fnUntraced(function*(tenantId: TenantId, request: ComposeRequest) {
    const distribution = yield* Effect.fromResult(offered(distributions, request, privateRepositories, (type) => targets.get(type) !== undefined))
    yield* storedFilesNamed(tenantId, request)
    yield* checkTargetCredentials(tenantId, request.images).pipe(Effect.catchTags({ LogUnavailable: unavailable, SchedulerSilent: unavailable }))
    const faults = labelFaults(request)
    if (faults.length > 0) return yield* badRequest(faults)
    const tests = testedImages(distribution, request)
    return { builder: distribution.builder, resolves: distribution.resolves, ...(tests.length > 0 && { tests }) } satisfies PipelineMeans
  })

  const say = Effect.fnUntraced(function*(name: PipelineName, command: (at: Millis) => PipelineCommand) {
    const { role, subject, tenantId } = yield* CurrentIdentity
    const at = Millis.make(yield* Clock.currentTimeMillis)
    const intent = { tenantId, messageId: v7(), at, actor: { kind: role, id: subject } as const }
    return yield* executeOnPipeline(intent, name, command(at)).pipe(
      Effect.catchTags({ LogUnavailable: unavailable, PipelineRejected: (rejection) => refused(name, rejection) }))
  }, Effect.provideContext(ports))

  const find = Effect.fnUntraced(function*(name: PipelineName) {
    const { tenantId } = yield* CurrentIdentity
    const { pipeline } = yield* orUnavailable(readPipeline(tenantId, name))
    return pipeline.status === "declared" ? { pipeline, tenantId } : yield* missing(name)
  }, Effect.provideContext(ports))

  const told = (name: PipelineName, command: (at: Millis) => PipelineCommand) => Effect.map(say(name, command), ({ pipeline }) => pipelineDetails(name, pipeline))

  /** By rows, which may be some milliseconds behind: those that are declared at the same moment do not hold each other up. */
  const roomForOne = Effect.fnUntraced(function*(tenantId: TenantId) {
    if (pipelinesPerTenant === Infinity) return
    const used = yield* orUnavailable(rows.count(tenantId, pipelines, { declared: true }, pipelinesPerTenant))
    if (used < pipelinesPerTenant) return
    return yield* new TooManyPipelines({ detail: `this tenant has ${used} pipelines; delete one first`, rule: "pipelines", limit: pipelinesPerTenant, used })
  })

  return handlers
    .handleRaw("declare", Effect.fnUntraced(function*({ params: { name }, query: { dry_run, version }, request: http }) {
      const { tenantId } = yield* CurrentIdentity
      const document = yield* documentBody(http)
      const means = yield* Effect.mapError(judged(tenantId, document.compose), below)
      const definition = definitionOf(document, yield* sealSecrets(tenantId, document.compose))
      const { pipeline } = yield* orUnavailable(readPipeline(tenantId, name))
      const before = pipeline.status === "declared" ? pipeline : undefined
      if (before === undefined) yield* roomForOne(tenantId)
      const isDry = dry_run === "true"
      if (!isDry) {
        yield* say(name, (at) => ({ _tag: "DeclarePipeline", at, definition, means, ...(version !== undefined && { version }) })).pipe(
          Effect.catchTag("PipelineRejected", () => new PipelineChanged({ detail: `${name} is not what it was when you looked` })))
      }
      return HttpServerResponse.jsonUnsafe(declaredAs(before && { definition: before.definition!, version: before.version }, definition, isDry))
    }, Effect.provideContext(ports)))
    .handleAll({
      list: Effect.fnUntraced(function*({ query, request }) {
        const { tenantId } = yield* CurrentIdentity
        const filter = { equal: { declared: true, distribution: query.distribution } }
        const page = yield* pageOf(query, ["number", "string"], (limit, before) => rows.list(tenantId, pipelineList, filter, { limit, before }), {
          item: ({ name, state }: PipelineRow) => pipelineView(name as PipelineName, state), valuesOf: ({ declaredAt, name }) => [declaredAt, name]
        })
        return linked(page, request.url)
      }),
      show: ({ params: { name } }) => Effect.map(find(name), ({ pipeline }) => pipelineDetails(name, pipeline)),
      remove: ({ params: { name } }) => Effect.asVoid(say(name, (at) => ({ _tag: "DeletePipeline", at }))).pipe(Effect.catchTag("PipelineRejected", Effect.die)),
      build: ({ params: { name } }) => told(name, (at) => ({ _tag: "AskBuild", at })).pipe(
        Effect.catchTag("PipelineRejected", () => new PipelinePaused({ detail: `${name} is paused; resume it first` }))),
      pause: ({ params: { name } }) => told(name, (at) => ({ _tag: "PausePipeline", at })).pipe(Effect.catchTag("PipelineRejected", Effect.die)),
      resume: ({ params: { name } }) => told(name, (at) => ({ _tag: "ResumePipeline", at })).pipe(Effect.catchTag("PipelineRejected", Effect.die)),
      promote: Effect.fnUntraced(function*({ params: { name }, payload: { build } }) {
        const { pipeline, tenantId } = yield* find(name)
        const known = buildOf(pipeline, build)
        if (known?.outcome === "good") {
          const { compose } = yield* orUnavailable(Effect.provideContext(readCompose(tenantId, known.composeId), ports))
          if (delivered(compose).length === 0) return yield* new BuildNotGood({ detail: `the images of build ${build} are gone` })
        }
        return yield* told(name, (at) => ({ _tag: "PromoteBuild", at, number: build })).pipe(
          Effect.catchTag("PipelineRejected", () => new BuildNotGood({ detail: "only a build that has ended well can be promoted" })))
      })
    })
}))

const unavailable = (error: { readonly message: string }) => orUnavailable(Effect.fail(error))

const missing = (name: PipelineName) => new NotFound({ detail: `there is no pipeline named ${name}` })

/** What else is refused is each command's own. */
const refused = (name: PipelineName, rejection: PipelineRejected) => {
  if (rejection.reason === "NotFound") return Effect.fail(missing(name))
  return Effect.fail(rejection.reason === "NoSuchBuild" ? new NotFound({ detail: `no build of ${name} is known by that number` }) : rejection)
}

/** Faults of the request lie below `compose` in the document. */
const below = <E>(error: E): E | BadRequest =>
  error instanceof BadRequest ? badRequest(error.errors.map((each) => each.in === "body" ? belowCompose(each) : each)) : error

const belowCompose = (fault: Fault): Fault => ({ ...fault, path: fault.path === "" ? "compose" : `compose.${fault.path}` })

const labelFaults = ({ labels = {} }: ComposeRequest): ReadonlyArray<Fault> => [
  ...ownLabels.filter((label) => label in labels).map((label): Fault => ({ in: "body", path: `labels.${label}`, message: "is set by the pipeline itself" })),
  ...(Object.keys(labels).length > mostLabels ? [{ in: "body" as const, path: "labels", message: `a pipeline has at most ${mostLabels}` }] : [])
]

const declaredAs = (
  before: { readonly definition: PipelineDefinition; readonly version: number } | undefined, definition: PipelineDefinition, dry_run: boolean
): PipelineDeclared => {
  const differences = pipelineDifferences(before?.definition, definition)
  return { result: before === undefined ? "declared" : differences.length > 0 ? "changed" : "same", dry_run, version: before?.version ?? 0, differences }
}

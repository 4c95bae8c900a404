/** Pipelines as the log has them, and the handler of their commands. */
import { Effect } from "effect"
import { fold } from "../domain/decider.ts"
import type { PipelineName, TenantId } from "../domain/ids.ts"
import type { PipelineCommand } from "../domain/pipeline-commands.ts"
import { type Pipeline, PipelineDecider } from "../domain/pipeline.ts"
import type { PipelineEvent } from "../domain/pipeline-events.ts"
import { EventLog, LogUnavailable } from "../domain/ports/event-log.ts"
import { pipelineRef } from "../domain/recorded.ts"
import type { Intent } from "./execute.ts"

export interface KnownPipeline {
  readonly pipeline: Pipeline
  readonly revision: number
}

export const readPipeline = Effect.fnUntraced(function*(tenantId: TenantId, name: PipelineName) {
  const { recorded, revision } = yield* (yield* EventLog).read(pipelineRef(tenantId, name))
  return { pipeline: fold(PipelineDecider, recorded.flatMap(({ events }) => events)), revision } satisfies KnownPipeline
})

/** Answers with what has come of it; no events if all that it asks for was there already. */
export const executeOnPipeline = Effect.fnUntraced(
  function*({ actor, at, messageId, tenantId, trace }: Intent, name: PipelineName, command: PipelineCommand) {
    const known = yield* readPipeline(tenantId, name)
    const events = yield* Effect.fromResult(PipelineDecider.decide(command, known.pipeline))
    const [first, ...others] = events
    if (first === undefined) return { events, ...known } satisfies ExecutedOnPipeline
    const decision = { messageId, at, actor, ...(trace !== undefined && { trace }), events: [first, ...others] as const }
    yield* (yield* EventLog).append(pipelineRef(tenantId, name), known.revision, decision)
    return { events, pipeline: fold(PipelineDecider, events, known.pipeline), revision: known.revision + 1 } satisfies ExecutedOnPipeline
  },
  Effect.retry({ while: (error) => error._tag === "WrongRevision", times: 10 }),
  Effect.catchTag("WrongRevision", ({ id }) => new LogUnavailable({ message: `pipeline ${id} is changing too fast to be written` }))
)

export interface ExecutedOnPipeline extends KnownPipeline {
  readonly events: ReadonlyArray<PipelineEvent>
}

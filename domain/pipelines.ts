/** Every tenant's pipelines in memory, folded from the log. */
import { fold } from "./decider.ts"
import type { ComposeId, PipelineName, TenantId } from "./ids.ts"
import { type PipelineWords, wordOf } from "./pipeline-copies.ts"
import { type Pipeline, PipelineDecider } from "./pipeline.ts"
import type { Recorded } from "./recorded.ts"

export interface HeardPipeline {
  readonly tenantId: TenantId
  readonly name: PipelineName
  readonly revision: number
  readonly pipeline: Pipeline
}

/** Mutable; one fiber owns it. */
export class Pipelines {
  readonly #pipelines = new Map<string, HeardPipeline>()
  /** Whose end somebody waits for; a failed one may be tried again. */
  readonly #composes = new Map<ComposeId, string>()

  get size(): number {
    return this.#pipelines.size
  }

  keys(): Iterable<string> {
    return this.#pipelines.keys()
  }

  values(): Iterable<HeardPipeline> {
    return this.#pipelines.values()
  }

  get(key: string): HeardPipeline | undefined {
    return this.#pipelines.get(key)
  }

  /** Which it is about; what is known already changes nothing. */
  record({ events, id, revision, tenantId }: Recorded<"pipeline">): string {
    const name = id as PipelineName
    const known = this.#pipelines.get(keyOf(tenantId, name))
    if (revision === (known?.revision ?? 0) + 1) this.set({ tenantId, name, revision, pipeline: fold(PipelineDecider, events, known?.pipeline) })
    return keyOf(tenantId, name)
  }

  /** Also for what was read, or a snapshot has. */
  set(heard: HeardPipeline): void {
    const key = keyOf(heard.tenantId, heard.name)
    const known = this.#pipelines.get(key)
    if (known !== undefined && known.revision > heard.revision) return
    for (const composeId of awaited(known?.pipeline)) this.#composes.delete(composeId)
    for (const composeId of awaited(heard.pipeline)) this.#composes.set(composeId, key)
    this.#pipelines.set(key, heard)
  }

  awaiting(composeId: ComposeId): string | undefined {
    return this.#composes.get(composeId)
  }

  /** Those of a tenant that its quota keeps waiting. */
  delayed(tenantId: TenantId): ReadonlyArray<string> {
    return [...this.#pipelines].flatMap(([key, heard]) => heard.tenantId === tenantId && heard.pipeline.delayed !== undefined ? [key] : [])
  }

  readonly words: PipelineWords = (tenantId, name, composeId) => {
    const known = this.#pipelines.get(keyOf(tenantId, name as PipelineName))
    return known && wordOf(known.pipeline, composeId)
  }
}

export const keyOf = (tenantId: TenantId, name: PipelineName): string => `${tenantId}/${name}`

const awaited = (pipeline: Pipeline | undefined): ReadonlyArray<ComposeId> =>
  pipeline === undefined ? [] : [
    ...(pipeline.checking === undefined ? [] : [pipeline.checking.composeId]),
    ...pipeline.builds.flatMap(({ composeId, number, outcome }) => number === pipeline.building || outcome === "failed" ? [composeId] : [])
  ]

/** From osbuild's monitor stream (JSONSeqMonitor) to what a build says: records as in RFC 7464. Pure. */

/** Of this builder's fields, those that are read; none of them is sure to be there. */
interface Entry {
  readonly message?: unknown
  readonly context?: Context
  readonly progress?: Steps
}

interface Context {
  readonly id?: unknown
  readonly origin?: unknown
  readonly pipeline?: { readonly name?: unknown; readonly stage?: { readonly name?: unknown } }
}

interface Steps {
  readonly total?: unknown
  readonly done?: unknown
  readonly progress?: Steps
}

export interface Said {
  readonly stage?: string
  /** Of all sources and pipelines. */
  readonly percent?: number
  readonly lines: ReadonlyArray<string>
}

const longestRecord = 1 << 20

/** Takes what comes over the channel and answers with what can be said of it. A record that is none is left out. */
export const osbuildMonitor = () => {
  const contexts = new Map<string, Context>()
  let rest = ""
  const contextOf = (context: Context | undefined): Context | undefined => {
    if (context === undefined || typeof context.id !== "string") return context
    // It is told in full once, and by its id from then on.
    if (context.origin !== undefined || context.pipeline !== undefined) contexts.set(context.id, context)
    return contexts.get(context.id) ?? context
  }
  const saidOf = (entry: Entry): Said => {
    const { pipeline } = contextOf(entry.context) ?? {}
    const percent = percentOf(entry.progress)
    return {
      ...(typeof pipeline?.name === "string" && { stage: stageOf(pipeline.name) }),
      ...(percent !== undefined && { percent }),
      lines: typeof entry.message === "string" ? entry.message.split("\n").filter((line) => line !== "") : []
    }
  }
  return (chunk: string): ReadonlyArray<Said> => {
    const records = (rest + chunk).split("\u001e")
    rest = records.pop() ?? ""
    // The last record is whole once its end of line is there.
    if (rest.endsWith("\n")) {
      records.push(rest)
      rest = ""
    }
    if (rest.length > longestRecord) rest = ""
    return records.flatMap((record) => {
      const entry = parsed(record)
      return entry === undefined ? [] : [saidOf(entry)]
    })
  }
}

const parsed = (record: string): Entry | undefined => {
  try {
    const value: unknown = JSON.parse(record)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

const stageOf = (pipeline: string) => pipeline.startsWith("source ") || pipeline.startsWith("sources") ? "sources" : pipeline

const fractionOf = (steps: Steps | undefined): number => {
  const { done, progress, total } = steps ?? {}
  if (typeof done !== "number" || typeof total !== "number" || !(total > 0)) return 0
  return Math.min(1, Math.max(0, (done + (progress === undefined ? 0 : fractionOf(progress))) / total))
}

const percentOf = (steps: Steps | undefined): number | undefined => steps === undefined ? undefined : 100 * fractionOf(steps)

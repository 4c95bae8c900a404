/** The cache of this machine's workers: what is in it, and less of it. */
import { join } from "node:path"
import { Effect, Option, Schema } from "effect"
import { ByteSize } from "../../../domain/policy-document.ts"
import { type CacheUse, WorkerCache, type WorkerCacheUnavailable } from "../../../domain/ports/worker-cache.ts"
import { Adapters } from "../adapters.ts"
import { commandFailed } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { fromHere, homeFolder } from "../endpoint.ts"
import { moment } from "../moments.ts"
import { answer, type OutputShape } from "../output.ts"
import { table } from "../table.ts"
import { bytes } from "../units.ts"

interface Where {
  readonly cache: Option.Option<string>
}

const folderOf = ({ cache }: Where) => Option.isSome(cache) ? fromHere(cache.value) : process.env["KILN_CACHE"] ?? join(homeFolder(), "cache")

const cacheAt = (where: Where) =>
  Effect.flatMap(Adapters, ({ workerCache }) => Effect.provide(Effect.map(WorkerCache, (cache) => cache), workerCache(folderOf(where))))

const notThere = ({ message }: WorkerCacheUnavailable) => commandFailed("notFound", message)

const viewOf = ({ inUse, lastUse, oldestUse, ...rest }: CacheUse) => ({
  ...rest, in_use_bytes: inUse,
  ...(oldestUse !== undefined && { oldest_use: new Date(oldestUse).toISOString() }), ...(lastUse !== undefined && { last_use: new Date(lastUse).toISOString() })
})
type View = ReturnType<typeof viewOf>

const tableOf = (output: OutputShape, views: ReadonlyArray<View>) => table<View>(output, [
  { title: "KIND", of: ({ kind }) => kind },
  { title: "ENTRIES", of: ({ entries }) => String(entries), right: true },
  { title: "SIZE", of: (view) => bytes(view.bytes), right: true },
  { title: "IN USE", of: ({ in_use_bytes }) => bytes(in_use_bytes), right: true },
  { title: "OLDEST USE", of: ({ oldest_use }) => oldest_use === undefined ? "" : moment(oldest_use, output.utc) },
  { title: "LAST USE", of: ({ last_use }) => last_use === undefined ? "" : moment(last_use, output.utc) }
], views)

export const showCache = Effect.fn("showCache")(function*(where: Where) {
  const { use } = yield* cacheAt(where)
  const views = (yield* Effect.mapError(use, notThere)).map(viewOf)
  yield* answer({ cache: folderOf(where), kinds: views }, (output) => views.length === 0 ? [`${folderOf(where)} is empty`] : tableOf(output, views))
})

export interface PruneInput extends Where {
  readonly keep: string
  readonly kind: Option.Option<string>
  readonly yes: boolean
}

export const pruneCache = Effect.fn("pruneCache")(function*({ keep, kind, yes, ...where }: PruneInput) {
  const least = yield* Schema.decodeUnknownEffect(ByteSize)(/^\d+$/.test(keep) ? Number(keep) : keep).pipe(
    Effect.mapError(() => commandFailed("invalid", `--keep ${keep} is no size: say "2 GiB", or a number of bytes`))
  )
  const { kinds, prune } = yield* cacheAt(where)
  if (Option.isSome(kind) && !kinds.includes(kind.value)) return yield* commandFailed("invalid", `--kind ${kind.value} is none of ${kinds.join(", ")}`)
  const run = (really: boolean) => Effect.mapError(prune(least, Option.isSome(kind) ? [kind.value] : kinds, really), notThere)
  const found = yes ? [] : yield* run(false)
  if (found.length > 0) yield* confirmed(`removes ${bytes(sumOf(found))} (${found.map((each) => `${each.kind}: ${each.entries}`).join(", ")}) from ${folderOf(where)}`, yes)
  const gone = yes || found.length > 0 ? yield* run(true) : []
  const views = gone.map(viewOf)
  yield* answer({ cache: folderOf(where), pruned: true, bytes: sumOf(gone), kinds: views }, (output) =>
    views.length === 0 ? ["There is nothing to remove"] : [...tableOf(output, views), `${bytes(sumOf(gone))} removed`])
})

const sumOf = (uses: ReadonlyArray<CacheUse>) => uses.reduce((total, use) => total + use.bytes, 0)

import { Effect, Layer } from "effect"
import { type GenerationState, ProjectionStates } from "../../projections/projection-states.ts"
import { type Generation, StoreUnavailable } from "../../projections/projection-store.ts"
import { isMissing } from "./reading.ts"
import { Sql } from "./sql.ts"

interface Found {
  readonly name: string
  readonly version: number
  readonly built_at: number
  readonly positions: Readonly<Record<string, number>>
  readonly parked: number
  readonly rows: number
  readonly bytes: number
}

export const ProjectionStatesPostgres = Layer.effect(ProjectionStates, Effect.gen(function*() {
  const { run } = yield* Sql
  return ProjectionStates.of({
    all: run((sql) => sql<Array<Found>>`
      select p.name, p.version, (extract(epoch from p.built_at) * 1000)::bigint as built_at,
        coalesce((select json_object_agg(stream, position) from kiln.checkpoints c where c.projection = p.name), '{}') as positions,
        (select count(*)::int from kiln.parked_aggregates a where a.projection = p.name) as parked,
        greatest(t.reltuples, 0)::bigint as rows, coalesce(pg_total_relation_size(t.oid), 0)::bigint as bytes
      from kiln.projections p left join pg_class t on t.oid = to_regclass('kiln.' || quote_ident(p.name))
      order by p.name`).pipe(
      Effect.map((rows) => rows.map(stateOf)),
      // A database that nobody has used yet.
      Effect.catch((error) => isMissing(error.code)
        ? Effect.succeed([])
        : Effect.fail(new StoreUnavailable({ message: `Postgres: ${error.message}` })))
    )
  })
}))

const stateOf = ({ built_at, bytes, name, parked, positions, rows, version }: Found): GenerationState => {
  const [projection = name, generation = "live"] = name.split("__")
  return {
    projection, generation: generation as Generation, version, builtAt: built_at,
    positions: new Map(Object.entries(positions)), parked, rows: rows, bytes
  }
}

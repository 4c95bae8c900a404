/**
 * Jobs that wait as a snapshot has them, until somebody asks for one of their tenant's: a million of them are taken up in the
 * time that it takes to read them, and most are not looked at for long.
 */
import type { TenantId } from "../ids.ts"
import type { OpenJob } from "./open-jobs.ts"

/** Some jobs of a snapshot. */
export interface JobPage {
  readonly size: number
  /** Made anew each time. */
  job(place: number): OpenJob
}

/** Of one tenant, in the order of the snapshot; an array a column, since there are so many. */
interface Rest<Line> {
  readonly pages: Array<JobPage>
  readonly places: Array<number>
  readonly lines: Array<Line>
}

/** `Line`: where in the fair queue each of them is counted. */
export class Resting<Line> {
  readonly #tenants = new Map<TenantId, Rest<Line>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Answers how many of its tenant rest now. */
  add(tenantId: TenantId, page: JobPage, place: number, line: Line): number {
    let rest = this.#tenants.get(tenantId)
    if (rest === undefined) {
      rest = { pages: [], places: [], lines: [] }
      this.#tenants.set(tenantId, rest)
    }
    rest.pages.push(page)
    rest.places.push(place)
    this.#size += 1
    return rest.lines.push(line)
  }

  /** They rest no more, all of the tenant's. */
  take(tenantId: TenantId): ReadonlyArray<readonly [job: OpenJob, line: Line]> {
    const rest = this.#tenants.get(tenantId)
    if (rest === undefined) return []
    this.#tenants.delete(tenantId)
    this.#size -= rest.lines.length
    return rest.lines.map((line, at) => [rest.pages[at]!.job(rest.places[at]!), line])
  }

  /** Copies of them, which may rest no more by the time that they are looked at. */
  *values(): Generator<OpenJob, void> {
    for (const { pages, places } of this.#tenants.values()) {
      for (const [at, page] of pages.entries()) yield page.job(places[at]!)
    }
  }
}

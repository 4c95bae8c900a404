/**
 * What is being delivered to whose account, and which lines of jobs wait for it. An operator's set of credentials is one
 * account for all tenants; to a tenant's own nobody else's deliveries count.
 */
import type { TenantId } from "../ids.ts"
import { partsOfLimit, type TargetLimit, type TargetLimits } from "../target-limits.ts"
import type { OpenJob } from "./open-jobs.ts"

export interface Account<Line> {
  readonly key: string
  readonly limit: TargetLimit
  /** Deliveries assigned and running. */
  taken: number
  /** When the next one may begin, in milliseconds since 1970. */
  nextAt: number
  /** Lines that have found it at its limit. */
  readonly held: Set<Line>
}

/** Methods that free something answer with the lines that may go on. */
export class TargetAccounts<Line> {
  readonly #limits: TargetLimits
  readonly #isOperators: (set: string, tenantId: TenantId) => boolean
  /** Those with anything in them. */
  readonly #accounts = new Map<string, Account<Line>>()
  /** Of these, those that may be full for the time alone. */
  readonly #paced = new Set<Account<Line>>()
  readonly #taking = new Map<OpenJob, Account<Line>>()

  /** `isOperators`: whether a set of that name is an operator's, as far as this tenant goes. */
  constructor(limits: TargetLimits, isOperators: (set: string, tenantId: TenantId) => boolean = () => false) {
    this.#limits = limits
    this.#isOperators = isOperators
  }

  /** `undefined`: nothing limits it. */
  of(tenantId: TenantId, target: string | undefined): Account<Line> | undefined {
    if (target === undefined) return undefined
    const { set, type } = partsOfLimit(target)
    const limit = this.#limits[type]
    if (limit === undefined) return undefined
    const key = set !== "" && this.#isOperators(set, tenantId) ? target : `${tenantId} ${target}`
    return this.#accounts.get(key) ?? { key, limit, taken: 0, nextAt: 0, held: new Set() }
  }

  hold(account: Account<Line>, line: Line): void {
    account.held.add(line)
    this.#accounts.set(account.key, account)
  }

  /** A delivery is given out. */
  begin(account: Account<Line>, now: number): void {
    const { perMinute } = account.limit
    if (perMinute === undefined) return
    account.nextAt = Math.max(now, account.nextAt) + 60_000 / perMinute
    this.#accounts.set(account.key, account)
    this.#paced.add(account)
  }

  occupied(job: OpenJob): void {
    const account = this.of(job.tenantId, job.need.target)
    if (account === undefined) return
    account.taken += 1
    this.#accounts.set(account.key, account)
    this.#taking.set(job, account)
  }

  vacated(job: OpenJob, now: number): ReadonlyArray<Line> {
    const account = this.#taking.get(job)
    if (account === undefined) return []
    this.#taking.delete(job)
    account.taken -= 1
    return this.#release(account, now)
  }

  /** Whose the sets are is known better now. */
  recount(now: number): ReadonlyArray<Line> {
    const jobs = [...this.#taking.keys()]
    const lines = jobs.flatMap((job) => this.vacated(job, now))
    for (const job of jobs) this.occupied(job)
    return lines
  }

  /** Time has passed. */
  ripened(now: number): ReadonlyArray<Line> {
    if (this.#paced.size === 0) return []
    return [...this.#paced].filter(({ nextAt }) => nextAt <= now).flatMap((account) => {
      this.#paced.delete(account)
      return this.#release(account, now)
    })
  }

  #release(account: Account<Line>, now: number): ReadonlyArray<Line> {
    if (isFull(account, now)) return []
    const lines = [...account.held]
    account.held.clear()
    if (account.taken === 0 && this.#accounts.get(account.key) === account) this.#accounts.delete(account.key)
    return lines
  }
}

export const isFull = ({ limit: { atOnce = Infinity }, nextAt, taken }: Pick<Account<unknown>, "limit" | "nextAt" | "taken">, now: number): boolean =>
  taken >= atOnce || nextAt > now

/** When what has not arrived is tried again. Pure. */

export interface RetryPolicy {
  readonly firstMs: number
  readonly longestMs: number
  /** After that it is parked. */
  readonly forMs: number
  /** A webhook to which nothing has arrived for so long is disabled. */
  readonly disableAfterMs: number
}

const minute = 60_000
const day = 24 * 60 * minute

/** Some 25 attempts. */
export const usualRetries: RetryPolicy = { firstMs: 5000, longestMs: 240 * minute, forMs: 3 * day, disableAfterMs: 5 * day }

/** `attempt`: the one that failed, from 1 on; `jitter` lies in [0, 1). Who asks for time gets it, within limits. */
export const pauseAfter = ({ firstMs, longestMs }: RetryPolicy, attempt: number, jitter: number, askedMs = 0): number => {
  const pause = Math.min(firstMs * 3 ** Math.min(attempt - 1, 20), longestMs)
  return Math.round(Math.max(pause * (0.75 + jitter / 2), Math.min(askedMs, longestMs)))
}

/** Counts and times of requests, by route: few label values, whatever clients send. */
import { type Context, Metric } from "effect"

export interface Observation {
  readonly route: string
  readonly method: string
  readonly status: number
  readonly millis: number
}

const counters = new Map<string, Metric.Counter<number>>()
const timers = new Map<string, Metric.Histogram<number>>()
const boundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, Number.POSITIVE_INFINITY]
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

export const observe = (context: Context.Context<never>, { route, method, status, millis }: Observation): void => {
  counter(route, methods.has(method) ? method : "other", status).updateUnsafe(1, context)
  timer(route).updateUnsafe(millis / 1000, context)
}

const counter = (route: string, method: string, status: number): Metric.Counter<number> => {
  const key = `${method} ${route} ${status}`
  const known = counters.get(key)
  if (known !== undefined) return known
  const made = Metric.counter("kiln_http_requests_total", {
    description: "Requests answered", incremental: true, attributes: { route, method, status: String(status) }
  })
  counters.set(key, made)
  return made
}

const timer = (route: string): Metric.Histogram<number> => {
  const known = timers.get(route)
  if (known !== undefined) return known
  const made = Metric.histogram("kiln_http_request_seconds", {
    description: "Seconds from request to the head of its answer", boundaries, attributes: { route }
  })
  timers.set(route, made)
  return made
}

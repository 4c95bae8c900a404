import { Metric } from "effect"

export const instances = Metric.gauge("kiln_scaler_instances", { description: "Machines or processes of a pool, by state" })
export const wanted = Metric.gauge("kiln_scaler_wanted_workers", { description: "Workers that the pool should have, within its least and its most" })
export const steps = Metric.counter("kiln_scaler_steps_total", { description: "Steps taken, by what they did", incremental: true })
export const failures = Metric.counter("kiln_scaler_failures_total", { description: "Looks that failed, by pool", incremental: true })

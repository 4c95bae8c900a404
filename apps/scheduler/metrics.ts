import { Metric } from "effect"

export const openJobs = Metric.gauge("kiln_open_jobs", { description: "Jobs that need work: waiting for a slot, on a queue or running" })
export const workers = Metric.gauge("kiln_workers", { description: "Workers heard of lately" })
export const dispatched = Metric.counter("kiln_jobs_dispatched_total", { description: "Jobs put on a queue", incremental: true })
export const reported = Metric.counter("kiln_reports_total", { description: "Reports of workers taken in", incremental: true })
export const copies = Metric.gauge("kiln_composes_with_copies", { description: "Composes of which copies lie somewhere" })
export const expiredCopies = Metric.counter("kiln_copies_expired_total", { description: "Copies that retention had removed", incremental: true })
export const reapedResources = Metric.counter("kiln_reaped_resources_total", { description: "Things in clouds that deliveries had left behind and that were removed", incremental: true })
export const leftoverResources = Metric.gauge("kiln_leftover_resources", { description: "Things in clouds with this deployment's marks and no owner, as the last sweep left them" })
export const lostJobs = Metric.counter("kiln_jobs_lost_total", { description: "Attempts whose worker vanished", incremental: true })
export const unreadable = Metric.counter("kiln_unreadable_entries_total", { description: "Log entries passed over", incremental: true })
export const overdueJobs = Metric.counter("kiln_jobs_overdue_total", { description: "Attempts ended because their deadline was over", incremental: true })

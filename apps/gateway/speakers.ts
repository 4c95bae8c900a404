import type { ComposeEvent } from "../../domain/compose-events.ts"
import type { AttemptToken, JobId } from "../../domain/ids.ts"

interface Attempt {
  readonly jobId: JobId
  readonly attempt: number
}

/** Who may speak for an attempt: whoever the log says has begun it. A worker that was given up on is heard no more. */
export class Speakers {
  private readonly tokens = new Map<string, Set<AttemptToken>>()

  constructor(events: Iterable<ComposeEvent> = []) {
    for (const event of events) this.hear(event)
  }

  hear(event: ComposeEvent): void {
    if (event._tag === "JobStarted") {
      const name = nameOf(event)
      this.tokens.set(name, (this.tokens.get(name) ?? new Set()).add(event.token))
    }
  }

  has(item: Attempt & { readonly token: AttemptToken }): boolean {
    return this.tokens.get(nameOf(item))?.has(item.token) ?? false
  }
}

const nameOf = ({ jobId, attempt }: Attempt) => `${jobId}/${attempt}`

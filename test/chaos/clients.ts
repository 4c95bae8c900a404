/** Tenants who do not give up: what fails is asked again, under the same key, until it is answered. */
import { type Ask, asksOf } from "./plan.ts"

/** What a tenant was told about one ask. */
export interface Promised {
  readonly ask: Ask
  /** Milliseconds since 1970 when it was first asked for. */
  readonly askedAt: number
  /** Every id that the key was answered with. */
  readonly ids: ReadonlyArray<string>
  /** `too late`: the compose had ended before. */
  readonly cancel: "none" | "done" | "too late"
}

export interface Clients {
  readonly promised: ReadonlyArray<Promised>
  /** Answers that no outage explains. */
  readonly refused: ReadonlyArray<string>
  /** Requests that were answered at last, with how long that took in milliseconds, had their first try failed. */
  readonly outages: { readonly asking: number; readonly listing: number }
  readonly tries: { readonly answered: number; readonly failed: number; readonly unexpected: number }
  /** No new asks; answers when all that were begun are done. */
  readonly stop: () => Promise<void>
}

interface Target {
  readonly url: string
  readonly token: (tenant: string) => Promise<string>
  /** Whether so much is open that tenants wait for ends before they ask for more. */
  readonly isCrowded: () => boolean
}

/** Even then each asks for one in so many milliseconds: there is always something to kill. */
const leastFlowMs = 5000

interface Answer {
  readonly status: number
  readonly body: unknown
}

export const startClients = async (target: Target, seed: number, tenants: ReadonlyArray<string>): Promise<Clients> => {
  const promised: Array<Promised> = []
  const refused: Array<string> = []
  const outages = { asking: 0, listing: 0 }
  const tries = { answered: 0, failed: 0, unexpected: 0 }
  const stopping = new AbortController()

  const once = async (token: string, method: string, path: string, body?: unknown, key?: string): Promise<Answer | undefined> => {
    try {
      const response = await fetch(`${target.url}/api/kiln/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...(key !== undefined && { "idempotency-key": key }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(10_000)
      })
      const answer = { status: response.status, body: await response.json() }
      if (response.status < 500) return answer
      // 503 says "try again"; other ones say that nobody thought of it.
      if (response.status !== 503) {
        tries.unexpected += 1
        refused.push(`${method} ${path.replace(/[0-9a-f-]{36}/, "…")} answered ${response.status}: ${JSON.stringify(answer.body)}`)
      }
    } catch {
      // Not answered at all.
    }
    return undefined
  }

  const insist = async (outage: keyof typeof outages, ...request: Parameters<typeof once>): Promise<Answer> => {
    const since = performance.now()
    for (let failures = 0; ; failures++) {
      const answer = await once(...request)
      if (answer !== undefined) {
        tries.answered += 1
        if (failures > 0) outages[outage] = Math.max(outages[outage], performance.now() - since)
        return answer
      }
      tries.failed += 1
      await sleep(150)
    }
  }

  const post = async (token: string, { body, key }: Ask): Promise<ReadonlyArray<string>> => {
    const { body: answer, status } = await insist("asking", token, "POST", "/composes", body, key)
    if (status === 202) return [(answer as { id: string }).id]
    refused.push(`POST of ${key} answered ${status}: ${JSON.stringify(answer)}`)
    return []
  }

  const cancel = async (token: string, id: string): Promise<Promised["cancel"]> => {
    const { body, status } = await insist("asking", token, "POST", `/composes/${id}/cancel`)
    if (status === 202 || status === 409) return status === 202 ? "done" : "too late"
    refused.push(`cancel of ${id} answered ${status}: ${JSON.stringify(body).slice(0, 200)}`)
    return "none"
  }

  const carryOut = async (token: string, ask: Ask): Promise<void> => {
    const askedAt = Date.now()
    const ids = (await Promise.all(Array.from({ length: ask.atOnce }, () => post(token, ask)))).flat()
    for (let again = 0; again < ask.again; again++) ids.push(...await post(token, ask))
    const [id] = ids
    if (ask.cancelAfter !== undefined) await sleep(ask.cancelAfter)
    promised.push({ ask, askedAt, ids, cancel: ask.cancelAfter === undefined || id === undefined ? "none" : await cancel(token, id) })
  }

  const room = async () => {
    const since = performance.now()
    while (target.isCrowded() && performance.now() - since < leastFlowMs && !stopping.signal.aborted) await sleep(100)
  }

  /** Asks go side by side, as those of many people would; few enough not to pile up while nobody answers. */
  const tenantAtWork = async (tenant: string) => {
    const token = await target.token(tenant)
    const open = new Set<Promise<void>>()
    for (const ask of asksOf(seed, tenant)) {
      if (stopping.signal.aborted) break
      const carried: Promise<void> = carryOut(token, ask).finally(() => open.delete(carried))
      open.add(carried)
      if (open.size >= 8) await Promise.race(open)
      await sleep(ask.pause)
      await room()
    }
    await Promise.all(open)
  }

  const reader = async (tenant: string) => {
    const token = await target.token(tenant)
    while (!stopping.signal.aborted) {
      await insist("listing", token, "GET", "/composes?limit=5")
      await sleep(200)
    }
  }

  const working = Promise.all([...tenants.map(tenantAtWork), reader(tenants[0]!)])
  return {
    promised, refused, outages, tries,
    stop: async () => {
      stopping.abort()
      await working
    }
  }
}

export const sleep = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

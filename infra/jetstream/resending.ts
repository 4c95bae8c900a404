/**
 * Requests that outlive the server they were sent to. The client drops what it holds back when it connects again, and a
 * cluster answers nothing while it elects a leader: without this, whoever asked in that moment waits for the time-out.
 */
import { errors, type Msg, type MsgHdrs, type NatsConnection, RequestError, type RequestOptions } from "@nats-io/transport-node"

/** So long without an answer, and the one asked is taken for dead. */
const patienceMs = 2000
const pauseMs = 100

/** The same connection; its requests keep to their time-outs, and are sent again within them. */
export const resending = (nc: NatsConnection): NatsConnection => {
  const send = nc.request.bind(nc)
  const reconnected = reconnections(nc)

  const once = (subject: string, payload: Payload, options: RequestOptions): Promise<Msg | "broken"> => reconnected.before(send(subject, payload, options))

  nc.request = async (subject, payload, options = { timeout: 1000 }) => {
    if (options.noMux === true) return send(subject, payload, options)
    const until = performance.now() + options.timeout
    const repeatable = isRepeatable(subject, options.headers)
    for (;;) {
      const left = Math.max(1, until - performance.now())
      const timeout = Math.ceil(repeatable ? Math.min(patienceMs, left) : left)
      try {
        const answer = await once(subject, payload, { ...options, timeout })
        if (answer !== "broken" && !(repeatable && isPassing(answer) && performance.now() + pauseMs < until)) return answer
        if (answer !== "broken") await pause()
        else if (!repeatable) throw new RequestError("the connection broke before there was an answer")
      } catch (error) {
        const nobody = error instanceof RequestError && error.isNoResponders() && (repeatable || subject.startsWith("$"))
        const silent = error instanceof errors.TimeoutError && repeatable
        if (!nobody && !silent || performance.now() + pauseMs >= until) throw error
        if (nobody) await pause()
      }
    }
  }
  return nc
}

const pause = () => new Promise((resolve) => setTimeout(resolve, pauseMs))

/** No leader yet, or the first of two that we sent is still being stored; answers that say so are short. */
const isPassing = ({ data, headers }: Msg): boolean =>
  headers === undefined && data.length > 40 && data.length < 600 && /"err_code":(10008|10158)\b/.test(new TextDecoder().decode(data))

type Payload = Parameters<NatsConnection["request"]>[1]

/** Known to the server by an id, told what must be there before, or asked for what is the same however often it is done. */
const isRepeatable = (subject: string, headers: MsgHdrs | undefined): boolean =>
  subject.startsWith("$JS.API.") ||
  headers !== undefined && !headers.has("Nats-Batch-Id") &&
    (headers.has("Nats-Msg-Id") || headers.has("Nats-Expected-Last-Subject-Sequence"))

/** For reads that are more than one request: begun anew when the connection has come back, or when nothing came in time. */
export const rereading = (nc: NatsConnection) => {
  const reconnected = reconnections(nc)
  return async <A>(read: () => Promise<A>, times = 3): Promise<A> => {
    for (let left = times; ; left--) {
      const reading = read().then((found) => ({ found }))
      try {
        const answer = await reconnected.before(reading)
        if (answer !== "broken") return answer.found
      } catch (error) {
        if (left <= 1 || !(error instanceof errors.TimeoutError)) throw error
      }
    }
  }
}

/**
 * `next` answers when the connection has come back once more; `before` with what it is given, unless that happens first. Whoever
 * waits is forgotten with its answer: a race against one lasting promise would keep every answer there ever was.
 */
export const reconnections = (nc: Pick<NatsConnection, "status">) => {
  const waiting = new Set<() => void>()
  void (async () => {
    for await (const { type } of nc.status()) {
      if (type !== "reconnect") continue
      const told = [...waiting]
      waiting.clear()
      told.forEach((tell) => tell())
    }
  })()
  return {
    next: () => new Promise<void>((resolve) => void waiting.add(resolve)),
    before: <A>(answer: Promise<A>): Promise<A | "broken"> =>
      new Promise((resolve, reject) => {
        const broken = () => resolve("broken")
        waiting.add(broken)
        const forget = () => void waiting.delete(broken)
        answer.then(forget, forget)
        answer.then(resolve, reject)
      }),
    get waiting() {
      return waiting.size
    }
  }
}

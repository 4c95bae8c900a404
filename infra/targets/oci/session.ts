/** Requests of one registry in somebody's name. What opens the registry goes to no other origin, but to the realm that the registry names. */
import { Effect, Schedule } from "effect"
import type { CredentialsOf } from "../../../domain/credentials.ts"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { challengeOf } from "./challenge.ts"
import { refused } from "./failures.ts"
import type { Answer, Asked, Send } from "./request.ts"

export interface Registry {
  readonly host: string
  readonly repository: string
  readonly credentials: CredentialsOf<"oci"> | undefined
}

export interface Session {
  readonly origin: URL
  readonly host: string
  readonly repository: string
  /** Below `/v2/<repository>/`. */
  at(path: string): URL
  /** What an answer's `Location` means; refused where TLS would be left. */
  location(answer: Answer, from: URL): Effect.Effect<URL, BuildFailed>
  /** Answers that ask for another try are tried again, a while later; all others are the caller's. */
  send(asked: Asked): Effect.Effect<Answer, BuildFailed>
  /** As `send`, once. */
  sendOnce(asked: Asked): Effect.Effect<Answer, BuildFailed>
}

const failed = (failure: BuildFailed["class"], message: string) => new BuildFailed({ class: failure, message })

export const session = (send: Send, { credentials, host, repository }: Registry): Session => {
  const scheme = credentials?.plain_http === true ? "http:" : "https:"
  const origin = new URL(`${scheme}//${host}`)
  /** All that was ever asked for: one token for each call alone would be one too many for most. */
  const actions = new Set(["pull", "push"])
  let authorization = credentials?.token === undefined ? undefined : `Bearer ${credentials.token}`

  const authorized = (asked: Asked): Asked =>
    asked.url.origin === origin.origin && authorization !== undefined
      ? { ...asked, headers: { ...asked.headers, authorization } } : asked

  /** A token lives for minutes, an upload for hours. */
  const sendOnce = Effect.fnUntraced(function*(asked: Asked) {
    const answer = yield* send(authorized(asked))
    if (answer.status !== 401 || asked.url.origin !== origin.origin || credentials?.token !== undefined) return answer
    const before = authorization
    authorization = yield* authorizationFor(answer)
    return authorization === undefined || authorization === before ? answer : yield* send(authorized(asked))
  })

  const authorizationFor = Effect.fnUntraced(function*(answer: Answer) {
    const challenge = challengeOf(answer.headers["www-authenticate"])
    const { password, username } = credentials ?? {}
    const basic = username === undefined || password === undefined ? undefined : `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`
    if (challenge?.scheme !== "bearer") return challenge === undefined ? undefined : basic
    const realm = yield* tokenRealm(challenge.realm)
    if (challenge.service !== undefined) realm.searchParams.set("service", challenge.service)
    const own = `repository:${repository}:`
    for (const scope of challenge.scope?.split(" ") ?? []) if (scope.startsWith(own)) for (const action of scope.slice(own.length).split(",")) actions.add(action)
    realm.searchParams.set("scope", `${own}${[...actions].join(",")}`)
    const given = yield* send({ method: "GET", url: realm, ...(basic !== undefined && { headers: { authorization: basic } }) })
    if (given.status !== 200) return yield* refused("a token", realm.host, given)
    const token = tokenIn(given)
    if (token === undefined) return yield* failed("target-fault", `${realm.host} answered without a token`)
    return `Bearer ${token}`
  })

  const overTls = (url: URL) =>
    url.protocol === "https:" || (scheme === "http:" && url.protocol === "http:")
      ? Effect.succeed(url) : failed("user", `${host} leads to ${url.protocol}//${url.host}, which is not by https`)

  const tokenRealm = (realm: string) => {
    const url = URL.parse(realm)
    return url === null ? failed("user", `${host} names no address where tokens are given out`) : overTls(url)
  }

  return {
    origin, host, repository, sendOnce,
    at: (path) => new URL(`/v2/${repository}/${path}`, origin),
    location: ({ headers: { location } }, from) => {
      const url = location === undefined ? null : URL.parse(location, from.href)
      return url === null ? failed("target-fault", `${host} names no address to send to`) : overTls(url)
    },
    send: (asked) => patiently(sendOnce(asked), host)
  }
}

const tokenIn = ({ body }: Answer): string | undefined => {
  try {
    const { access_token, token } = JSON.parse(body.toString()) as { readonly token?: unknown; readonly access_token?: unknown }
    const found = token ?? access_token
    return typeof found === "string" && /^[\x21-\x7e]+$/.test(found) ? found : undefined
  } catch {
    return undefined
  }
}

const busy = new Set([408, 429, 500, 502, 503, 504])
const longestWaitMs = 30_000

/** What a busy registry asks for is waited, if that is not too long. */
const patiently = (once: Effect.Effect<Answer, BuildFailed>, host: string): Effect.Effect<Answer, BuildFailed> =>
  once.pipe(
    Effect.flatMap((answer) => {
      if (!busy.has(answer.status)) return Effect.succeed(answer)
      const seconds = Number(answer.headers["retry-after"] ?? 0)
      const wait = Number.isFinite(seconds) ? Math.min(seconds * 1000, longestWaitMs) : 0
      return Effect.andThen(Effect.sleep(wait), Effect.fail(refused("a request", host, answer)))
    }),
    Effect.retry({ while: (error) => error.class !== "user", times: 3, schedule: Schedule.jittered(Schedule.exponential("300 millis")) })
  )

/** EC2 in whichever region is asked. */
import type { EC2, EC2ClientConfig } from "@aws-sdk/client-ec2"
import { Effect, type Scope } from "effect"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { type Said, saidBy, targetFailed } from "../failures.ts"

/** What EC2 said no to, and how. */
export class Ec2Failed {
  readonly _tag = "Ec2Failed"
  readonly what: string
  readonly error: unknown
  readonly said: Said
  constructor(what: string, error: unknown) {
    this.what = what
    this.error = error
    this.said = saidBy(error)
  }
  get failure(): BuildFailed {
    return targetFailed(this.what, this.error)
  }
}

interface Abort {
  readonly abortSignal: AbortSignal
}

export interface Ec2 {
  /** Fails as the service does; `what` is the action's name. */
  try<A>(region: string, what: string, ask: (ec2: EC2, abort: Abort) => Promise<A>): Effect.Effect<A, Ec2Failed>
  ask<A>(region: string, what: string, ask: (ec2: EC2, abort: Abort) => Promise<A>): Effect.Effect<A, BuildFailed>
}

/** Throttled calls are tried again by the SDK, each after a longer time. */
export const openEc2 = (config: Omit<EC2ClientConfig, "region">): Effect.Effect<Ec2, never, Scope.Scope> =>
  Effect.gen(function*() {
    const aws = yield* Effect.promise(() => import("@aws-sdk/client-ec2"))
    const clients = new Map<string, EC2>()
    yield* Effect.addFinalizer(() => Effect.sync(() => clients.forEach((client) => client.destroy())))
    const clientOf = (region: string) => {
      const client = clients.get(region) ?? new aws.EC2({ maxAttempts: 5, ...config, region })
      clients.set(region, client)
      return client
    }
    const tried: Ec2["try"] = (region, what, ask) =>
      Effect.tryPromise({ try: (abortSignal) => ask(clientOf(region), { abortSignal }), catch: (error) => new Ec2Failed(`ec2:${what} in ${region}`, error) })
    return { try: tried, ask: (region, what, ask) => Effect.mapError(tried(region, what, ask), ({ failure }) => failure) }
  })

export const saysCode = (...codes: ReadonlyArray<string>) => ({ said }: Ec2Failed): boolean => said.code !== undefined && codes.includes(said.code)

/** All pages of a list. */
export const allOf = <Page extends { readonly NextToken?: string | undefined }, Item>(
  page: (NextToken: string | undefined) => Effect.Effect<Page, BuildFailed>,
  items: (page: Page) => ReadonlyArray<Item> | undefined
): Effect.Effect<ReadonlyArray<Item>, BuildFailed> =>
  Effect.gen(function*() {
    const found: Array<Item> = []
    let next: string | undefined
    do {
      const answer: Page = yield* page(next)
      found.push(...items(answer) ?? [])
      next = answer.NextToken === "" ? undefined : answer.NextToken
    } while (next !== undefined)
    return found
  })

/** A request whose images go elsewhere than it says. */
import { Effect } from "effect"
import { commandFailed } from "./command-failed.ts"

/** `targets`: each as JSON; none leaves the request as it is. What they have to be the service judges. */
export const withTargets = Effect.fn("withTargets")(function*(request: string, targets: ReadonlyArray<string>) {
  if (targets.length === 0) return request
  const wanted = yield* Effect.forEach(targets, (text) => Effect.try({
    try: () => JSON.parse(text) as unknown,
    catch: (error) => commandFailed("invalid", `--target is no JSON: ${(error as Error).message}`)
  }))
  const { images, ...others } = (JSON.parse(request) ?? {}) as { readonly images?: unknown }
  return JSON.stringify({ ...others, images: Array.isArray(images) ? images.map((image: object) => ({ ...image, targets: wanted })) : images })
})

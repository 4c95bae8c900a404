/** A whole Kiln in a temporary home for a bench, gone when the bench has ended. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { type Stack, type StackOptions, startStack } from "../../apps/standalone/stack.ts"

/** KILN_BENCH_DIR chooses the disk that is measured. */
export const withStack = async <A>(options: Partial<StackOptions>, use: (stack: Stack) => Promise<A>): Promise<A> => {
  const home = await mkdtemp(join(process.env["KILN_BENCH_DIR"] ?? tmpdir(), "kiln-bench-"))
  try {
    const program = Effect.scoped(Effect.flatMap(
      startStack({ ...options, home, env: { KILN_TEST_DISTRIBUTION: "1", ...options.env } }), (stack) => Effect.promise(() => use(stack))))
    return await Effect.runPromise(program)
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 5 })
  }
}

export const tokenOf = (stack: Stack, tenant = "bench"): Promise<string> =>
  Effect.runPromise(stack.token(tenant, "requester"))

/** Keeps of a run that went wrong what is needed to find out why; the home of its stack goes with it. */
import { cp, glob, mkdtemp, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { Stack } from "../../apps/standalone/stack.ts"
import { type Evidence, unfinished } from "./verdict.ts"

const asksAtMost = 50

/** Answers with the folder: what the processes said, the log, and what the gateway says of composes without an end. */
export const keep = async (stack: Stack, { log }: Evidence, faults: ReadonlyArray<string>): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "kiln-chaos-"))
  const lines = (values: ReadonlyArray<unknown>) => values.map((value) => `${JSON.stringify(value)}\n`).join("")
  for await (const file of glob("{logs,nats*,nats/*,postgres}/*.log", { cwd: stack.home })) await cp(join(stack.home, file), join(folder, file))
  await writeFile(join(folder, "faults"), faults.map((fault) => `${fault}\n`).join(""))
  await writeFile(join(folder, "log.jsonl"), lines(log))
  const views = await Promise.all(unfinished(log).slice(0, asksAtMost).map((name) => viewOf(stack, name)))
  await writeFile(join(folder, "open.jsonl"), lines(views))
  return folder
}

const viewOf = async (stack: Stack, name: string): Promise<unknown> => {
  const [tenant, id] = name.split("/")
  try {
    const token = await Effect.runPromise(stack.token(tenant!, "requester"))
    const answer = await fetch(`${stack.url}/api/kiln/v1/composes/${id}`, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(10_000) })
    return await answer.json()
  } catch (error) {
    return { id, error: String(error) }
  }
}

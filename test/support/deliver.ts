/** Carries a file to a target as a worker does: with a journal on disk, and somebody who listens. */
import assert from "node:assert/strict"
import { createHash, randomUUID } from "node:crypto"
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Effect } from "effect"
import { v7 } from "uuid"
import type { Credentials } from "../../domain/credentials.ts"
import { ComposeId, Digest, JobId, TenantId } from "../../domain/ids.ts"
import type { ImageCopy } from "../../domain/image-copy.ts"
import type { Progress } from "../../domain/ports/image-builder.ts"
import { nameOf } from "../../domain/leftovers.ts"
import type { Delivery, ImageTarget, Marks } from "../../domain/ports/image-targets.ts"
import type { Target } from "../../domain/target.ts"
import { journalAt } from "../../infra/targets/journals.ts"

export const deployment = "test-deployment"

export interface Given<Of extends Target> {
  readonly target: Of
  readonly credentials: Credentials | undefined
  /** A file as the target's `format` wants it. */
  readonly path: string
  /** Of the journal; another one is as good as a lost journal. */
  readonly journal: string
  /** What is said otherwise. */
  readonly delivery?: Partial<Delivery<Of>>
}

/** The same for the same file, but for what is given; tenant, compose and job are those of one job. */
export const deliveryOf = async <Of extends Target>({ credentials, delivery = {}, path, target }: Omit<Given<Of>, "journal">): Promise<Delivery<Of>> => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path), hash)
  const [sha256, { size }] = [hash.digest("hex"), await stat(path)]
  const { composeId = ComposeId.make(v7()) } = delivery
  return {
    deployment, tenantId: TenantId.make("acme"), composeId, jobId: JobId.make("0-upload-0"), deliveryId: `${composeId.replaceAll("-", "")}-0-0`,
    distribution: "debian-13", image: { architecture: "x86_64", type: "guest-image" },
    artifact: { digest: Digest.make(`sha256:${sha256}`), size, format: "raw", filename: "disk.raw", mediaType: "application/octet-stream" },
    target, credentials, path, size, sha256, ...delivery
  }
}

export interface Said {
  readonly progress: Array<Progress>
  readonly lines: Array<string>
}

/** One attempt. `said` is filled as it goes, also by attempts that fail. */
export const deliver = <Of extends Target>(to: ImageTarget<Of>, delivery: Delivery<Of>, journal: string, said: Said = { progress: [], lines: [] }) =>
  Effect.flatMap(journalAt(journal), (opened) =>
    to.deliver(delivery, opened, { progress: (progress) => void said.progress.push(progress), line: (line) => void said.lines.push(line) }))

/** The path of a journal that nobody has written in. */
export const newJournal = (dir: string) => join(dir, "journals", `${randomUUID()}.jsonl`)

/** What a copy is said to be made of is what carries its delivery's marks, no more and no less: the reaper tells leftovers by that. */
export const isMarkedWhole = <Of extends Target>(
  to: ImageTarget<Of>, { composeId, credentials, deployment, jobId, target, tenantId }: Marks & Pick<Delivery<Of>, "credentials" | "target">,
  { resources }: ImageCopy
) =>
  Effect.map(to.marked(target, credentials, deployment), (all) => {
    const ours = all.filter(({ marks }) => marks.composeId === composeId && marks.jobId === jobId && marks.tenantId === tenantId)
    assert.deepEqual(ours.map(({ resource }) => nameOf(resource)).toSorted(), resources.map(nameOf).toSorted())
  })

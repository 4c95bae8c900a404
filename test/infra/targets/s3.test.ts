/** The S3 target, by Amazon's SDK, against a stand-in that is as strict as S3. */
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Credentials } from "../../../domain/credentials.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { s3Target } from "../../../infra/targets/s3/target.ts"
import { openS3 } from "../../../infra/targets/s3/client.ts"
import type { ObjectUpload } from "../../../infra/targets/s3/object-upload.ts"
import { partSizeFor, uploadObject } from "../../../infra/targets/s3/upload.ts"
import { journalAt } from "../../../infra/targets/journals.ts"
import { deliver, deliveryOf, deployment, newJournal, type Said } from "../../support/deliver.ts"
import { nth, s3Keys, s3StandIn, type S3Server } from "../../support/s3-stand-in.ts"
import { temporaryFolder } from "../../support/servers.ts"

const mebi = 1 << 20
const target: TargetOf<"s3"> = { type: "s3", bucket: "images", prefix: "kiln/" }
const credentialsOf = ({ endpoint }: S3Server): Credentials => ({ provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: endpoint } })

const setting = Effect.gen(function*() {
  const dir = yield* temporaryFolder
  const s3 = yield* s3StandIn({ leastPart: mebi })
  const bucket = s3.store.make("images", "eu-central-1")
  const file = (size: number) => {
    const [path, bytes] = [join(dir, `${size}.raw`), randomBytes(size)]
    writeFileSync(path, bytes)
    return { path, bytes }
  }
  const delivery = (path: string, given = {}) => Effect.promise(() => deliveryOf({ target, credentials: credentialsOf(s3), path, ...given }))
  return { dir, s3, bucket, file, delivery }
})

const bytesOf = (object: { readonly bytes: ReadonlyArray<Buffer> }) => Buffer.concat([...object.bytes])
const size = 33 * mebi + 12_345

describe("the s3 target", () => {
  it.live("given a file of several parts, when it is delivered, then the object has its bytes, says whose they are by its name, and a link opens it, whole and in part", () =>
    Effect.gen(function*() {
      const { bucket, delivery, dir, file, s3 } = yield* setting
      const { bytes, path } = file(size)
      const given = yield* delivery(path)
      const said: Said = { progress: [], lines: [] }
      const copy = yield* deliver(s3Target, given, newJournal(dir), said)
      const [object] = bucket.objects.values()
      assert.isTrue(bytesOf(object!).equals(bytes))
      assert.deepStrictEqual([bucket.objects.size, bucket.uploads.size, copy.bytesSent], [1, 0, size])
      assert.strictEqual(copy.id, `kiln/${deployment}/acme/${given.composeId}/0-upload-0/disk.raw`)
      assert.strictEqual(object!.headers["x-amz-meta-sha256"], given.sha256)
      assert.deepInclude(said.progress.at(-1)!, { stage: "upload", percent: 100, bytesDone: size, bytesTotal: size })
      const link = yield* s3Target.link!(target, copy, given.credentials, 60)
      const part = yield* Effect.promise(() => fetch(link, { headers: { range: "bytes=1000-1999" } }))
      assert.deepStrictEqual([part.status, part.headers.get("content-disposition")], [206, "attachment; filename=\"disk.raw\""])
      assert.isTrue(Buffer.from(yield* Effect.promise(() => part.arrayBuffer())).equals(bytes.subarray(1000, 2000)))
      const changed = yield* Effect.promise(() => fetch(link.replace("disk.raw", "disk2.raw")))
      assert.strictEqual(changed.status, 403)
      const marked = yield* s3Target.marked(target, given.credentials, deployment)
      assert.deepStrictEqual(marked.map(({ marks, resource }) => [resource, marks.composeId, marks.jobId, marks.tenantId]), [[copy.resources[0]!, given.composeId, "0-upload-0", "acme"]])
      assert.deepStrictEqual(yield* s3Target.marked(target, given.credentials, "another"), [])
      yield* s3Target.remove(target, copy.resources, given.credentials)
      yield* s3Target.remove(target, copy.resources, given.credentials)
      assert.strictEqual(bucket.objects.size, 0)
      assert.strictEqual(s3.asked.filter(({ status }) => status >= 400).length, 2, "what is not there yet, and the changed link")
    }).pipe(Effect.scoped))

  it.live("given a small file, when it is delivered twice, then it is sent once", () =>
    Effect.gen(function*() {
      const { bucket, delivery, dir, file, s3 } = yield* setting
      const { bytes, path } = file(1000)
      const given = yield* delivery(path)
      yield* deliver(s3Target, given, newJournal(dir))
      const again = yield* deliver(s3Target, given, newJournal(dir))
      assert.deepStrictEqual([s3.bytesKept, again.bytesSent, bucket.objects.size], [1000, 0, 1])
      assert.isTrue(bytesOf([...bucket.objects.values()][0]!).equals(bytes))
    }).pipe(Effect.scoped))

  /** Small parts, so that there are enough of them. */
  const small = Effect.gen(function*() {
    const { bucket, dir, file, s3 } = yield* setting
    const { bytes, path } = file(3 * mebi + 777)
    const opened = yield* openS3(credentialsOf(s3))
    const upload: ObjectUpload = { bucket: "images", key: "k", path, size: bytes.length, sha256: "00", partSize: mebi, lanes: 2 }
    const send = (journal: string, change: Partial<ObjectUpload> = {}) =>
      Effect.flatMap(journalAt(journal), (noted) => uploadObject(opened, { ...upload, ...change }, noted, { progress: () => {}, line: () => {} }))
    const again = () => {
      bucket.objects.clear()
      bucket.uploads.clear()
      s3.bytesKept = 0
    }
    const isWhole = () => bucket.objects.size === 1 && bucket.uploads.size === 0 && bytesOf([...bucket.objects.values()][0]!).equals(bytes)
    return { bucket, bytes, dir, send, s3, again, isWhole }
  })

  /** Look, begin, list, four parts, complete; where the journal is lost, a list of uploads too. */
  const requests = 9
  for (const kept of [true, false]) {
    const state = kept ? "kept" : "lost"
    for (const [what, done] of [["before it does anything", false], ["when it has done what it was asked", true]] as const) {
      it.live(`given a journal that is ${state}, when an upload is killed at any of its requests, ${what}, and begins again, then there is one object and no open upload, and what was kept is not sent twice`, () =>
        Effect.gen(function*() {
          const { again, bytes, dir, isWhole, s3, send } = yield* small
          for (let n = 1; n <= requests; n += 1) {
            again()
            const journal = newJournal(dir)
            const reached = Promise.withResolvers<void>()
            let at = 0
            s3.fault = () => {
              if (++at !== n) return undefined
              if (done) return { hang: reached.resolve }
              reached.resolve()
              return { drop: true }
            }
            // What was answered is in the journal when the next part goes, unless several go at once.
            yield* Effect.raceFirst(Effect.promise(() => reached.promise), send(journal, { lanes: kept ? 1 : 4 }))
            s3.fault = () => undefined
            const { bytesSent } = yield* send(kept ? journal : newJournal(dir))
            assert.isTrue(isWhole(), `killed at ${n}`)
            assert.strictEqual(s3.bytesKept, bytes.length, `killed at ${n}`)
            if (kept) assert.isAtLeast(bytesSent, 2 * mebi)
          }
        }).pipe(Effect.scoped))
    }
  }

  it.live("given a store that hangs up once at any request, before or after it did it, or is not itself for a moment, then the upload goes on by itself", () =>
    Effect.gen(function*() {
      const { again, dir, isWhole, s3, send } = yield* small
      for (const fault of [{ drop: true }, { drop: 1000 }, { lose: true }, { refuse: "InternalError", status: 500 }] as const) {
        for (let n = 1; n < requests; n += 1) {
          again()
          s3.fault = nth(n, /./u, fault)
          yield* send(newJournal(dir))
          assert.isTrue(isWhole(), `${JSON.stringify(fault)} at ${n}`)
        }
      }
    }).pipe(Effect.scoped))

  it.live("given a store that refuses large parts before it has read them, or in their midst, then they are sent again as they are in the file", () =>
    Effect.gen(function*() {
      const { bucket, delivery, dir, file, s3 } = yield* setting
      const { bytes, path } = file(size)
      const refusals = new Map<string, number>()
      s3.fault = ({ operation, query }) => {
        const part = operation === "UploadPart" ? query.get("partNumber")! : ""
        const before = refusals.get(part) ?? 0
        if (part === "" || before === 2) return undefined
        refusals.set(part, before + 1)
        return before === 0 ? { refuse: "SlowDown", status: 503 } : { drop: 5 * mebi }
      }
      yield* deliver(s3Target, yield* delivery(path), newJournal(dir))
      assert.deepStrictEqual([...refusals.values()], [2, 2, 2])
      const [object] = bucket.objects.values()
      assert.isTrue(bytesOf(object!).equals(bytes))
      assert.deepStrictEqual(s3.asked.filter(({ operation }) => operation === "UploadPart").map(({ status }) => status).toSorted(), [0, 0, 200, 200, 200, 503, 503, 503])
    }).pipe(Effect.scoped))

  it.live("given an upload that ended after some parts, when it goes on, then only the parts that are missing are sent, and those that are not the file's", () =>
    Effect.gen(function*() {
      const { bucket, bytes, dir, isWhole, s3, send } = yield* small
      const journal = newJournal(dir)
      s3.fault = ({ query }) => (query.get("partNumber") === "4" ? { refuse: "AccessDenied", status: 403 } : undefined)
      const failed = yield* Effect.flip(send(journal, { lanes: 1 }))
      assert.deepStrictEqual([failed.class, failed.message], ["user", "s3:UploadPart: AccessDenied: as the test wants it"])
      const [open] = bucket.uploads.values()
      assert.deepStrictEqual([...open!.parts.keys()], [1, 2, 3])
      // Somebody has tampered with the second.
      open!.parts.set(2, { ...open!.parts.get(2)!, sha256: "AAAAAA==" })
      s3.fault = () => undefined
      s3.bytesKept = 0
      const { bytesSent } = yield* send(journal)
      assert.deepStrictEqual([s3.bytesKept, bytesSent, isWhole()], [mebi + 777, bytes.length + mebi, true])
    }).pipe(Effect.scoped))

  it.live("given an upload that was swept away, when it goes on, then it begins anew", () =>
    Effect.gen(function*() {
      const { bucket, bytes, dir, isWhole, s3, send } = yield* small
      const journal = newJournal(dir)
      s3.fault = nth(1, "CompleteMultipartUpload", { refuse: "AccessDenied", status: 403 })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(send(journal))))
      bucket.uploads.clear()
      yield* send(journal)
      assert.deepStrictEqual([isWhole(), s3.bytesKept], [true, 2 * bytes.length])
    }).pipe(Effect.scoped))

  it.live("given what S3 says of a failure, then its class is whose turn it is, and no signature is in its message", () =>
    Effect.gen(function*() {
      const { delivery, dir, file, s3 } = yield* setting
      const given = yield* delivery(file(10).path)
      const fails = (change: Partial<typeof given>) => Effect.map(Effect.flip(deliver(s3Target, { ...given, ...change }, newJournal(dir))), (failed) => [failed.class, failed.message])
      assert.deepStrictEqual(yield* fails({ target: { ...target, bucket: "other" } }), ["user", "s3:PutObject: NoSuchBucket: The specified bucket does not exist"])
      assert.strictEqual((yield* fails({ credentials: { ...credentialsOf(s3), secret_access_key: "wrong" } as Credentials }))[0], "user")
      assert.deepStrictEqual(yield* fails({ credentials: undefined }), ["user", "there are no credentials for this target"])
      assert.strictEqual((yield* fails({ credentials: { provider: "oci" } }))[0], "user")
      s3.fault = nth(1, "PutObject", { refuse: "AccessDenied", status: 403, message: "you asked ?X-Amz-Signature=0123abc&amp;X-Amz-Credential=AKID with Bearer abcdefghijk" })
      assert.deepStrictEqual(yield* fails({}), ["user", "s3:PutObject: AccessDenied: you asked ?X-Amz-Signature=***&X-Amz-Credential=*** with Bearer ***"])
    }).pipe(Effect.scoped))

  it.live("given a bucket, when it is checked, then what would be refused is told and nothing is left", () =>
    Effect.gen(function*() {
      const { bucket, s3 } = yield* setting
      assert.deepStrictEqual(yield* s3Target.check(target, credentialsOf(s3)), [])
      assert.deepStrictEqual([bucket.objects.size, bucket.uploads.size], [0, 0])
      const gone = yield* s3Target.check({ ...target, bucket: "other" }, credentialsOf(s3))
      assert.deepStrictEqual(gone.map(({ what }) => what), ["s3:ListBucket", "s3:PutObject"])
      s3.fault = ({ operation }) => (operation === "CreateMultipartUpload" ? { refuse: "AccessDenied", status: 403 } : undefined)
      assert.deepStrictEqual(yield* s3Target.check(target, credentialsOf(s3)), [{ what: "s3:PutObject", problem: "AccessDenied: as the test wants it" }])
    }).pipe(Effect.scoped))

  it.live("given an upload that is interrupted, then it ends at once, and what is left of it is found by its marks and removed", () =>
    Effect.gen(function*() {
      const { bucket, delivery, dir, file, s3 } = yield* setting
      const given = yield* delivery(file(size).path)
      const reached = Promise.withResolvers<void>()
      s3.fault = ({ operation, query }) => {
        if (operation !== "UploadPart" || query.get("partNumber") !== "2") return undefined
        reached.resolve()
        return { wait: new Promise(() => {}) }
      }
      yield* Effect.raceFirst(deliver(s3Target, given, newJournal(dir)), Effect.promise(() => reached.promise))
      const left = yield* s3Target.marked(target, given.credentials, deployment)
      assert.deepStrictEqual([left.length, left[0]!.resource.kind, left[0]!.marks.composeId], [1, "multipart-upload", given.composeId])
      yield* s3Target.remove(target, left.map(({ resource }) => resource), given.credentials)
      yield* s3Target.remove(target, left.map(({ resource }) => resource), given.credentials)
      assert.deepStrictEqual([bucket.objects.size, bucket.uploads.size], [0, 0])
    }).pipe(Effect.scoped))

  it.live("given a store without sums of its own, when an upload goes on there, then parts are known by their tags", () =>
    Effect.gen(function*() {
      const { bucket, dir, isWhole, s3, send } = yield* small
      const journal = newJournal(dir)
      s3.fault = nth(1, "CompleteMultipartUpload", { refuse: "AccessDenied", status: 403 })
      yield* Effect.exit(send(journal))
      const [open] = bucket.uploads.values()
      bucket.uploads.set(open!.id, { ...open!, sums: undefined })
      s3.bytesKept = 0
      yield* send(journal)
      assert.deepStrictEqual([s3.bytesKept, isWhole()], [0, true])
    }).pipe(Effect.scoped))

  it("parts are of 16 MiB, and larger where there would be more than 10,000", () => {
    assert.deepStrictEqual([partSizeFor(1), partSizeFor(160_000 * mebi), partSizeFor(160_000 * mebi + 1), partSizeFor(2 ** 42)], [16 * mebi, 16 * mebi, 17 * mebi, 420 * mebi])
  })
})

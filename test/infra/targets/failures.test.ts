import { assert, describe, it } from "@effect/vitest"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { classOf, redacted, saidBy, targetFailed } from "../../../infra/targets/failures.ts"

const aws = (name: string, httpStatusCode?: number) => Object.assign(new Error(`about ${name}`), { name, $metadata: { httpStatusCode } })
const azure = (code: string, statusCode: number) => Object.assign(new Error(`about ${code}`), { name: "RestError", code, statusCode })
const google = (code: number, message = "no") => Object.assign(new Error(message), { code })
const node = (code: string) => Object.assign(new Error(`connect ${code}`), { code, syscall: "connect" })

describe("a provider's failure", () => {
  const cases: ReadonlyArray<readonly [string, unknown, string]> = [
    ["a bad bucket", aws("NoSuchBucket", 404), "user"], ["no rights", aws("AccessDenied", 403), "user"], ["a bad key", aws("InvalidAccessKeyId", 403), "user"],
    ["throttling", aws("Throttling", 400), "target-quota"], ["too fast", aws("SlowDown", 503), "target-quota"], ["a limit", aws("ResourceCountLimitExceeded", 400), "target-quota"],
    ["a fault", aws("InternalError", 500), "target-fault"], ["what a store does not know", aws("NotImplemented", 501), "user"], ["a time-out", aws("TimeoutError"), "target-fault"],
    ["Azure's throttling", azure("ServerBusy", 503), "target-quota"], ["Azure's no", azure("AuthorizationFailed", 403), "user"], ["Azure's fault", azure("OperationTimedOut", 500), "target-fault"],
    ["Google's throttling", google(429), "target-quota"], ["Google's no", google(403), "user"], ["Google's fault", google(503), "target-fault"],
    ["a line that is cut", node("ECONNRESET"), "target-fault"], ["a name that is not known", node("ENOTFOUND"), "target-fault"], ["a line that hangs up", new Error("socket hang up"), "target-fault"],
    ["fetch's", Object.assign(new TypeError("fetch failed"), { cause: node("ECONNREFUSED") }), "target-fault"],
    ["a file of ours", Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT", syscall: "open" }), "platform"]
  ]
  for (const [what, error, expected] of cases) {
    it(`given ${what}, then its class is ${expected}`, () => assert.strictEqual(classOf(saidBy(error)), expected))
  }

  it("has what was tried, the provider's code and its words", () =>
    assert.strictEqual(targetFailed("s3:PutObject", aws("AccessDenied", 403)).message, "s3:PutObject: about AccessDenied"))
  it("has the status where there is nothing else, as in an answer to HEAD", () => {
    const head = Object.assign(new Error("UnknownError"), { name: "403", $metadata: { httpStatusCode: 403 } })
    assert.strictEqual(targetFailed("s3:ListBucket", head).message, "s3:ListBucket: the answer was 403, and no word of why")
    assert.strictEqual(targetFailed("s3:ListBucket", head).class, "user")
  })
  it("has for how long the provider wants to be left alone, whichever library says so", () => {
    const headers = (pairs: Record<string, string>) => new Headers(pairs)
    const said: ReadonlyArray<readonly [unknown, number | undefined]> = [
      [{ ...aws("SlowDown", 503), $response: { statusCode: 503, headers: { "retry-after": "7" } } }, 7000],
      [{ ...aws("SlowDown", 503), $response: { statusCode: 503, headers: { "x-amz-retry-after": "250" } } }, 250],
      [{ ...azure("ServerBusy", 503), response: { headers: headers({ "retry-after": "3", "x-ms-retry-after-ms": "2500" }) } }, 2500],
      [{ ...google(429), response: { headers: headers({ "Retry-After": "120" }) } }, 120_000],
      [{ status: 429, message: "no", retryAfterMs: 9 }, 9],
      [{ status: 429, message: "no", response: { headers: { "retry-after": "soon" } } }, undefined],
      [{ status: 429, message: "no", response: { headers: { "retry-after": new Date(0).toUTCString() } } }, 0],
      [google(429), undefined]
    ]
    for (const [error, expected] of said) assert.strictEqual(targetFailed("images.insert", error).retryAfterMs, expected)
    assert.approximately(targetFailed("x", { status: 429, response: { headers: { "retry-after": new Date(Date.now() + 3_600_000).toUTCString() } } }).retryAfterMs!, 3_600_000, 60_000)
  })
  it("that was told already is told as it was", () => {
    const told = new BuildFailed({ class: "user", message: "no" })
    assert.strictEqual(targetFailed("s3:PutObject", told), told)
  })
  it("has nothing in it that opens anything", () => {
    const secret = "c2VjcmV0LXNlY3JldA"
    for (const text of [
      `https://h/b?X-Amz-Credential=${secret}&X-Amz-Signature=${secret}&x=1`, `https://h/c?sv=1&sig=${secret}`, `PUT https://h/u?upload_id=${secret}`,
      `authorization: AWS4-HMAC-SHA256 Credential=a, Signature=${secret}`, `{"Authorization":"Bearer ${secret}"}`, `Bearer ${secret}`, `x-amz-security-token: ${secret}`
    ]) assert.notInclude(redacted(text), secret, text)
    assert.strictEqual(redacted("bucket images is not there"), "bucket images is not there")
  })
})

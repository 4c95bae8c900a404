/** Trust in a file, from the service's word to a verdict without it. */
import { execFileSync } from "node:child_process"
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, type Layer } from "effect"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { billOf } from "../../../domain/evidence/bill.ts"
import { cyclonedxDocument } from "../../../domain/evidence/cyclonedx.ts"
import { preAuthenticationEncoding } from "../../../domain/evidence/dsse.ts"
import { spdxDocument } from "../../../domain/evidence/spdx.ts"
import { Digest, WorkerId } from "../../../domain/ids.ts"
import { Built, Uploaded } from "../../../domain/job.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { Blobs } from "../../../domain/ports/blobs.ts"
import { AdvisoriesDebian } from "../../../infra/evidence/security-tracker.ts"
import { inventory, manifest } from "../../support/bills.ts"
import { needs } from "../../support/needs.ts"
import { api, type Gateway, openGateway } from "../gateway/harness.ts"
import { given } from "../gateway/scenes.ts"
import { kiln } from "./kiln-command.ts"

let gateway: Gateway
let token: string
let folder: string
let id: string
let pem: string

const bytes = Buffer.from("an image")
const artifact = {
  digest: Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`), size: bytes.length, format: "raw", filename: "web.raw", mediaType: "application/octet-stream"
}

beforeAll(async () => {
  const tracker = join(mkdtempSync(join(tmpdir(), "kiln-data-")), "data.json")
  writeFileSync(tracker, JSON.stringify({ "gcc-14": { "CVE-2026-1": { description: "overflow", releases: { trixie: { status: "open", urgency: "low" } } } } }))
  gateway = await openGateway({}, AdvisoriesDebian(tracker) as Layer.Layer<never>)
  token = await gateway.token()
  pem = await (await gateway.call(`${api}/keys/provenance.pem`)).text()
  const bill = billOf(manifest, artifact, inventory)!
  const put = (document: object) => gateway.run(Effect.flatMap(Blobs, (blobs) => blobs.put(new TextEncoder().encode(JSON.stringify(document)))))
  const compose = await given(gateway, { distribution: "debian-13", images: [{ architecture: "x86_64", type: "guest-image", test: false }] })
  id = compose.id
  const file = join(gateway.folder, "image")
  writeFileSync(file, bytes)
  await gateway.run(Effect.flatMap(Artifacts, (artifacts) => artifacts.put(file, artifact.digest)))
  await compose.started("0-resolve")
  await compose.succeeded("0-resolve")
  await compose.started("0-build")
  const evidence = { spdx: await put(spdxDocument(bill, "0".repeat(64))), cyclonedx: await put(cyclonedxDocument(bill, "0".repeat(64))) }
  await compose.succeeded("0-build", Built.make({ manifest: artifact.digest, artifact, heldBy: WorkerId.make("w1"), reused: false, evidence }))
  await compose.started("0-upload-0")
  await compose.succeeded("0-upload-0", Uploaded.make({ target: { type: "file" }, artifact }))
  folder = mkdtempSync(join(tmpdir(), "kiln-verify-"))
  mkdirSync(at("fresh"))
  await talk("download", id, "--output", at("fresh"), "--evidence")
  writeFileSync(at("fresh/key.pem"), pem)
})
afterAll(async () => {
  await gateway.close()
  rmSync(folder, { recursive: true })
})

const envelope = (payload: string, payloadType: string, key: KeyObject) => {
  const sig = sign(null, preAuthenticationEncoding(payloadType, Buffer.from(payload)), key).toString("base64")
  return JSON.stringify({ payload: Buffer.from(payload).toString("base64"), payloadType, signatures: [{ sig }] })
}

const talk = (...args: ReadonlyArray<string>) => kiln(["--url", gateway.url, "--token", token, ...args])

describe("kiln download", () => {
  it("brings an image's provenance with it, and its bills of materials when they are asked for", async () => {
    const dir = mkdtempSync(join(tmpdir(), "kiln-download-"))
    const plain = JSON.parse((await talk("download", id, "--output", dir, "--json")).out)
    assert.strictEqual(plain.files[0].provenance, join(dir, "web.raw.provenance.json"))
    assert.isFalse(existsSync(join(dir, "web.raw.spdx.json")))
    assert.strictEqual((await talk("download", id, "--output", dir, "--evidence")).code, 0)
    for (const name of ["web.raw", "web.raw.provenance.json", "web.raw.spdx.json", "web.raw.cdx.json"]) assert.isTrue(existsSync(join(dir, name)), name)
    rmSync(dir, { recursive: true })
  })
})

describe("kiln evidence", () => {
  it("fetches all that is said of a compose's images, and checksums that hold", async () => {
    const dir = mkdtempSync(join(tmpdir(), "kiln-evidence-"))
    const { code, out } = await talk("evidence", id, "--output", dir, "--json")
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(JSON.parse(out), {
      id, checksums: join(dir, "SHA256SUMS"),
      images: [{ image: 0, provenance: join(dir, "web.raw.provenance.json"), spdx: join(dir, "web.raw.spdx.json"), cyclonedx: join(dir, "web.raw.cdx.json") }]
    })
    writeFileSync(join(dir, "web.raw"), bytes)
    assert.strictEqual(execFileSync("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: dir, encoding: "utf8" }), "web.raw: OK\n")
    rmSync(dir, { recursive: true })
  })

  it("finds none of an image that is not there", async () => {
    assert.strictEqual((await talk("evidence", id, "--image", "3")).code, 4)
  })
})

describe("kiln vulnerabilities", () => {
  it("lists them, and counts them", async () => {
    const { code, out } = await talk("vulnerabilities", id)
    assert.strictEqual(code, 0)
    assert.match(out, /Known flaws +1 low/)
    assert.match(out, /CVE-2026-1 +low +gcc-14 +14\.2\.0-19 +overflow/)
    assert.deepStrictEqual(JSON.parse((await talk("vulnerabilities", id, "--json")).out).counts, { low: 1 })
  })
})

const at = (name: string) => join(folder, name)

describe("kiln verify-image", () => {
  const edit = (name: string, change: (text: string) => string) => writeFileSync(at(name), change(readFileSync(at(name), "utf8")))
  const verify = (...args: ReadonlyArray<string>) => kiln(["verify-image", at("web.raw"), "--key", at("key.pem"), ...args])
  const wrong = async (...args: ReadonlyArray<string>) => {
    const { code, out } = await verify("--json", ...args)
    const { checks, verified } = JSON.parse(out) as { verified: boolean; checks: ReadonlyArray<{ aspect: string; right: boolean; message: string }> }
    assert.deepStrictEqual([code, verified], [1, false])
    return checks.filter(({ right }) => !right).map(({ aspect, message }) => `${aspect}: ${message}`)
  }
  const resigned = (change: (statement: Record<string, unknown>) => void, payloadType = "application/vnd.in-toto+json") => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519")
    copyFileSync(at("fresh/web.raw.provenance.json"), at("web.raw.provenance.json"))
    edit("web.raw.provenance.json", (text) => {
      const statement = JSON.parse(Buffer.from((JSON.parse(text) as { payload: string }).payload, "base64").toString()) as Record<string, unknown>
      change(statement)
      return envelope(JSON.stringify(statement), payloadType, privateKey)
    })
    writeFileSync(at("key.pem"), publicKey.export({ type: "spki", format: "pem" }))
  }

  beforeEach(() => {
    for (const name of ["web.raw", "web.raw.provenance.json", "web.raw.spdx.json", "web.raw.cdx.json", "key.pem"]) copyFileSync(at(`fresh/${name}`), at(name))
  })

  it("says that a file is what was built, by whom, and that its bills of materials are its own", async () => {
    const { code, err, out } = await verify()
    assert.deepStrictEqual([code, err], [0, ""])
    assert.match(out, /^web\.raw: verified\n/)
    assert.match(out, new RegExp(`as {2}urn:kiln:compose:${id}:0-build:1`))
    const { checks, verified } = JSON.parse((await verify("--json")).out)
    assert.deepStrictEqual([verified, checks.map(({ aspect }: { aspect: string }) => aspect)], [true, ["signature", "statement", "subject", "sbom", "sbom"]])
  })

  it("asks nobody: it needs no service", async () => {
    assert.strictEqual((await kiln(["--url", "http://127.0.0.1:1", "verify-image", at("web.raw"), "--key", at("key.pem")])).code, 0)
  })

  it("takes the statement in each form that it is served in", async () => {
    for (const form of ["intoto.jsonl", "sigstore.json"]) {
      writeFileSync(at(form), await (await gateway.call(`${api}/composes/${id}/images/0/provenance.${form}`)).text())
      assert.strictEqual((await verify("--provenance", at(form))).code, 0, form)
    }
    edit("intoto.jsonl", (line) => `${envelope("{}", "text/plain", generateKeyPairSync("ed25519").privateKey)}\n${line}`)
    assert.strictEqual((await verify("--provenance", at("intoto.jsonl"))).code, 0)
  })

  it("tells a changed file", async () => {
    writeFileSync(at("web.raw"), "another image")
    assert.match((await wrong()).join(), /^subject: The file is not what the statement is about: its SHA-256 is [0-9a-f]{64}, the statement names [0-9a-f]{64}$/)
  })

  it("tells a changed statement, and does not look at what it says", async () => {
    edit("web.raw.provenance.json", (text) => {
      const signed = JSON.parse(text) as { payload: string }
      const changed = Buffer.from(signed.payload, "base64").toString().replace("debian-13", "debian-12")
      return JSON.stringify({ ...signed, payload: Buffer.from(changed).toString("base64") })
    })
    assert.deepStrictEqual((await wrong()).map((fault) => fault.slice(0, 34)), ["signature: The signature is wrong:"])
    assert.match((await verify()).out, /^web\.raw: NOT verified\n +WRONG/)
  })

  it("tells another type of payload, though the bytes are the same", async () => {
    edit("web.raw.provenance.json", (text) => text.replace("application/vnd.in-toto+json", "application/vnd.in-toto+yaml"))
    assert.match((await wrong()).join(), /^signature: The signature is wrong/)
  })

  it("tells another key than the one that was used, and names both", async () => {
    writeFileSync(at("key.pem"), generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }))
    assert.match((await wrong()).join(), /^signature: The provenance is signed by another key: it names [0-9a-f]{64}, given was [0-9a-f]{64}$/)
  })

  it("tells a statement of another kind, rightly signed as it may be", async () => {
    resigned((statement) => void (statement["predicateType"] = "https://slsa.dev/provenance/v0.2"))
    assert.match((await wrong()).join(), /^statement: The statement is no SLSA provenance, version 1, but https:\/\/slsa\.dev\/provenance\/v0\.2$/)
    resigned((statement) => void (statement["_type"] = "something"))
    assert.match((await wrong()).join(), /^statement: What is signed is no in-toto statement/)
    resigned(() => {}, "text/plain")
    assert.match((await wrong()).join(), /^statement: What is signed is no in-toto statement but text\/plain$/)
    resigned((statement) => void (statement["subject"] = []))
    assert.match((await wrong()).join(), /^subject: /)
  })

  it("tells a bill of materials that is another image's", async () => {
    edit("web.raw.spdx.json", (text) => `${text} `)
    assert.match((await wrong()).join(), /^sbom: .*web\.raw\.spdx\.json is not one of the image's bills of materials/)
    assert.match((await wrong("--sbom", at("key.pem"))).join(), /^sbom: .*key\.pem is not/)
  })

  it("tells what is no envelope at all", async () => {
    for (const text of ["", "{}", "[1]", "nothing", "{\"payload\": \"%\", \"payloadType\": \"x\", \"signatures\": []}"]) {
      edit("web.raw.provenance.json", () => text)
      assert.match((await wrong()).join(), /^envelope: /)
    }
  })

  it("says what is missing: a file, its provenance, a key to trust, a key that is one", async () => {
    const missing = async (args: ReadonlyArray<string>) => {
      const { code, err } = await kiln(["verify-image", ...args])
      return [code, err.trim()]
    }
    assert.deepStrictEqual(await missing([at("none"), "--key", at("key.pem")]), [4, `There is no file ${at("none.provenance.json")}`])
    assert.deepStrictEqual(await missing([at("none"), "--provenance", at("web.raw.provenance.json"), "--key", at("key.pem")]), [4, `There is no file ${at("none")}`])
    assert.deepStrictEqual((await missing([at("web.raw"), "--key", at("web.raw")]))[0], 2)
    process.env["KILN_HOME"] = folder
    assert.match(String(await missing([at("web.raw")])), /^2,Whose signature\?/)
    process.env["KILN_PROVENANCE_KEY"] = at("key.pem")
    assert.deepStrictEqual(await missing([at("web.raw")]), [0, ""])
    delete process.env["KILN_PROVENANCE_KEY"]
    delete process.env["KILN_HOME"]
  })
})

describe("openssl", () => {
  needs("openssl")

  it("verifies the same envelope", () => {
    const { payload, payloadType, signatures } = JSON.parse(readFileSync(at("fresh/web.raw.provenance.json"), "utf8")) as { payload: string; payloadType: string; signatures: ReadonlyArray<{ sig: string }> }
    const body = Buffer.from(payload, "base64")
    writeFileSync(at("signed"), Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${body.length} `), body]))
    writeFileSync(at("sig"), Buffer.from(signatures[0]!.sig, "base64"))
    const said = execFileSync("openssl", ["pkeyutl", "-verify", "-pubin", "-inkey", "fresh/key.pem", "-rawin", "-in", "signed", "-sigfile", "sig"], { cwd: folder, encoding: "utf8" })
    assert.match(said, /Verified Successfully/)
  })
})

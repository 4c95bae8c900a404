import { createHash, createPublicKey, verify } from "node:crypto"
import { writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Evidence } from "../../../domain/artifact.ts"
import { billOf } from "../../../domain/evidence/bill.ts"
import { cyclonedxDocument } from "../../../domain/evidence/cyclonedx.ts"
import { preAuthenticationEncoding } from "../../../domain/evidence/dsse.ts"
import { spdxDocument } from "../../../domain/evidence/spdx.ts"
import { WorkerId } from "../../../domain/ids.ts"
import { Built, Resolved, Uploaded } from "../../../domain/job.ts"
import { Blobs } from "../../../domain/ports/blobs.ts"
import { AdvisoriesDebian } from "../../../infra/evidence/security-tracker.ts"
import { inventory, manifest } from "../../support/bills.ts"
import { anImage, api, aRequest, type Gateway, openGateway } from "./harness.ts"
import { aDigest, anArtifact, given } from "./scenes.ts"

let gateway: Gateway
let withData: Gateway
beforeAll(async () => {
  gateway = await openGateway({ publicUrl: "https://kiln.example/" })
  const file = join(gateway.folder, "data.json")
  writeFileSync(file, JSON.stringify({
    "gcc-14": { "CVE-2026-1": { description: "overflow", releases: { trixie: { status: "open", urgency: "low" } } }, "CVE-2026-2": { releases: { trixie: { status: "resolved", fixed_version: "15", urgency: "high" } } } },
    less: { "CVE-2020-1": { releases: { trixie: { status: "resolved", fixed_version: "600-1", urgency: "high" } } } }
  }))
  withData = await openGateway({}, AdvisoriesDebian(file) as Layer.Layer<never>)
})
afterAll(async () => {
  await gateway.close()
  await withData.close()
})

const stored = (to: Gateway, document: object) =>
  to.run(Effect.flatMap(Blobs, (blobs) => blobs.put(new TextEncoder().encode(JSON.stringify(document)))))

/** A compose whose image is built, delivered, and known in every detail. */
const told = async (to = gateway) => {
  const compose = await given(to, { ...aRequest, images: [{ ...anImage, test: false }] })
  const bill = billOf(manifest, anArtifact, inventory)!
  const [spdx, cyclonedx, lock] = [await stored(to, spdxDocument(bill, "0".repeat(64))), await stored(to, cyclonedxDocument(bill, "0".repeat(64))), await stored(to, { packages: [] })]
  const evidence: Evidence = { spdx, cyclonedx, tools: { dpkg: "1.22" } }
  await compose.started("0-resolve")
  await compose.succeeded("0-resolve", Resolved.make({ lock, packages: 2, downloadBytes: 6 }))
  await compose.started("0-build")
  await compose.succeeded("0-build", Built.make({ manifest: aDigest, artifact: anArtifact, heldBy: WorkerId.make("w1"), reused: false, evidence }))
  const rest = async () => {
    await compose.started("0-upload-0")
    await compose.succeeded("0-upload-0", Uploaded.make({ target: { type: "file" }, artifact: anArtifact }))
  }
  return { id: compose.id, evidence, lock, rest, at: (name: string) => `${api}/composes/${compose.id}/images/0/${name}` }
}

const digestOf = async (response: Response) => `sha256:${createHash("sha256").update(Buffer.from(await response.arrayBuffer())).digest("hex")}`

interface Signed {
  readonly payload: string
  readonly payloadType: string
  readonly signatures: ReadonlyArray<{ readonly keyid: string; readonly sig: string }>
}

const key = async (of = gateway) => await (await of.call(`${api}/keys/provenance`, { token: null })).json() as { key_id: string; pem: string; jwk: object }

describe("what is said of an image", () => {
  it("is found from the compose, and is what the worker has told", async () => {
    const { at, evidence, id, lock } = await told()
    const { images } = await (await gateway.call(`${api}/composes/${id}`)).json() as { images: ReadonlyArray<{ evidence: Record<string, string> }> }
    const links = images[0]!.evidence
    expect(links).toEqual({ provenance: at("provenance.dsse.json"), sbom_spdx: at("sbom.spdx.json"), sbom_cyclonedx: at("sbom.cdx.json"), lock: at("lock.json") })
    const answers = await Promise.all([links["sbom_spdx"]!, links["sbom_cyclonedx"]!, links["lock"]!].map((link) => gateway.call(link)))
    expect(answers.map(({ headers }) => headers.get("content-type"))).toEqual(["application/spdx+json", "application/vnd.cyclonedx+json; version=1.6", "application/json"])
    expect(await Promise.all(answers.map(digestOf))).toEqual([evidence.spdx, evidence.cyclonedx, lock].map((blob) => blob!.digest))
  })

  it("is not sent twice, and never asked for again once the compose has ended well", async () => {
    const { at, evidence, rest } = await told()
    const etag = `"${evidence.spdx!.digest}"`
    const before = await gateway.call(at("sbom.spdx.json"))
    expect([before.headers.get("etag"), before.headers.get("cache-control")]).toEqual([etag, "private, no-cache"])
    expect((await gateway.call(at("sbom.spdx.json"), { headers: { "if-none-match": etag } })).status).toBe(304)
    await rest()
    expect((await gateway.call(at("sbom.spdx.json"))).headers.get("cache-control")).toContain("immutable")
    // Another key would sign it anew.
    expect((await gateway.call(at("provenance.dsse.json"))).headers.get("cache-control")).toBe("private, no-cache")
  })

  it("is its tenant's alone", async () => {
    const { at, id } = await told()
    const token = await gateway.token({ tenant: "other" })
    for (const path of [at("sbom.spdx.json"), at("sbom.cdx.json"), at("lock.json"), at("provenance.dsse.json"), at("provenance.intoto.jsonl"), at("provenance.sigstore.json"), at("vulnerabilities"), `${api}/composes/${id}/checksums`]) {
      expect((await gateway.call(path, { token })).status, path).toBe(404)
      expect((await gateway.call(path, { token: null })).status, path).toBe(401)
    }
  })

  it("is not there before the image is, nor of an image that was not asked for", async () => {
    const { id } = await given(gateway, aRequest)
    const refused = async (path: string) => {
      const response = await gateway.call(`${api}/composes/${id}/images/${path}`)
      return [response.status, (await response.json() as { detail: string }).detail]
    }
    expect(await refused("0/provenance.dsse.json")).toEqual([404, "image 0 of this compose is not built"])
    expect(await refused("7/sbom.spdx.json")).toEqual([404, "the compose has no image 7"])
    expect((await refused("x/sbom.spdx.json"))[0]).toBe(400)
    const shown = await (await gateway.call(`${api}/composes/${id}`)).json() as { images: ReadonlyArray<object> }
    expect(shown.images[0]).not.toHaveProperty("evidence")
  })

  it("is provenance alone where the builder knows no more", async () => {
    const compose = await given(gateway)
    await compose.done()
    const at = (name: string) => `${api}/composes/${compose.id}/images/0/${name}`
    expect((await gateway.call(at("provenance.dsse.json"))).status).toBe(200)
    expect((await gateway.call(at("sbom.spdx.json"))).status).toBe(404)
    expect((await gateway.call(at("lock.json"))).status).toBe(404)
  })

  it("says why there is no bill of materials: in the compose, where the bill would be, and in what is signed", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.succeeded("0-build", Built.make({ manifest: aDigest, artifact: anArtifact, heldBy: WorkerId.make("w1"), reused: false, evidence: { noBill: "nobody knows" } }))
    const at = (name: string) => `${api}/composes/${compose.id}/images/0/${name}`
    const shown = await (await gateway.call(`${api}/composes/${compose.id}`)).json() as { images: ReadonlyArray<{ evidence: Record<string, string> }> }
    expect(shown.images[0]!.evidence).toEqual({ provenance: at("provenance.dsse.json"), no_sbom: "nobody knows" })
    const refused = await gateway.call(at("sbom.spdx.json"))
    expect([refused.status, (await refused.json() as { detail: string }).detail]).toEqual([404, "there is no bill of materials of this image: nobody knows"])
    const { payload } = await (await gateway.call(at("provenance.dsse.json"))).json() as Signed
    expect(JSON.parse(Buffer.from(payload, "base64").toString())).toMatchObject({ predicate: { runDetails: { metadata: { kiln_no_sbom: "nobody knows" }, byproducts: [] } } })
  })

  it("has checksums as sha256sum reads them", async () => {
    const { id, rest } = await told()
    await rest()
    const response = await gateway.call(`${api}/composes/${id}/checksums`)
    expect(await response.text()).toBe(`${"a".repeat(64)}  debian-13.qcow2\n`)
    const compose = await given(gateway)
    await compose.done({ ...anArtifact, filename: "odd\\\nname" })
    expect(await (await gateway.call(`${api}/composes/${compose.id}/checksums`)).text()).toBe(`\\${"a".repeat(64)}  odd\\\\\\nname\n`)
  })
})

describe("provenance", () => {
  it("is signed by the key that everybody may have, and names it", async () => {
    const { at } = await told()
    const { payload, payloadType, signatures: [signature] } = await (await gateway.call(at("provenance.dsse.json"))).json() as Signed
    const { jwk, key_id, pem } = await key()
    expect(signature!.keyid).toBe(key_id)
    const signed = preAuthenticationEncoding(payloadType, Buffer.from(payload, "base64"))
    expect(verify(null, signed, createPublicKey(pem), Buffer.from(signature!.sig, "base64"))).toBe(true)
    expect(verify(null, signed, createPublicKey({ key: jwk as never, format: "jwk" }), Buffer.from(signature!.sig, "base64"))).toBe(true)
    expect(await (await gateway.call(`${api}/keys/provenance.pem`, { token: null })).text()).toBe(pem)
  })

  it("is about the image's bytes, says who built it, and names its bills of materials", async () => {
    const { at, evidence, id } = await told()
    const { payload } = await (await gateway.call(at("provenance.dsse.json"))).json() as Signed
    expect(JSON.parse(Buffer.from(payload, "base64").toString())).toMatchObject({
      subject: [{ name: "debian-13.qcow2", digest: { sha256: "a".repeat(64) } }],
      predicate: {
        runDetails: {
          builder: { id: "https://kiln.example", version: { dpkg: "1.22" } },
          metadata: { invocationId: `urn:kiln:compose:${id}:0-build:1` },
          byproducts: [{ digest: { sha256: evidence.spdx!.digest.slice(7) } }, { digest: { sha256: evidence.cyclonedx!.digest.slice(7) } }]
        }
      }
    })
  })

  it("has the same bytes each time, and the same statement in each form", async () => {
    const { at, rest } = await told()
    const texts = async () => Promise.all(["dsse.json", "intoto.jsonl", "sigstore.json"].map(async (form) => (await gateway.call(at(`provenance.${form}`))).text()))
    const [dsse, lines, bundle] = await texts()
    await rest()
    expect(await texts()).toEqual([dsse, lines, bundle])
    expect(lines!.split("\n")).toHaveLength(2)
    expect([JSON.parse(lines!), JSON.parse(bundle!).dsseEnvelope]).toEqual([JSON.parse(dsse!), JSON.parse(dsse!)])
  })

  it("is verified by Sigstore's own library, with the key alone", async () => {
    const { at } = await told()
    const { pem } = await key()
    const load = createRequire(import.meta.url)
    const { bundleFromJSON } = load("@sigstore/bundle") as { bundleFromJSON(document: unknown): object }
    const { Verifier, toSignedEntity, toTrustMaterial } = load("@sigstore/verify") as Sigstore
    const trust = (publicKey: string) => toTrustMaterial({ certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] }, () => ({ publicKey: createPublicKey(publicKey), validFor: () => true }))
    const entity = (document: unknown) => toSignedEntity(bundleFromJSON(document))
    const verifier = (publicKey: string) => new Verifier(trust(publicKey), { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 })
    const document = await (await gateway.call(at("provenance.sigstore.json"))).json() as { dsseEnvelope: { payload: string } }
    verifier(pem).verify(entity(document))
    const { pem: another } = await key(withData)
    expect(() => verifier(another).verify(entity(document))).toThrow()
    document.dsseEnvelope.payload = Buffer.from("{}").toString("base64")
    expect(() => verifier(pem).verify(entity(document))).toThrow()
  })
})

interface Sigstore {
  readonly Verifier: new(trust: object, options: object) => { verify(entity: object): object }
  toSignedEntity(bundle: object): object
  toTrustMaterial(root: object, keys: (hint: string) => object): object
}

describe("known flaws", () => {
  it("are those of the sources that the image was made of", async () => {
    const { at } = await told(withData)
    const found = await (await withData.call(at("vulnerabilities"))).json() as Record<string, unknown>
    expect(found).toMatchObject({
      image: 0, distribution: "debian-13", counts: { high: 1, low: 1 },
      vulnerabilities: [
        { id: "CVE-2026-2", urgency: "high", status: "fixable", fixed_version: "15", source: { name: "gcc-14", version: "14.2.0-19" }, packages: ["libgcc-s1"] },
        { id: "CVE-2026-1", urgency: "low", status: "open", description: "overflow" }
      ]
    })
  })

  it("are not told without security data, but how to give it", async () => {
    const { at } = await told()
    const response = await gateway.call(at("vulnerabilities"))
    expect([response.status, (await response.json() as { detail: string }).detail]).toEqual([404, expect.stringContaining("KILN_SECURITY_TRACKER")])
  })
})

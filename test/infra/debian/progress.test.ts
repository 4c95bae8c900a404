import { describe, expect, it } from "vitest"
import { failureOf } from "../../../infra/debian/failures.ts"
import { baseProgress, stageOf } from "../../../infra/debian/progress.ts"
import { convertProgress } from "../../../infra/formats/progress.ts"

describe("how far a build is", () => {
  it("follows mmdebstrap's phases, and dpkg's lines within them, upwards only", () => {
    const lines = [
      "I: running apt-get update...",
      "I: downloading packages with apt...",
      "I: extracting archives...",
      "I: installing essential packages...",
      "Unpacking a (1) ...",
      "Setting up a (1) ...",
      "I: installing remaining packages inside the chroot...",
      "Unpacking b (1) ...",
      "noise",
      "I: creating tarball...",
      "I: success in 13.0675 seconds"
    ]
    const told = lines.map(baseProgress(2)).filter((percent) => percent !== undefined)
    expect(told).toEqual([...told].sort((a, b) => a - b))
    expect(told.at(-1)).toBe(100)
    expect(told.length).toBe(10)
  })

  it("is told by qemu-img in hundredths", () => {
    expect(convertProgress("    (12.34/100%)")).toBe(12.34)
    expect(convertProgress("anything else")).toBeUndefined()
  })

  it("is told by our own script in stages", () => expect(stageOf("kiln-stage disk")).toBe("disk"))
})

describe("a tool that failed", () => {
  it("is the requester's to mend when the script in the tree says so", () =>
    expect(
      failureOf("customizing", 3, ["said", 'kiln-user-error services.enabled: no unit "x" in the image'])
    ).toMatchObject({ class: "user", message: 'services.enabled: no unit "x" in the image', excerpt: "said" }))
  it("is the platform's when the disk is full", () =>
    expect(failureOf("customizing", 1, ["tar: ./a: Cannot write: No space left on device"])).toMatchObject({
      class: "platform",
      message: "customizing failed: no space left on this worker's disk"
    }))
  it("is the platform's otherwise, with its last words", () =>
    expect(failureOf("customizing", 2, ["one", "two"])).toMatchObject({
      class: "platform",
      message: "customizing failed (exit 2)",
      excerpt: "one\ntwo"
    }))
})

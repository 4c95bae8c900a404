/** The contract of builders for the one that makes real images. That it can be canceled and killed is in debian-build.test.ts. */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { describe } from "@effect/vitest"
import { debianBuilder } from "../../infra/debian/builder.ts"
import { buildImpossible, configOf, sharedCache, specOf } from "../infra/debian/real.ts"
import { imageBuilderContract } from "../infra/image-builder.contract.ts"
import { skipWhere } from "../support/needs.ts"

const impossible = await buildImpossible()

describe("the debian builder", () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  imageBuilderContract({
    // Bytes are equal for one kind of scratch: none of the builds may find that memory has become too little for it.
    builder: debianBuilder({ ...configOf(sharedCache), scratch: process.availableMemory() < 8 * 2 ** 30 ? "disk" : "auto" }),
    sound: [specOf({ hostname: "one" }), specOf({ hostname: "two" })],
    failing: { spec: specOf({ timezone: "Mars/Olympus" }), class: "user", message: /^timezone: no time zone "Mars\/Olympus"/ },
    contentOf: ({ path }) => createHash("sha256").update(readFileSync(path)).digest("hex")
  })
})

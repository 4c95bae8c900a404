import { readFileSync } from "node:fs"
import { describe } from "@effect/vitest"
import type { ImageSpec } from "../../../domain/manifest.ts"
import { simulatedBuilder } from "../../../infra/simulated/simulated-builder.ts"
import { imageBuilderContract } from "../image-builder.contract.ts"

const of = (options: NonNullable<ImageSpec["image"]["options"]>): ImageSpec =>
  ({ distribution: "test-distro-1", image: { architecture: "x86_64", type: "simulated", options }, customizations: {} })

describe("the simulated builder", () => {
  imageBuilderContract({
    builder: simulatedBuilder,
    sound: [of({ lines: 3, bytes: 100 }), of({ lines: 3, bytes: 200_000 })],
    failing: { spec: of({ fail_with: "repository" }), class: "repository", message: /asked to fail/, excerpt: /simulated failure/ },
    contentOf: ({ path }) => readFileSync(path).toString("latin1")
  })
})

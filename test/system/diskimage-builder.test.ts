/** The contract of builders for diskimage-builder itself, where it is installed, with an element that needs no distribution. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe } from "@effect/vitest"
import { Schema } from "effect"
import type { ImageSpec } from "../../domain/manifest.ts"
import { diskimageBuilder } from "../../infra/diskimage-builder/builder.ts"
import { DibDistribution } from "../../infra/diskimage-builder/settings.ts"
import { imageBuilderContract } from "../infra/image-builder.contract.ts"
import { needs, skipWhere } from "../support/needs.ts"
import { tinyElement } from "../support/tiny-element.ts"

const folder = mkdtempSync(join(tmpdir(), "kiln-test-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const of = (parameters = {}): ImageSpec => ({ distribution: "real", image: { architecture: "x86_64", type: "tree", options: { parameters } }, customizations: {} })
const greeting = { greeting: { pattern: "[a-z]+", default: "hello" } }

const elements = tinyElement(folder, `echo "$DIB_GREETING" >"$TARGET_ROOT/etc/greeting"
echo "the greeting is $DIB_GREETING"
case $DIB_GREETING in
  fail) echo "E: Failed to fetch something" >&2; exit 7 ;;
  sleep) sleep 300 ;;
esac
`)

describe("the diskimage-builder builder, with the tool itself", () => {
  needs("disk-image-create", "sudo")
  skipWhere(process.geteuid?.() !== 0, "diskimage-builder works as root only")
  const builder = diskimageBuilder([Schema.decodeUnknownSync(DibDistribution)({
    distribution: "real", builder: "diskimage-builder", program: ["disk-image-create", "-n"], elements: ["kiln-tiny"], elements_path: [elements],
    env: { DIB_IMAGE_SIZE: "1" }, architectures: { x86_64: { tree: { format: "tar", parameters: greeting, parameter_env: { greeting: "DIB_GREETING" } } } }
  })], join(folder, "real-cache"))
  imageBuilderContract({
    builder, sound: [of(), of({ greeting: "hi" })], endless: { ...of({ greeting: "sleep" }), begun: /the greeting is sleep/ },
    contentOf: ({ path }) => execFileSync("tar", ["--extract", "--to-stdout", "--file", path, "./etc/greeting"], { encoding: "utf8" }),
    failing: { spec: of({ greeting: "fail" }), class: "repository", message: /could not fetch/, excerpt: /Failed to fetch something/ }
  })
})

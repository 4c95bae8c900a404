import { assert, describe, it } from "@effect/vitest"
import { metered } from "../../../apps/worker/metered.ts"
import type { Progress } from "../../../domain/ports/image-builder.ts"

const mebi = 1 << 20

describe("how fast an upload goes", () => {
  const meter = () => {
    const said: Array<Progress> = []
    let time = 0
    const report = metered({ progress: (progress) => void said.push(progress), line: () => {} }, () => time)
    const at = (ms: number, bytesDone: number | undefined, stage = "upload") => {
      time = ms
      report.progress({ stage, percent: 1, ...(bytesDone !== undefined && { bytesDone }) })
      return said.at(-1)!.bytesPerSecond
    }
    return at
  }
  it("is not told before it can be known, and what was there already is no speed", () => {
    const at = meter()
    assert.deepStrictEqual([at(0, 500 * mebi), at(500, 505 * mebi), at(1000, 510 * mebi), at(2000, 520 * mebi)], [undefined, undefined, 10 * mebi, 10 * mebi])
  })
  it("is that of the last seconds", () => {
    const at = meter()
    at(0, 0)
    for (let second = 1; second <= 20; second++) at(second * 1000, second * mebi)
    assert.approximately(at(30_000, 120 * mebi)!, 10 * mebi, mebi)
  })
  it("begins anew with another stage, or where bytes are counted anew", () => {
    const at = meter()
    at(0, 0)
    at(2000, 20 * mebi)
    assert.isUndefined(at(3000, 0, "import"))
    assert.isUndefined(at(3500, undefined, "import"))
    assert.isUndefined(at(4000, 5, "upload"))
  })
})

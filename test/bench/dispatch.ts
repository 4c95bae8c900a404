import { atMost, type Bench, percentile, told } from "./bench.ts"
import { dispatchTimes } from "./dispatch-times.ts"
import { withStack } from "./stack.ts"

const count = 300
const body = JSON.stringify({ distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { bytes: 1 } }] })

export const dispatch: Bench = {
  name: "dispatch",
  about: "time from the answer of a POST to the start of the worker's handler, on an idle stack",
  run: () =>
    withStack({}, async (stack) => {
      const times = await dispatchTimes(stack, body, count)
      return [
        atMost("p50", percentile(times, 0.5), 10, "ms"), atMost("p99", percentile(times, 0.99), 40, "ms"), told("maximum", Math.max(...times), "ms")
      ]
    })
}

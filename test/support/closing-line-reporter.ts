/** Ends a run with what was skipped and why, what needed a second try, and one line that programs can read. */
import type { Reporter, TestCase, TestModule } from "vitest/node"

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<unknown>) {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const count = (state: string) => tests.filter((test) => test.result().state === state).length
    // A file that does not load and an error outside any test are failures without a test of their own.
    const failed = count("failed") + errors.length + modules.filter(brokenAlone).length
    const skips = new Set(tests.map(skipped).filter((line) => line !== undefined))
    const again = tests.map(triedAgain).filter((line) => line !== undefined)
    // After everything else that reporters still have to say, and when it is known whether the run failed as such.
    process.once("exit", (code) => {
      const failures = code === 0 ? failed : Math.max(failed, 1)
      console.log([...skips, ...again, `${count("passed")} passed, ${failures} failed, ${count("skipped")} skipped`].join("\n"))
    })
  }
}

const skipped = (test: TestCase) => {
  const result = test.result()
  return result.state === "skipped" ? `skipped: ${test.fullName}: ${result.note ?? "no reason given"}` : undefined
}

const triedAgain = (test: TestCase) => {
  const [first] = test.result().errors ?? []
  return test.diagnostic()?.flaky === true ? `passed at the second try: ${test.fullName}: ${first?.message.split("\n")[0] ?? "no error given"}` : undefined
}

const brokenAlone = (module: TestModule) =>
  module.state() === "failed" && ![...module.children.allTests()].some((test) => test.result().state === "failed")

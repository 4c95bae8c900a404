/**
 * What streams bring lies outside of the heap, which therefore does not fill, so that nobody collects what was dropped:
 * a hundred megabytes pile up where one would do. Collecting what is young takes a millisecond.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

const bytesBetween = 8 << 20

let collect: ((options: { readonly type: "minor" }) => void) | undefined

/** To be told of bytes as they go by. */
export const collectOften = () => {
  let passed = 0
  return (bytes: number): void => {
    passed += bytes
    if (passed < bytesBetween) return
    passed = 0
    collect ??= collector()
    collect({ type: "minor" })
  }
}

const collector = () => {
  setFlagsFromString("--expose-gc")
  return runInNewContext("gc") as NonNullable<typeof collect>
}

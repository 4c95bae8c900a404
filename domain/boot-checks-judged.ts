/** One thing of a booted machine that was looked at, and how it is put. */
import type { Check } from "./boot-test.ts"

/** `isOwn`: it is about what the requester has brought, so it is his to mend. */
export interface Judged extends Check {
  readonly isOwn: boolean
}

export const of = (name: string, passed: boolean, message: string, isOwn = true): Judged => ({
  name: name.slice(0, 200), passed, ...(!passed && { message: message.slice(0, 4000) }), isOwn
})

export const same = (name: string, expected: string, found: string): Judged =>
  of(name, expected === found, `expected ${expected}, found ${found === "" ? "nothing" : found}`)

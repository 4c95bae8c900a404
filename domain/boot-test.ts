/** Booting an image to see that it does: what can be asked of it, and what came of it. */
import { Schema } from "effect"
import { Blob } from "./artifact.ts"

export const Firmware = Schema.Literals(["uefi", "bios"])
export type Firmware = typeof Firmware.Type

const optional = Schema.optionalKey

export const TestOptions = Schema.Struct({
  /** In which firmwares it has to boot; in both unless it is said. */
  firmware: optional(Schema.NonEmptyArray(Firmware).check(Schema.isMaxLength(2), Schema.isUnique())),
  /** Until it is ready, each time. */
  timeout_seconds: optional(Schema.Int.check(Schema.isBetween({ minimum: 5, maximum: 1200 }))),
  /** Run as root in the booted machine, by `/bin/sh` or by what its first line names; it passes by ending with 0. */
  script: optional(Schema.String.check(
    Schema.isPattern(/^[^\u0000\ud800-\udfff]+$/u, { expected: "the text of a program, without NUL and half surrogate pairs" }), Schema.isMaxLength(65_536)
  )),
  /** Somebody has to listen there. */
  ports: optional(Schema.Array(Schema.String.check(
    Schema.isPattern(/^([1-9][0-9]{0,4}):(tcp|udp)$/u, { expected: "a port and its protocol, such as 22:tcp" })
  )).check(Schema.isMaxLength(64)))
})
export type TestOptions = typeof TestOptions.Type

/** Unless it is said, what can boot is tested where that can be done. `true` and options insist on it, `false` spares it. */
export const TestRequest = Schema.Union([Schema.Boolean, TestOptions])
export type TestRequest = typeof TestRequest.Type

/** One thing that was looked at; `message` says what was wrong, and what the script has printed. */
export const Check = Schema.Struct({
  name: Schema.String.check(Schema.isMaxLength(200)),
  passed: Schema.Boolean,
  message: optional(Schema.String.check(Schema.isMaxLength(4000)))
})
export type Check = typeof Check.Type

/** Without `readyMs` it was never ready. `console`: gzip of all that its serial port said. `screenshot`: PNG. */
const bootOf = <Text extends Schema.Top>(text: Text) =>
  Schema.Struct({
    firmware: Firmware,
    passed: Schema.Boolean,
    readyMs: optional(Schema.Int),
    tookMs: Schema.Int,
    checks: Schema.Array(Check).check(Schema.isMaxLength(1000)),
    console: text,
    screenshot: optional(text)
  })
const reportOf = <Text extends Schema.Top>(text: Text) =>
  Schema.Struct({ accelerator: Schema.Literals(["kvm", "tcg"]), boots: Schema.Array(bootOf(text)).check(Schema.isMaxLength(2)) })

/** As the log keeps it. Stored for good. */
export const TestReport = reportOf(Blob)
export type TestReport = typeof TestReport.Type

/** As a worker says it: bytes in base64. */
export const WorkTestReport = reportOf(Schema.String)
export type WorkTestReport = typeof WorkTestReport.Type

/** Both need somebody who can do it; only whoever insists is told that nobody could. */
export const insists = (test: TestRequest | undefined): boolean => test === true || typeof test === "object"
export const testOptionsOf = (test: TestRequest | undefined): TestOptions => (typeof test === "object" ? test : {})

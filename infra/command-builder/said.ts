/** What a program of the command contract says, a line at a time. Pure. */
import { Result, Schema } from "effect"
import type { Progress } from "../../domain/ports/image-builder.ts"
import { storable } from "../../domain/text.ts"
import { Made } from "../builders/artifact-in.ts"

const optional = Schema.optionalKey
const Bytes = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** Its own fault, or another's: who has to do something about it. */
export const ProgramFailure = Schema.Struct({
  class: Schema.Literals(["user", "repository", "platform", "timeout"]),
  message: storable(2000)
})
export type ProgramFailure = typeof ProgramFailure.Type

/** `inventory`: a list of its packages, in a file beside it. */
const SaidArtifact = Schema.Struct({ ...Made.fields, inventory: optional(Schema.NonEmptyString) })
export type SaidArtifact = typeof SaidArtifact.Type

const Said = Schema.Union([
  Schema.Struct({ artifact: SaidArtifact }),
  Schema.Struct({ failure: ProgramFailure }),
  Schema.Struct({
    stage: storable(80), percent: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 100 })), bytes_done: optional(Bytes), bytes_total: optional(Bytes)
  }),
  Schema.Struct({ line: Schema.String })
])
export type Said = typeof Said.Type

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Said))

/** What is no JSON object of the contract is a line of text: programs talk. */
export const saidOf = (line: string): Said => {
  if (!line.startsWith("{")) return { line }
  return Result.getOrElse(decode(line), () => isEnd(line) ? { failure: { class: "platform", message: `the program's last word is not as agreed: ${line.slice(0, 500)}` } } : { line })
}

const isEnd = (line: string) => /^\{\s*"(artifact|failure)"\s*:/.test(line)

type SaidProgress = Extract<Said, { readonly stage: string }>

export const progressOf = ({ stage, percent, bytes_done: bytesDone, bytes_total: bytesTotal }: SaidProgress): Progress =>
  ({ stage, percent, ...(bytesDone !== undefined && { bytesDone }), ...(bytesTotal !== undefined && { bytesTotal }) })

/** What an end without a word means: EX_DATAERR and EX_UNAVAILABLE of sysexits.h, for programs that talk no JSON. */
export const classOfExit = (code: number): ProgramFailure["class"] => code === 65 ? "user" : code === 69 ? "repository" : "platform"

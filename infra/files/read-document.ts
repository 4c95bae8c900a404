/** A file that an operator writes, JSON or YAML, read once at start. What is wrong with it is told in one line. */
import { readFile } from "node:fs/promises"
import { Effect, type Schema, SchemaIssue } from "effect"
import { parse } from "yaml"

export interface Document<A, E> {
  readonly path: string
  readonly decode: (document: unknown) => Effect.Effect<A, Schema.SchemaError>
  /** What a file with nothing in it means. */
  readonly empty?: unknown
  /** Whether YAML's merge keys (`<<`) are heard. */
  readonly merge?: boolean
  readonly wrong: (message: string) => E
}

export const readDocument = <A, E>({ decode, empty = {}, merge = false, path, wrong }: Document<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function*() {
    const text = yield* Effect.tryPromise({
      try: () => readFile(path, "utf8"),
      catch: (error) => wrong((error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message)
    })
    const document = yield* Effect.try({
      // JSON is YAML too.
      try: (): unknown => parse(text, { maxAliasCount: 100, merge }) ?? empty,
      catch: (error) => wrong((error as Error).message.trim())
    })
    return yield* decode(document).pipe(Effect.mapError(({ issue }) => wrong(faultsOf(issue).join("; "))))
  })

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const faultsOf = (issue: SchemaIssue.Issue): ReadonlyArray<string> =>
  format(issue).issues.map(({ message, path = [] }) => {
    const place = path.map((segment) => String(typeof segment === "object" ? segment.key : segment)).join(".")
    return `${place || "the file"}: ${message}`
  })

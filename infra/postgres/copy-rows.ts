/** New rows by COPY: the server reads them in half the time that a statement with JSON takes it. */
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import type { ColumnType, Projection } from "../../projections/projection.ts"
import type { Generation } from "../../projections/projection-store.ts"
import { columnsOf, snake, storableText, tableOf, toJson } from "./projection-tables.ts"
import type { Row } from "./take-batch.ts"
import type { Transaction } from "./transaction.ts"

const rowsInChunk = 200

/** None of them may be there. */
export const copyRows = async (tx: Transaction, projection: Projection, generation: Generation, rows: ReadonlyArray<Row>): Promise<void> => {
  const columns = columnsOf(projection).map(([name, { type }]) => ({ name, write: writers[type] }))
  const lineOf = (row: Row) => columns.map(({ name, write }) => row[name] === null || row[name] === undefined ? "\\N" : write(row[name])).join("\t")
  function* chunks() {
    for (let at = 0; at < rows.length; at += rowsInChunk) yield Buffer.from(`${rows.slice(at, at + rowsInChunk).map(lineOf).join("\n")}\n`)
  }
  const sink = await tx.unsafe(`copy ${tableOf(projection, generation)} (${columns.map(({ name }) => snake(name)).join(", ")}) from stdin`).writable()
  await pipeline(Readable.from(chunks()), sink)
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" }
const escaped = (text: string): string => /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (each) => escapes[each]!) : text

const plain = (value: unknown): string => String(value)
const text = (value: unknown): string => escaped(storableText(String(value)))
const words = (value: unknown): string => (value as ReadonlyArray<string>).map((word) => `"${storableText(word).replace(/["\\]/g, "\\$&")}"`).join(",")

const writers: Readonly<Record<ColumnType, (value: unknown) => string>> = {
  text, integer: plain, bigint: plain, boolean: plain, millis: plain,
  json: (value) => escaped(toJson(value)),
  terms: (value) => escaped(`{${words(value)}}`)
}

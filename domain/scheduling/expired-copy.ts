/** A copy whose time is over, as the scheduler tells those who ask. */
import { Schema } from "effect"
import { ComposeId, Millis } from "../ids.ts"
import type { Expired } from "../retention.ts"

export const ExpiredCopy = Schema.Struct({
  composeId: ComposeId,
  image: Schema.Int,
  target: Schema.Int,
  type: Schema.String,
  bytes: Schema.Int,
  deliveredAt: Millis,
  why: Schema.Literals(["age", "count"])
})
export type ExpiredCopy = typeof ExpiredCopy.Type

export const expiredCopyOf = ({ composeId, copy: { at, bytes, type }, image, target, why }: Expired): ExpiredCopy =>
  ({ composeId, image, target, type, bytes, deliveredAt: Millis.make(at), why })

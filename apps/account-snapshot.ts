/** An account as text, so that a cold reader need not read it from its beginning. */
import { HashMap, Schema } from "effect"
import type { Account } from "../domain/account.ts"
import { ComposeId, Millis } from "../domain/ids.ts"
import { Policy } from "../domain/policy.ts"

const AccountSnapshot = Schema.fromJsonString(Schema.Struct({
  /** Raise it when the meaning of a field changes; others are read from the beginning. */
  version: Schema.Literal(2),
  revision: Schema.Int,
  override: Schema.optionalKey(Policy),
  open: Schema.Array(Schema.Struct({ composeId: ComposeId, at: Millis, bytes: Schema.Int })),
  moments: Schema.Array(Schema.Struct({ at: Millis, count: Schema.Int })),
  storedBytes: Schema.Int,
  settledUpTo: Schema.Record(Schema.String, Schema.Int)
}))

const encode = Schema.encodeSync(AccountSnapshot)
const decode = Schema.decodeUnknownOption(AccountSnapshot)

export interface KnownAccount {
  readonly account: Account
  readonly revision: number
}

export const encodeAccount = ({ account: { moments, open, override, settledUpTo, storedBytes }, revision }: KnownAccount): string =>
  encode({
    version: 2, revision, moments, storedBytes, settledUpTo, ...(override !== undefined && { override }),
    open: HashMap.toEntries(open).map(([composeId, reservation]) => ({ composeId, ...reservation }))
  })

/** Nothing, if it cannot be read or is of another version. */
export const decodeAccount = (text: string): KnownAccount | undefined => {
  const decoded = decode(text)
  if (decoded._tag === "None") return undefined
  const { moments, open, override, revision, settledUpTo, storedBytes } = decoded.value
  const openBytes = open.reduce((total, { bytes }) => total + bytes, 0)
  return {
    revision,
    account: {
      override, moments, storedBytes, settledUpTo, openBytes,
      open: HashMap.fromIterable(open.map(({ composeId, ...reservation }) => [composeId, reservation] as const))
    }
  }
}

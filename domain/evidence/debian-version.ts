/** Which of two Debian versions is newer, by Debian Policy 5.6.12. */

/** Below, at or above zero, as `a` is older than, the same as or newer than `b`. */
export const compareVersions = (a: string, b: string): number => {
  const [left, right] = [partsOf(a), partsOf(b)]
  return left.epoch - right.epoch || compareParts(left.upstream, right.upstream) || compareParts(left.revision, right.revision)
}

const partsOf = (version: string) => {
  const text = version.trim()
  const colon = text.indexOf(":")
  const rest = text.slice(colon + 1)
  const hyphen = rest.lastIndexOf("-")
  return {
    epoch: colon < 0 ? 0 : Number.parseInt(text.slice(0, colon), 10) || 0,
    upstream: hyphen < 0 ? rest : rest.slice(0, hyphen),
    // An absent revision is the same as 0.
    revision: hyphen < 0 ? "" : rest.slice(hyphen + 1)
  }
}

/** By turns what is no digits and what is. */
const pieces = /([^0-9]*)([0-9]*)/g

const compareParts = (a: string, b: string): number => {
  const [left, right] = [[...a.matchAll(pieces)], [...b.matchAll(pieces)]]
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [, words = "", digits = ""] = left[at] ?? []
    const [, otherWords = "", otherDigits = ""] = right[at] ?? []
    const order = compareWords(words, otherWords) || compareNumbers(digits, otherDigits)
    if (order !== 0) return order
  }
  return 0
}

/** A tilde comes even before the end, letters before all other signs. */
const weight = (sign: string | undefined): number => {
  if (sign === undefined) return 0
  if (sign === "~") return -1
  return /[A-Za-z]/.test(sign) ? sign.charCodeAt(0) : sign.charCodeAt(0) + 256
}

const compareWords = (a: string, b: string): number => {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const order = weight(a[at]) - weight(b[at])
    if (order !== 0) return order
  }
  return 0
}

/** Versions hold dates and hashes, longer than numbers are exact. */
const compareNumbers = (a: string, b: string): number => {
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")]
  return left.length - right.length || (left < right ? -1 : left > right ? 1 : 0)
}

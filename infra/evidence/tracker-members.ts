/** The members of one large JSON object, one after the other, so that it is never in memory as a whole. */

const [quote, backslash, open, close, openList, closeList, colon, comma] = ["\"", "\\", "{", "}", "[", "]", ":", ","].map((sign) => sign.charCodeAt(0))

/** Every member's name and value as JSON text. Fails when the bytes end early or are no object. */
export async function* membersOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly [name: string, value: string]> {
  let [depth, inString, escaped, ended] = [0, false, false, false]
  let pending: Array<Buffer> = []
  let name: string | undefined
  const text = () => {
    const whole = Buffer.concat(pending).toString("utf8").trim()
    pending = []
    return whole
  }
  for await (const chunk of chunks) {
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      if (inString) {
        if (escaped) escaped = false
        else if (byte === backslash) escaped = true
        else if (byte === quote) inString = false
        continue
      }
      if (byte === quote) inString = true
      else if (byte === open || byte === openList) {
        depth += 1
        if (depth === 1) from = at + 1
      } else if (depth === 1 && byte === colon && name === undefined) {
        pending.push(chunk.subarray(from, at))
        name = JSON.parse(text()) as string
        from = at + 1
      } else if (byte === close || byte === closeList || byte === comma) {
        if (byte !== comma) depth -= 1
        if (byte === comma ? depth !== 1 : depth !== 0) continue
        pending.push(chunk.subarray(from, at))
        const value = text()
        if (name !== undefined) yield [name, value]
        name = undefined
        from = at + 1
        ended = depth === 0
      }
    }
    if (depth > 0) pending.push(Buffer.from(chunk.subarray(from)))
  }
  if (!ended) throw new Error("it ends in the middle, or is no JSON object")
}

/** Names like the one that was not found. Pure. */

/** Edits between two words, or more than `most`. */
const distance = (a: string, b: string, most: number): number => {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const cost = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
      row.push(cost)
      least = Math.min(least, cost)
    }
    if (least > most) return most + 1
    previous = row
  }
  return previous[b.length]!
}

/** At most `limit` names: few edits away, or beginning with what was asked for, or the other way round. */
export const nearestNames = (names: Iterable<string>, wanted: string, limit = 3): ReadonlyArray<string> => {
  const most = wanted.length < 7 ? 1 : 2
  const found: Array<{ readonly name: string; readonly rank: number }> = []
  for (const name of names) {
    const edits = distance(wanted, name, most)
    if (edits <= most) found.push({ name, rank: edits })
    else if (name.startsWith(`${wanted}-`)) found.push({ name, rank: 3 + name.length / 1000 })
    else if (wanted.startsWith(`${name}-`)) found.push({ name, rank: 4 - name.length / 1000 })
  }
  return found
    .sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1))
    .slice(0, limit)
    .map(({ name }) => name)
}

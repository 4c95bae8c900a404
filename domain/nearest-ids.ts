/** Ids like the one that is not there: as somebody has it who read or copied it badly. Pure. */

const most = 3

const sameAtStart = (one: string, other: string): number => {
  let count = 0
  while (count < one.length && one[count] === other[count]) count += 1
  return count
}
const sameInPlace = (one: string, other: string): number => [...one].filter((letter, place) => letter === other[place]).length

/** Those that begin as it does, or have most of its letters where it has them; the likest first. */
export const nearestIds = (ids: ReadonlyArray<string>, wanted: string): ReadonlyArray<string> =>
  ids.map((id) => ({ id, start: sameAtStart(wanted, id), same: sameInPlace(wanted, id) }))
    .filter(({ same, start }) => start >= Math.min(4, wanted.length) || same > wanted.length / 2)
    .toSorted((one, other) => other.same - one.same)
    .slice(0, most).map(({ id }) => id)

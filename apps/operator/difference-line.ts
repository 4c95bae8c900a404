import type { Difference } from "../../domain/image-difference.ts"
import { harmless } from "./output.ts"

export const differenceLine = ({ fields = {}, what, where }: Difference): string =>
  harmless([`${where}: ${what}`, ...Object.entries(fields).map(([name, [one, other]]) => `${name} ${one} and ${other}`)].join(", "))

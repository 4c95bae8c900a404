/** Which firmware a disk starts with, read off its partition table. */
import { open } from "node:fs/promises"

export interface Starts {
  readonly bios: boolean
  readonly uefi: boolean
}

const sector = 512
const efiSystem = "28732ac11ff8d211ba4b00a0c93ec93b"
const biosBoot = "4861682149646f6e744e656564454649"

export const diskStarts = async (path: string): Promise<Starts> => {
  await using file = await open(path, "r")
  const start = Buffer.alloc(2 * sector)
  await file.read(start, 0, start.length, 0)
  if (start.readUInt16LE(510) !== 0xaa55) return { bios: false, uefi: false }
  const loads = start.subarray(0, 440).some((byte) => byte !== 0)
  if (start.toString("latin1", sector, sector + 8) !== "EFI PART") {
    const kinds = [0, 1, 2, 3].map((index) => start[446 + 16 * index + 4])
    return { bios: loads, uefi: kinds.includes(0xef) }
  }
  const [at, count, size] = [Number(start.readBigUInt64LE(sector + 72)), start.readUInt32LE(sector + 80), start.readUInt32LE(sector + 84)]
  if (size < 128 || size * count > 2 ** 20) return { bios: loads, uefi: false }
  const table = Buffer.alloc(size * count)
  await file.read(table, 0, table.length, at * sector)
  const kinds = Array.from({ length: count }, (_, index) => table.toString("hex", index * size, index * size + 16))
  return { bios: loads || kinds.includes(biosBoot), uefi: kinds.includes(efiSystem) }
}

/** The 512 bytes that make a raw disk a fixed VHD, the same that `infra/formats/vhd-footer.pl` writes. Pure. */
import { createHash } from "node:crypto"

export const footerSize = 512

/** What the format takes for chance comes from where the partition table is, which names the disk. */
export const identityOf = (firstMiB: Uint8Array, size: number): Buffer =>
  createHash("sha256").update(firstMiB).update(`${size}\n`).digest().subarray(0, 16)

export const vhdFooter = (size: number, identity: Uint8Array): Buffer => {
  const { cylinders, heads, perTrack } = geometryOf(size)
  const footer = Buffer.alloc(footerSize)
  footer.write("conectix", 0, "latin1")
  footer.writeUInt32BE(2, 8)
  footer.writeUInt32BE(0x10000, 12)
  footer.fill(0xff, 16, 24)
  // No time of making: 0 stands for the format's first second. By this maker's name readers know that the size is meant.
  footer.write("qem2", 28, "latin1")
  footer.writeUInt32BE(0x50003, 32)
  footer.write("Wi2k", 36, "latin1")
  footer.writeBigUInt64BE(BigInt(size), 40)
  footer.writeBigUInt64BE(BigInt(size), 48)
  footer.writeUInt16BE(cylinders, 56)
  footer[58] = heads
  footer[59] = perTrack
  footer.writeUInt32BE(2, 60)
  footer.set(identity, 68)
  footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64)
  return footer
}

/** Of the format's specification; readers that know better go by the size. */
const geometryOf = (size: number) => {
  const sectors = Math.min(size / 512, 65535 * 16 * 255)
  if (sectors >= 65535 * 16 * 63) return { cylinders: Math.floor(Math.floor(sectors / 255) / 16), heads: 16, perTrack: 255 }
  let perTrack = 17
  let tracks = Math.floor(sectors / perTrack)
  let heads = Math.max(4, Math.floor((tracks + 1023) / 1024))
  if (tracks >= heads * 1024 || heads > 16) {
    [perTrack, heads] = [31, 16]
    tracks = Math.floor(sectors / perTrack)
  }
  if (tracks >= heads * 1024) {
    [perTrack, heads] = [63, 16]
    tracks = Math.floor(sectors / perTrack)
  }
  return { cylinders: Math.floor(tracks / heads), heads, perTrack }
}

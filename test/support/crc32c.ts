/** CRC-32C (Castagnoli), as Cloud Storage writes it: four bytes, the highest first, in Base64. */
const table = Int32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

export const crc32c = (bytes: Uint8Array, before = 0): number => {
  let value = ~before
  for (let at = 0; at < bytes.length; at++) value = table[(value ^ bytes[at]!) & 255]! ^ (value >>> 8)
  return ~value >>> 0
}

export const base64OfCrc = (value: number): string => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes.toString("base64")
}

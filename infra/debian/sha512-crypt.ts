/** `$6$` crypt hashes, as glibc's crypt makes them. Pure; a child process would have to be told the password. */
import { createHash } from "node:crypto"

const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
const rounds = 5000

const sha512 = (...parts: ReadonlyArray<Buffer>) => {
  const hash = createHash("sha512")
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** `length` bytes of `block`, again and again. */
const stretched = (block: Buffer, length: number) => Buffer.alloc(length, block)

const encoded = (digest: Buffer): string => {
  let text = ""
  const put = (value: number, count: number) => {
    for (let i = 0; i < count; i++) text += alphabet[(value >> (6 * i)) & 63]
  }
  for (let i = 0; i < 21; i++) {
    // The three bytes of a group stand 21 apart, and turn by one place from group to group.
    const [a, b, c] = [i, i + 21, i + 42]
    const [x, y, z] = [
      [a, b, c],
      [b, c, a],
      [c, a, b]
    ][i % 3] as [number, number, number]
    put((digest[x]! << 16) | (digest[y]! << 8) | digest[z]!, 4)
  }
  put(digest[63]!, 2)
  return text
}

/** `salt`: up to 16 characters of `./0-9A-Za-z`. */
export const sha512Crypt = (password: string, salt: string): string => {
  const key = Buffer.from(password)
  const pinch = Buffer.from(salt.slice(0, 16))
  const other = sha512(key, pinch, key)
  const first: Array<Buffer> = [key, pinch, stretched(other, key.length)]
  for (let length = key.length; length > 0; length >>= 1) first.push(length & 1 ? other : key)
  let digest = sha512(...first)
  const p = stretched(sha512(...Array<Buffer>(key.length).fill(key)), key.length)
  const s = stretched(sha512(...Array<Buffer>(16 + digest[0]!).fill(pinch)), pinch.length)
  for (let round = 0; round < rounds; round++) {
    const parts = [round % 2 ? p : digest]
    if (round % 3) parts.push(s)
    if (round % 7) parts.push(p)
    parts.push(round % 2 ? digest : p)
    digest = sha512(...parts)
  }
  return `$6$${pinch.toString()}$${encoded(digest)}`
}

/** A salt that is the same for the same seed, so that the same secret gives the same image. */
export const saltOf = (seed: string): string =>
  [...createHash("sha256").update(seed).digest().subarray(0, 16)].map((byte) => alphabet[byte & 63]).join("")

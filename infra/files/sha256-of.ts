/** Of large files, without their bytes piling up in memory: a stream's buffers stay until somebody collects them. */
import { createHash } from "node:crypto"
import { open } from "node:fs/promises"
import { readBuffer } from "./read-buffer.ts"

const length = 1 << 18

/** By two small buffers: one is read into while the other is hashed. */
export const sha256Of = async (path: string): Promise<string> => {
  const hash = createHash("sha256")
  const buffers = [readBuffer(length), readBuffer(length)] as const
  const file = await open(path)
  try {
    let next = file.read(buffers[0], 0, length)
    for (;;) {
      const { buffer, bytesRead } = await next
      if (bytesRead === 0) return hash.digest("hex")
      next = file.read(buffer === buffers[0] ? buffers[1] : buffers[0], 0, length)
      hash.update(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

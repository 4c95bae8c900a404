/** A file as the fixed VHD that Azure wants, without a second copy: a raw disk is rounded up and has its footer in memory. */
import { execFile } from "node:child_process"
import { type FileHandle, open } from "node:fs/promises"
import { promisify } from "node:util"
import { footerSize, identityOf, vhdFooter } from "./vhd-footer.ts"

const MiB = 2 ** 20
export const chunkSize = 4 * MiB

export interface Disk {
  /** Of the disk in it, whole MiB; the footer comes behind. */
  readonly size: number
  readonly footer: Buffer
  /** Chunks in which the file has anything but holes. */
  readonly chunks: ReadonlyArray<number>
  /** Of chunk `index`, at the buffer's beginning. */
  read(index: number, buffer: Buffer): Promise<Buffer>
  close(): Promise<void>
}

export class NoVhd extends Error {}

export const openDisk = async (path: string, fileSize: number, isVhd: boolean): Promise<Disk> => {
  const file = await open(path)
  try {
    const held = isVhd ? fileSize - footerSize : fileSize
    const size = Math.ceil(held / MiB) * MiB
    if (isVhd && (held <= 0 || size !== held)) throw new NoVhd(`Azure takes disks of whole MiB, and this VHD has ${held} bytes`)
    const footer = isVhd ? await readAt(file, Buffer.alloc(footerSize), held) : vhdFooter(size, identityOf(await readAt(file, Buffer.alloc(Math.min(MiB, size)), 0), size))
    if (footer.toString("latin1", 0, 8) !== "conectix" || footer.readUInt32BE(60) !== 2) throw new NoVhd("the file is no VHD of fixed size")
    return {
      size, footer, chunks: chunksOf(await dataOf(path, fileSize), size),
      read: (index, buffer) => readAt(file, buffer.subarray(0, Math.min(chunkSize, size - index * chunkSize)), index * chunkSize, held),
      close: () => file.close()
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Zeros stand for what lies beyond `end`. */
const readAt = async (file: FileHandle, into: Buffer, at: number, end = Infinity): Promise<Buffer> => {
  let done = 0
  while (done < into.length && at + done < end) {
    const { bytesRead } = await file.read(into, done, Math.min(into.length - done, end - at - done), at + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  into.fill(0, done)
  return into
}

export interface Extent {
  readonly start: number
  readonly length: number
}

/** Node cannot ask a file system for holes; what says nothing of them has none. */
const dataOf = async (path: string, size: number): Promise<ReadonlyArray<Extent>> => {
  const whole = [{ start: 0, length: size }]
  try {
    const { stdout } = await promisify(execFile)("qemu-img", ["map", "--output=json", "-f", "raw", path], { maxBuffer: 256 * MiB })
    return (JSON.parse(stdout) as ReadonlyArray<Extent & { readonly data: boolean; readonly zero: boolean }>).filter(({ data, zero }) => data && !zero)
  } catch {
    return whole
  }
}

export const chunksOf = (extents: ReadonlyArray<Extent>, size: number): ReadonlyArray<number> => {
  const chunks = new Set<number>()
  for (const { length, start } of extents) {
    const end = Math.min(start + length, size)
    for (let index = Math.floor(start / chunkSize); index * chunkSize < end; index++) chunks.add(index)
  }
  return [...chunks].toSorted((a, b) => a - b)
}

const block = 64 * 1024
const zeros = Buffer.alloc(block)
/** Zeros for the length of so many blocks are cheaper to send than another request. */
const bridged = 8

export interface Run {
  readonly start: number
  readonly end: number
}

/** Where a chunk is not zero. */
export const runsIn = (chunk: Buffer): ReadonlyArray<Run> => {
  const runs: Array<{ start: number; end: number }> = []
  for (let start = 0; start < chunk.length; start += block) {
    const end = Math.min(start + block, chunk.length)
    if (chunk.subarray(start, end).equals(zeros.subarray(0, end - start))) continue
    const last = runs.at(-1)
    if (last !== undefined && start - last.end <= bridged * block) last.end = end
    else runs.push({ start, end })
  }
  return runs
}

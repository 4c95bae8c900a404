/** Boots a disk image in an emulator and says what came out of its serial line. The image itself is not written to. */
import { execFile, spawn, type ChildProcess } from "node:child_process"
import { existsSync } from "node:fs"
import { copyFile, mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

const runFile = promisify(execFile)

export type Firmware = "bios" | "uefi"

export interface Boot {
  readonly image: string
  readonly firmware: Firmware
  /** Bytes of the disk that the machine sees, when more than the image's. */
  readonly diskBytes?: number
  /** Booted is when this appears on the serial line. */
  readonly marker?: RegExp
  readonly timeoutMs?: number
}

export interface Machine {
  /** All that the serial line has said so far. */
  readonly console: () => string
  /** Runs one command line as a user, by key; its stdout. */
  readonly ssh: (user: string, keyFile: string, command: string) => Promise<string>
}

const firmwareCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
const firmwareVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
const onPath = (name: string) =>
  ["/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin"].some((folder) => existsSync(join(folder, name)))

/** What is missing for booting here, as one sentence; `undefined` when nothing is. */
export const bootImpossible = (firmware: Firmware): string | undefined => {
  const missing = [
    ...(onPath("qemu-system-x86_64") ? [] : ["qemu-system-x86"]),
    ...(onPath("qemu-img") ? [] : ["qemu-utils"]),
    ...(onPath("ssh") ? [] : ["openssh-client"]),
    ...(firmware === "bios" || existsSync(firmwareCode) ? [] : ["ovmf"])
  ]
  return missing.length === 0 ? undefined : `no ${firmware} boot here: install ${missing.join(" ")}`
}

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = createServer()
    server.once("error", reject).listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0))
    })
  })

/** Software emulation: whether KVM works cannot be told from its device, and a test should not depend on it. */
const argumentsOf = (dir: string, port: number, firmware: Firmware) => [
  "-machine",
  "q35",
  "-accel",
  "tcg,thread=multi",
  "-cpu",
  "qemu64",
  "-m",
  "512",
  "-smp",
  "2",
  "-display",
  "none",
  "-monitor",
  "none",
  "-serial",
  "stdio",
  "-no-reboot",
  "-drive",
  `file=${join(dir, "disk.qcow2")},format=qcow2,if=virtio,cache=unsafe`,
  "-netdev",
  `user,id=n0,hostfwd=tcp:127.0.0.1:${port}-:22`,
  "-device",
  "virtio-net-pci,netdev=n0",
  "-device",
  "virtio-rng-pci",
  ...(firmware === "bios"
    ? []
    : [
        "-drive",
        `if=pflash,format=raw,readonly=on,file=${firmwareCode}`,
        "-drive",
        `if=pflash,format=raw,file=${join(dir, "variables.fd")}`
      ])
]

const ended = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise<void>((resolve) => void child.once("exit", () => resolve()))

/** Gives `use` a machine that has said its marker; the machine is gone afterwards, however that ends. */
export const booted = async <A>(boot: Boot, use: (machine: Machine) => Promise<A>): Promise<A> => {
  const { diskBytes, firmware, image, marker = /KILN-READY [^\r\n]*[\r\n]/, timeoutMs = 180_000 } = boot
  const dir = await mkdtemp(join(tmpdir(), "kiln-boot-"))
  let child: ChildProcess | undefined
  try {
    await runFile("qemu-img", [
      "create",
      "-q",
      "-f",
      "qcow2",
      "-b",
      image,
      "-F",
      "qcow2",
      join(dir, "disk.qcow2"),
      ...(diskBytes ? [String(diskBytes)] : [])
    ])
    if (firmware === "uefi") await copyFile(firmwareVariables, join(dir, "variables.fd"))
    const port = await freePort()
    child = spawn("qemu-system-x86_64", argumentsOf(dir, port, firmware), { stdio: ["ignore", "pipe", "pipe"] })
    await said(child, marker, timeoutMs, firmware)
    const { text } = consoles.get(child)!
    return await use({
      console: text,
      ssh: async (user, keyFile, command) =>
        (
          await runFile(
            "ssh",
            [
              "-i",
              keyFile,
              "-p",
              String(port),
              "-o",
              "StrictHostKeyChecking=no",
              "-o",
              "UserKnownHostsFile=/dev/null",
              "-o",
              "LogLevel=ERROR",
              "-o",
              "BatchMode=yes",
              "-o",
              "IdentitiesOnly=yes",
              "-o",
              "ConnectTimeout=60",
              "-o",
              "ConnectionAttempts=3",
              `${user}@127.0.0.1`,
              command
            ],
            { timeout: timeoutMs }
          )
        ).stdout
    })
  } finally {
    child?.kill("SIGKILL")
    if (child) await ended(child)
    await rm(dir, { recursive: true, force: true })
  }
}

const consoles = new WeakMap<ChildProcess, { readonly text: () => string }>()

const said = (child: ChildProcess, marker: RegExp, timeoutMs: number, firmware: Firmware) =>
  new Promise<void>((resolve, reject) => {
    let text = ""
    consoles.set(child, { text: () => text })
    const give = (why: string) =>
      reject(new Error(`${firmware} boot: ${why}; the console ends with:\n${text.slice(-2000)}`))
    const timer = setTimeout(() => give(`no ${marker} within ${timeoutMs / 1000} s`), timeoutMs)
    const hear = (chunk: string) => {
      text += chunk
      if (marker.test(text)) {
        clearTimeout(timer)
        resolve()
      }
    }
    child.stdout?.setEncoding("utf8").on("data", hear)
    child.stderr?.setEncoding("utf8").on("data", hear)
    child.once("error", ({ message }) => give(message))
    child.once("exit", (code) => {
      clearTimeout(timer)
      give(`the emulator ended (${code})`)
    })
  })

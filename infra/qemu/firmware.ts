/** Which program and firmware boot which architecture, and where the usual distributions have them. */
import { existsSync } from "node:fs"
import type { Firmware } from "../../domain/boot-test.ts"
import type { Architecture } from "../../domain/ids.ts"
import { path } from "../process/run.ts"

interface Emulator {
  readonly program: string
  readonly machine: string
  /** Emulated where it cannot be the machine's own: what distributions of today ask for, and no more, since that costs time. */
  readonly cpu: string
  readonly uefi: ReadonlyArray<readonly [code: string, variables: string]>
  readonly install: Readonly<Record<"program" | "uefi", string>>
}

export const emulators: Record<Architecture, Emulator> = {
  x86_64: {
    program: "qemu-system-x86_64",
    machine: "q35",
    cpu: "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt",
    uefi: [
      ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"],
      ["/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"],
      ["/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"]
    ],
    install: { program: "qemu-system-x86", uefi: "ovmf" }
  },
  aarch64: {
    program: "qemu-system-aarch64",
    machine: "virt",
    cpu: "cortex-a72",
    uefi: [["/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"]],
    install: { program: "qemu-system-arm", uefi: "qemu-efi-aarch64" }
  }
}

export const uefiOf = (architecture: Architecture) => emulators[architecture].uefi.find(([code]) => existsSync(code))

const onPath = (program: string) => path.split(":").some((folder) => existsSync(`${folder}/${program}`))

/** What to install before such an image can be booted here, or why it never can. */
export const missingFor = (architecture: Architecture, firmware: Firmware): string | undefined => {
  if (architecture === "aarch64" && firmware === "bios") return "machines of aarch64 have no BIOS"
  const { install, program } = emulators[architecture]
  const missing = [
    ...(onPath(program) ? [] : [install.program]),
    ...(onPath("qemu-img") ? [] : ["qemu-utils"]),
    ...(firmware === "bios" || uefiOf(architecture) !== undefined ? [] : [install.uefi])
  ]
  return missing.length === 0 ? undefined : `install ${missing.join(" ")} to boot ${architecture} in ${firmware.toUpperCase()}`
}

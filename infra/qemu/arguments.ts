import type { Firmware } from "../../domain/boot-test.ts"
import type { Architecture } from "../../domain/ids.ts"
import type { Accelerator } from "./accelerator.ts"
import { emulators, uefiOf } from "./firmware.ts"
import { descriptors } from "./machine.ts"

export interface Hardware {
  readonly architecture: Architecture
  readonly firmware: Firmware
  readonly accelerator: Accelerator
  readonly medium: "disk" | "cdrom"
  /** Ports of this machine that lead into the guest: for tests of our own that log in. */
  readonly forward?: ReadonlyArray<{ readonly from: number; readonly to: number }>
}

/** Names of files in the emulator's folder. */
export const names = { disk: "disk.qcow2", medium: "medium.iso", variables: "variables.fd", screenshot: "screenshot.png" } as const

const memoryMiB = 1024

/** The guest has a network that leads nowhere. */
export const argumentsFor = ({ accelerator, architecture, firmware, forward = [], medium }: Hardware): ReadonlyArray<string> => {
  const { cpu, machine } = emulators[architecture]
  const isPc = architecture === "x86_64"
  const channel = (id: string, descriptor: number) => ["-chardev", `socket,id=${id},fd=${descriptor}`]
  return [
    "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
    "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    "-machine", machine, "-m", String(memoryMiB), "-smp", "2",
    ...(accelerator === "kvm" ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", cpu]),
    ...(isPc ? ["-vga", "std"] : ["-device", "virtio-gpu-pci"]),
    "-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial",
    ...channel("monitor", descriptors.monitor), "-mon", "chardev=monitor,mode=control",
    ...channel("agent", descriptors.agent), "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=org.kiln.test",
    // Where the BIOS of PCs says what it does; others write to their console.
    ...channel("firmware", descriptors.firmwareLog), ...(isPc ? ["-device", "isa-debugcon,iobase=0x402,chardev=firmware"] : []),
    "-device", "virtio-rng-pci",
    "-netdev", ["user,id=net,restrict=on", ...forward.map(({ from, to }) => `hostfwd=tcp:127.0.0.1:${from}-:${to}`)].join(","),
    // Without a program to boot from the network: nobody would answer it.
    "-device", "virtio-net-pci,netdev=net,romfile=",
    ...(medium === "disk"
      ? ["-drive", `file=${names.disk},format=qcow2,if=none,id=disk,cache=unsafe`, "-device", "virtio-blk-pci,drive=disk,bootindex=1"]
      : ["-drive", `file=${names.medium},format=raw,if=none,id=medium,readonly=on`, "-device", isPc ? "ide-cd,drive=medium,bootindex=1" : "usb-storage,drive=medium,bootindex=1"]),
    ...(firmware === "bios" ? [] : [
      "-drive", `if=pflash,format=raw,readonly=on,file=${uefiOf(architecture)![0]}`, "-drive", `if=pflash,format=raw,file=${names.variables}`
    ])
  ]
}

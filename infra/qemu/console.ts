/** What a serial console tells about a boot. Pure. */
export type Stage = "firmware" | "kernel" | "userspace"

/** Colours, cursor movements and titles. */
// oxlint-disable-next-line no-control-regex
const escapes = /\u001b(\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\)|[PX^_][^\u001b]*\u001b\\|[ -/]*[0-~])/g

/** As people read it: no escapes, no other control characters. */
// oxlint-disable-next-line no-control-regex
export const plainText = (text: string): string => text.replace(escapes, "").replace(/\r+\n?/g, "\n").replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "")

const signs: ReadonlyArray<readonly [Stage, RegExp]> = [
  ["userspace", /systemd|Welcome to |\bfsck\b|\[ {2}OK {2}\]|login:/],
  ["kernel", /Linux version|EFI stub|SYSLINUX|GRUB|Booting `|Loading (Linux|initial)|\[ *\d+\.\d{6}\]/]
]

export const stageOf = (console: string): Stage => signs.find(([, sign]) => sign.test(console))?.[0] ?? "firmware"

/** A name is asked for, on a line of its own; what comes after it may be the kernel talking. */
export const asksForLogin = (console: string): boolean => /(^|\n)[\w.-]+ login: ?(\n|\[|$)/.test(console)

/** The prompt before it has no end of its own. */
export const saysReady = (console: string): boolean => /\bKILN-READY [^\n]*\n/.test(console)

const dooms: ReadonlyArray<readonly [RegExp, string]> = [
  [/No bootable (option or )?device|EFI Internal Shell|UEFI Interactive Shell/, "the firmware found nothing to boot from"],
  [/Kernel panic - not syncing: ([^\n]*)/, "the kernel panicked"],
  [/end Kernel panic/, "the kernel panicked"],
  [/\(initramfs\) ?$/, "the kernel's first file system could not find the root file system"],
  [/You are in (emergency|rescue) mode/, "systemd gave up and offers a rescue shell"],
  [/Missing operating system|Boot error/, "the boot loader could not go on"]
]

/** Why it will never be ready. */
export const doomOf = (console: string): string | undefined => {
  for (const [sign, why] of dooms) {
    const found = sign.exec(console)
    if (found !== null) return found[1] === undefined || why.includes("nothing") || why.includes("rescue") ? why : `${why}: ${found[1]}`
  }
  return undefined
}

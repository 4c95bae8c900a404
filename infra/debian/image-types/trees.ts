/** What is no disk: trees for those who bring the kernel, and systems that run from memory. */
import type { ImageSpec } from "../../../domain/manifest.ts"
import type { ImageType } from "./image-type.ts"

/** The first user of the request is who a shell belongs to. */
const wslFiles = ({ customizations: { hostname, users = [] }, distribution }: ImageSpec) => {
  const [first] = users.filter(({ name }) => name !== "root")
  return {
    "etc/wsl.conf": `[boot]\nsystemd=true\n${first === undefined ? "" : `\n[user]\ndefault=${first.name}\n`}${hostname === undefined ? "" : `\n[network]\nhostname=${hostname}\n`}`,
    "etc/wsl-distribution.conf": `[oobe]\ndefaultName = ${distribution}\n${first?.uid === undefined ? "" : `defaultUid = ${first.uid}\n`}`
  }
}

const noKernel = "it runs on the kernel of whoever starts it"
const noInit = "it has no init that would do anything with it"

const unfitForWsl = {
  kernel: noKernel,
  keyboard: "its keyboard is that of Windows",
  ntp_servers: "its clock is that of Windows",
  firewall: "all such systems share one network, which Windows guards"
}

const unfitForContainers = {
  kernel: noKernel,
  sysctl: noKernel,
  keyboard: "it has no console",
  ntp_servers: "its clock is the kernel's",
  hostname: "whoever starts it gives it its name",
  firewall: "its network is made by whoever starts it",
  services: noInit,
  first_boot: noInit,
  cloud_init: noInit
}

export const wsl: ImageType = {
  name: "wsl",
  description: "tar.gz for the Windows Subsystem for Linux: wsl --install --from-file, or wsl --import",
  base: "minimal",
  packages: () => ["ca-certificates", "dbus", "iproute2", "libpam-systemd", "login", "netbase", "passwd", "sudo", "systemd-sysv"],
  files: wslFiles,
  format: "tar.gz",
  options: [],
  bootable: false,
  unfit: unfitForWsl
}

export const container: ImageType = {
  name: "container",
  description: "OCI archive of one layer, without kernel and init, for skopeo, podman load and docker load",
  base: "minimal",
  format: "oci",
  options: [],
  bootable: false,
  unfit: unfitForContainers
}

/** live-boot looks for it, and says in red that it is missing, in a system whose network is networkd's. */
const liveFiles = () => ({ "etc/network/interfaces": "# The network is set up by systemd-networkd.\n" })

export const networkBoot: ImageType = {
  name: "network-boot",
  description: "kernel, initramfs and squashfs in an archive, for iPXE and the like; runs from memory, any hardware",
  base: "live",
  files: liveFiles,
  format: "netboot",
  options: ["serial"],
  bootable: false
}

export const liveIso: ImageType = {
  ...networkBoot,
  name: "live-iso",
  description: "ISO for CDs and USB sticks, boots in BIOS and UEFI; runs from memory, any hardware",
  format: "iso",
  bootable: true
}

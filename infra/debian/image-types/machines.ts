/** Disks for hypervisors that say nothing to the machine but what its user says. */
import { asking } from "./clouds.ts"
import { diskOptions, type ImageType } from "./image-type.ts"

export const guestImage: ImageType = {
  name: "guest-image",
  description: "qcow2 disk for virtual machines; boots in BIOS and UEFI, grows to its disk, serial console and DHCP",
  base: "virtual",
  format: "qcow2",
  options: diskOptions,
  bootable: true
}

export const minimalRaw: ImageType = {
  ...guestImage,
  name: "minimal-raw",
  description: "the disk of guest-image, raw and compressed with zstd, to be written to a disk",
  format: "raw.zst"
}

/** Tools that tell the hypervisor the machine's address, and shut it down when asked. */
const onVmware = {
  base: "cloud" as const,
  packages: () => ["open-vm-tools"],
  files: asking("VMware", "OVF", "NoCloud")
}

export const vsphere: ImageType = {
  ...guestImage,
  ...onVmware,
  name: "vsphere",
  description: "stream-optimised VMDK for vSphere, for a paravirtual SCSI controller; open-vm-tools and cloud-init",
  format: "vmdk"
}

export const vsphereOva: ImageType = {
  ...vsphere,
  name: "vsphere-ova",
  description: "OVA for vSphere: the disk of vsphere with the description of a machine of 2 processors and 2 GiB",
  format: "ova"
}

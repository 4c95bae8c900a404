/** Disks for clouds, whose machines are told by the cloud who they are and who may enter. */
import { diskOptions, type ImageType } from "./image-type.ts"

/** cloud-init asks those that are named and no other, so that it need not wait for who is not there. */
export const asking = (...sources: ReadonlyArray<string>) => () => ({
  "etc/cloud/cloud.cfg.d/90-kiln-cloud.cfg":
    `datasource_list: [ ${[...sources, "None"].join(", ")} ]\napt: { preserve_sources_list: true }\n`
})

const cloud = { base: "cloud", options: diskOptions } as const

export const aws: ImageType = {
  ...cloud,
  name: "aws",
  description: "raw disk for Amazon EC2, imported as a snapshot; NVMe, ENA, cloud-init",
  packages: () => ["amazon-ec2-utils"],
  files: asking("Ec2"),
  // A volume may be away for longer than the driver's 30 s, and comes back.
  kernelArguments: "nvme_core.io_timeout=4294967295",
  format: "raw",
  bootable: true
}

/** Elsewhere Google's programs wait for its metadata for ever, and the machine is never up. */
const onGoogleAlone = Object.fromEntries(["google-guest-agent", "google-startup-scripts", "google-shutdown-scripts"].map((unit) => [
  `etc/systemd/system/${unit}.service.d/50-kiln-where.conf`, "[Service]\nExecCondition=/bin/grep -q Google /sys/class/dmi/id/product_name\n"
]))

export const gcp: ImageType = {
  ...cloud,
  name: "gcp",
  description: "disk.raw in a compressed archive for Google Compute Engine, whole GiB; guest agent, cloud-init",
  packages: () => ["google-guest-agent"],
  files: () => ({ ...asking("GCE")(), ...onGoogleAlone }),
  format: "gcp",
  wholeBytes: 2 ** 30,
  bootable: true
}

export const azure: ImageType = {
  ...cloud,
  name: "azure",
  description: "VHD of fixed size for Azure, for machines of generation 1 and 2; Azure's agent, cloud-init",
  packages: (family) => [family === "ubuntu" ? "walinuxagent" : "waagent"],
  files: asking("Azure"),
  // Its serial console is where support looks first.
  kernelArguments: "earlyprintk=ttyS0,115200",
  format: "vhd",
  bootable: true
}

export const oci: ImageType = {
  ...cloud,
  name: "oci",
  description: "qcow2 disk for Oracle Cloud Infrastructure; cloud-init",
  files: asking("Oracle"),
  format: "qcow2",
  bootable: true
}

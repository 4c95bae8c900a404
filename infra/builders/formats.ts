/** How files of a format are called. */
const known: Readonly<Record<string, readonly [extension: string, mediaType: string]>> = {
  qcow2: ["qcow2", "application/x-qemu-disk"],
  raw: ["raw", "application/octet-stream"],
  "raw.zst": ["raw.zst", "application/zstd"],
  vmdk: ["vmdk", "application/x-vmdk"],
  vhd: ["vhd", "application/x-vhd"],
  vhdx: ["vhdx", "application/x-vhdx"],
  gcp: ["tar.gz", "application/gzip"],
  ova: ["ova", "application/x-virtualbox-ova"],
  iso: ["iso", "application/x-iso9660-image"],
  tar: ["tar", "application/x-tar"],
  "tar.gz": ["tar.gz", "application/gzip"],
  "tar.zst": ["tar.zst", "application/zstd"],
  squashfs: ["squashfs", "application/vnd.squashfs"]
}

/** The words for a file of `format` that an image of `distribution` is delivered as. */
export const namesOf = (distribution: string, format: string) => {
  const [extension, media_type] = known[format] ?? [format, "application/octet-stream"]
  return { format, filename: `${distribution}.${extension}`, media_type }
}

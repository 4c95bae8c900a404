#!/bin/sh
# Before the kernel comes: a small initramfs for virtual machines. Without this it is made with all drivers, once a trigger.
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n' >"$1/etc/initramfs-tools/conf.d/image.conf"
printf '%s\n' virtio_pci virtio_blk virtio_scsi ext4 nvme ahci ata_piix sd_mod hv_storvsc vmw_pvscsi xen_blkfront \
  >"$1/etc/initramfs-tools/modules"

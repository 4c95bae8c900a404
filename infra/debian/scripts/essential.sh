#!/bin/sh
# Before all else is installed. A small initramfs for virtual machines. Without this it is made with all drivers, once a trigger.
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n' >"$1/etc/initramfs-tools/conf.d/image.conf"
printf '%s\n' virtio_pci virtio_blk virtio_scsi ext4 nvme ahci ata_piix sd_mod hv_storvsc vmw_pvscsi xen_blkfront \
  >"$1/etc/initramfs-tools/modules"
# Host keys would be made only to be thrown away; none are made where there are files of these names.
mkdir -p "$1/etc/ssh"
touch "$1/etc/ssh/ssh_host_rsa_key" "$1/etc/ssh/ssh_host_ecdsa_key" "$1/etc/ssh/ssh_host_ed25519_key"

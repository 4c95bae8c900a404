#!/bin/sh
# Before all else is installed. KILN_INCLUDE names what will be.
set -eu
# A small initramfs for virtual machines; for what runs on any hardware, of the places that it may lie. Without this it
# is made with all drivers, compressed slowly, once a trigger.
modules="virtio_pci virtio_blk virtio_scsi ext4 nvme ahci ata_piix sd_mod hv_storvsc vmw_pvscsi xen_blkfront"
case ,$KILN_INCLUDE, in *,live-boot,*) modules="$modules xhci_pci ehci_pci uhci_hcd usb_storage uas sr_mod isofs" ;; esac
case ,$KILN_INCLUDE, in
  *,linux-image-*)
    mkdir -p "$1/etc/initramfs-tools/conf.d"
    printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n' >"$1/etc/initramfs-tools/conf.d/image.conf"
    # shellcheck disable=SC2086 # a name each
    printf '%s\n' $modules >"$1/etc/initramfs-tools/modules"
    ;;
esac
# Host keys would be made only to be thrown away; none are made where there are files of these names.
case ,$KILN_INCLUDE, in
  *,openssh-server,*)
    mkdir -p "$1/etc/ssh"
    touch "$1/etc/ssh/ssh_host_rsa_key" "$1/etc/ssh/ssh_host_ecdsa_key" "$1/etc/ssh/ssh_host_ed25519_key"
    ;;
esac

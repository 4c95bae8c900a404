#!/bin/bash
# What a person would type to make the builder's guest image from packages that are there already: the measure for the
# builder's own time. No cache of trees, no progress, one straight run; as root.
#   by-hand-build.sh cold CACHE LOCK WORKDIR         from packages to WORKDIR/image.qcow2
#   by-hand-build.sh base CACHE LOCK WORKDIR         from packages to WORKDIR/base.tar.zst, a tree without customizations
#   by-hand-build.sh warm CACHE LOCK WORKDIR BASE    from such a tree to WORKDIR/image.qcow2
# CACHE holds packages/SHA256, LOCK is a lock as JSON; WORKDIR is best on tmpfs.
set -euo pipefail
mode=$1 cache=$2 lock=$3 work=$4
mkdir -p "$work"
cd "$work"
export SOURCE_DATE_EPOCH=1790000000 LC_ALL=C TZ=UTC
export PATH=$PATH:/usr/sbin:/sbin
case $(grep -o '"distribution": *"[^"]*"' "$lock" | head -n 1 | cut -d'"' -f4) in
  debian-12) suite=bookworm ;;
  *) suite=trixie ;;
esac

if [ "$mode" != warm ]; then
# A closed repository of the lock.
lists=repo/dists/$suite/main/binary-amd64
mkdir -p repo/pool "$lists"
grep -o '"sha256": *"[0-9a-f]*"' "$lock" | cut -d'"' -f4 | while read -r digest; do
  ln -f "$cache/packages/$digest" "repo/pool/$digest.deb" 2>/dev/null || cp "$cache/packages/$digest" "repo/pool/$digest.deb"
done
(cd repo/pool && for file in *.deb; do echo "${file%.deb}  $file"; done | sha256sum --quiet -c)
(cd repo && for file in pool/*.deb; do
  dpkg-deb -f "$file"
  digest=${file#pool/}
  printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "${digest%.deb}"
done) >"$lists/Packages"
printf 'Suite: %s\nCodename: %s\nComponents: main\nArchitectures: amd64\n' $suite $suite >"repo/dists/$suite/Release"
fi

# The tree, with its customizations.
cat >essential.sh <<'S'
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n' >"$1/etc/initramfs-tools/conf.d/image.conf"
printf '%s\n' virtio_pci virtio_blk virtio_scsi ext4 nvme ahci ata_piix sd_mod hv_storvsc vmw_pvscsi xen_blkfront >"$1/etc/initramfs-tools/modules"
S
cat >customize.sh <<'S'
set -eu
find "$1/usr/share/doc" -xdev ! -type d ! -name copyright -delete
find "$1/usr/share/man" "$1/usr/share/info" "$1/usr/share/locale" -xdev ! -type d -delete
echo box >"$1/etc/hostname"
printf '127.0.0.1\tlocalhost\n127.0.1.1\tbox\n' >"$1/etc/hosts"
chroot "$1" useradd -m -s /bin/bash -G sudo admin
install -d -m 700 -o 1000 -g 1000 "$1/home/admin/.ssh"
echo "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFrEvKHRCpFQkMpSqI9ToHWhxyTTlG8lCvO8hgXU6vB9 admin" >"$1/home/admin/.ssh/authorized_keys"
chown 1000:1000 "$1/home/admin/.ssh/authorized_keys"
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n' >"$1/etc/systemd/network/80-dhcp.network"
chroot "$1" systemctl --quiet enable systemd-networkd systemd-resolved systemd-timesyncd serial-getty@ttyS0.service ssh
mkdir -p "$1/etc/systemd/system/ssh.service.d"
printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' >"$1/etc/systemd/system/ssh.service.d/keys.conf"
rm -f "$1"/etc/ssh/ssh_host_* "$1/var/lib/dbus/machine-id" "$1/etc/resolv.conf"
ln -s ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"
: >"$1/etc/machine-id"
echo "PARTUUID=33333333-3333-4333-8333-333333333333 / ext4 rw 0 1" >"$1/etc/fstab"
rm -rf "$1"/var/log/*.log "$1"/var/log/apt/* "$1/var/cache/ldconfig/aux-cache"
S
make_tree() {
  TMPDIR=$work unshare --mount --pid --fork --kill-child --mount-proc \
    mmdebstrap --quiet --mode=root --variant=apt \
    --include=linux-image-cloud-amd64,zstd,udev,dbus,iproute2,netbase,openssh-server,sudo,systemd-sysv,systemd-resolved,systemd-timesyncd,login,e2fsprogs,fdisk \
    --essential-hook='sh ./essential.sh "$1"' "$@" $suite tree.tar "deb [trusted=yes] copy://$work/repo $suite main"
}
extract() { tar -x -f "$1" -C tree --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*'; }
mkdir tree
case $mode in
  base)
    make_tree
    zstd -q -3 -T0 tree.tar -o base.tar.zst
    exit 0 ;;
  cold)
    make_tree --customize-hook='sh ./customize.sh "$1"'
    extract tree.tar ;;
  warm)
    extract "$5"
    sh ./customize.sh tree
    find tree -xdev -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch -h -d "@$SOURCE_DATE_EPOCH" ;;
esac

# The disk.
offset=68157440
truncate -s 2048M disk.raw
sfdisk -q --no-reread --no-tell-kernel disk.raw <<S
label: gpt
label-id: 11111111-1111-4111-8111-111111111111
start=1MiB, size=64MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=22222222-2222-4222-8222-222222222222, name="esp", attrs="LegacyBIOSBootable"
start=65MiB, size=1982MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=33333333-3333-4333-8333-333333333333, name="root"
S
mkfs.vfat -F 32 -s 1 -n ESP -i 1A2B3C4D --invariant --offset 2048 disk.raw 65536 >/dev/null
options="root=PARTUUID=33333333-3333-4333-8333-333333333333 ro console=tty0 console=ttyS0,115200 quiet"
mkdir -p esp/EFI/BOOT esp/loader/entries esp/linux
cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi esp/EFI/BOOT/BOOTX64.EFI
cp tree/boot/vmlinuz-* esp/linux/vmlinuz
cp tree/boot/initrd.img-* esp/linux/initrd.img
echo "timeout 0" >esp/loader/loader.conf
printf '%s\n' "title Linux" "linux /linux/vmlinuz" "initrd /linux/initrd.img" "options $options" >esp/loader/entries/linux.conf
printf '%s\n' "SERIAL 0 115200" "DEFAULT linux" "PROMPT 0" "TIMEOUT 1" "LABEL linux" "LINUX /linux/vmlinuz" "INITRD /linux/initrd.img" "APPEND $options" >esp/syslinux.cfg
find esp -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
MTOOLS_SKIP_CHECK=1 mcopy -s -m -i disk.raw@@1048576 esp/EFI esp/loader esp/linux esp/syslinux.cfg ::/
syslinux --install --offset 1048576 disk.raw
dd if=/usr/lib/SYSLINUX/gptmbr.bin of=disk.raw conv=notrunc bs=440 count=1 status=none
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
mke2fs -q -F -t ext4 -L root -U 33333333-3333-4333-8333-333333333333 -m 1 \
  -E offset=$offset,hash_seed=44444444-4444-4444-8444-444444444444,root_owner=0:0 -d tree disk.raw 1982M
last=$(dumpe2fs -h "disk.raw?offset=$offset" 2>/dev/null | awk -F: '/^Inode count/ { all = $2 } /^Free inodes/ { free = $2 } END { print all - free }')
for inode in 2 $(seq 11 "$last"); do
  for field in atime ctime crtime; do printf 'sif <%s> %s @%s\nsif <%s> %s_extra 0\n' "$inode" $field "$SOURCE_DATE_EPOCH" "$inode" $field; done
done >times
debugfs -w -f times "disk.raw?offset=$offset" >/dev/null 2>&1
qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd disk.raw image.qcow2

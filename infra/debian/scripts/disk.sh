#!/bin/bash
# disk.sh TREE DISK: GPT, an ESP that boots in UEFI (systemd-boot) and BIOS (syslinux), ext4 filled from TREE.
# Takes KILN_SIZE (bytes, or empty) and the KILN_…_ID of image.sh from the environment.
set -euo pipefail
tree=$1 disk=$2
offset=$((65 * 1048576))

used=$(du -sx --apparent-size --block-size=1 "$tree" | cut -f1)
entries=$(find "$tree" -xdev | wc -l)
# Blocks are 4 KiB, inodes 256 bytes; a third more and the journal is what ext4 itself and first steps need.
least=$((offset + (used + entries * 2300) * 115 / 100 + 48 * 1048576))
size=${KILN_SIZE:-$((2048 * 1048576))}
if [ -n "$KILN_SIZE" ] && [ "$size" -lt "$least" ]; then
  echo "kiln-user-error image.options.size_bytes: this image needs at least $least bytes, asked for were $size" >&2
  exit 3
fi
[ -n "$KILN_SIZE" ] || [ "$size" -ge $((used * 3 / 2 + offset)) ] || size=$((used * 3 / 2 + offset))
mib=$(((size + 1048575) / 1048576))
root=$((mib - 66))

truncate -s "${mib}M" "$disk"
sfdisk -q --no-reread --no-tell-kernel "$disk" <<S
label: gpt
label-id: $KILN_DISK_ID
start=1MiB, size=64MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=$KILN_ESP_ID, name="esp", attrs="LegacyBIOSBootable"
start=65MiB, size=${root}MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=$KILN_ROOT_ID, name="root"
S
mkfs.vfat -F 32 -s 1 -n ESP -i "$KILN_FAT_ID" --invariant --offset 2048 "$disk" 65536 >/dev/null

kernel=$(find "$tree/boot" -maxdepth 1 -name 'vmlinuz-*' -type f | sort -V | tail -n 1)
[ -n "$kernel" ] || { echo "no kernel in the tree" >&2; exit 1; }
initrd=$tree/boot/initrd.img-${kernel##*/vmlinuz-}
options="root=PARTUUID=$KILN_ROOT_ID ro console=tty0 console=ttyS0,115200 quiet"
esp=$disk.esp
mkdir -p "$esp/EFI/BOOT" "$esp/loader/entries" "$esp/linux"
cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi "$esp/EFI/BOOT/BOOTX64.EFI"
cp "$kernel" "$esp/linux/vmlinuz"
cp "$initrd" "$esp/linux/initrd.img"
printf 'timeout 0\n' >"$esp/loader/loader.conf"
printf '%s\n' "title Linux" "linux /linux/vmlinuz" "initrd /linux/initrd.img" "options $options" >"$esp/loader/entries/linux.conf"
printf '%s\n' "SERIAL 0 115200" "DEFAULT linux" "PROMPT 0" "TIMEOUT 1" "LABEL linux" "LINUX /linux/vmlinuz" \
  "INITRD /linux/initrd.img" "APPEND $options" >"$esp/syslinux.cfg"
find "$esp" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
MTOOLS_SKIP_CHECK=1 mcopy -s -m -i "$disk@@1048576" "$esp/EFI" "$esp/loader" "$esp/linux" "$esp/syslinux.cfg" ::/
syslinux --install --offset 1048576 "$disk"
dd if=/usr/lib/SYSLINUX/gptmbr.bin of="$disk" conv=notrunc bs=440 count=1 status=none
rm -rf "$esp"

export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
mke2fs -q -F -t ext4 -L root -U "$KILN_ROOT_ID" -m 1 \
  -E "offset=$offset,hash_seed=$KILN_HASH_SEED,root_owner=0:0" -d "$tree" "$disk" "${root}M"
# Before 1.47.1, -d copies access and change times, which are today's.
last=$(dumpe2fs -h "$disk?offset=$offset" 2>/dev/null | awk -F: '/^Inode count/ { all = $2 } /^Free inodes/ { free = $2 } END { print all - free }')
awk -v last="$last" -v time="@$SOURCE_DATE_EPOCH" 'BEGIN {
  for (n = 2; n <= last; n = n == 2 ? 11 : n + 1) {
    for (f = split("atime ctime crtime", field, " "); f > 0; f--) {
      printf "sif <%d> %s %s\nsif <%d> %s_extra 0\n", n, field[f], time, n, field[f]
    }
    if (n == 11) printf "sif <%d> mtime %s\n", n, time
  }
}' >"$disk.times"
debugfs -w -f "$disk.times" "$disk?offset=$offset" >/dev/null 2>"$disk.said" || { cat "$disk.said" >&2; exit 1; }
rm -f "$disk.times" "$disk.said"

#!/bin/bash
# disk.sh TREE DISK: GPT, an ESP that boots in UEFI (systemd-boot) and on a PC in BIOS (syslinux), then partitions filled
# from TREE. Both are absolute paths. No mounts. Takes from the environment
#   KILN_INPUT     with "partitions": place, MiB or "rest", type, id, seed, file system, mount point, name and field of each
#   KILN_SIZE      bytes of the disk, or empty    KILN_WHOLE       the size is a multiple of so many bytes
#   KILN_KERNEL    the kernel's arguments         KILN_ARCHITECTURE   as Debian calls it
#   KILN_DISK_ID KILN_ESP_ID KILN_FAT_ID
# The same bytes for the same tree, on whatever file system it lies and in whatever order that lists its folders.
set -euo pipefail
scripts=$(dirname "$(readlink -f "$0")")
tree=$1 disk=$2
plan=$KILN_INPUT/partitions
refuse() { echo "kiln-user-error $1: $2" >&2; exit 3; }

# The tree of each mount point goes to a folder of its own; an empty one stays in its place.
take_out() { # mount point, field, where to
  local folder=$tree part
  for part in ${1//\// }; do
    folder=$folder/$part
    [ ! -L "$folder" ] || refuse "$2.mountpoint" "\"$1\" leads through a link in the image"
    [ -d "$folder" ] || mkdir "$folder" 2>/dev/null || refuse "$2.mountpoint" "\"$1\" cannot be a directory in the image"
  done
  mv "$folder" "$3"
  mkdir "$folder"
  chown --reference="$3" "$folder"
  chmod --reference="$3" "$folder"
}
# Blocks are 4 KiB, inodes 256 bytes; a third more and the journal is what a file system itself and first steps need.
# Counted by what is in there: file systems count their folders in ways of their own.
measure() { # folder; sets used, and needed for a file system with it
  read -r used needed < <(find "$1" -xdev -printf '%y %n %i %s\n' | awk '
    { entries++ }
    $1 == "d" { bytes += 4096; next }
    $2 == 1 || !seen[$3]++ { bytes += $4 }
    END { printf "%.0f %.0f\n", bytes, (bytes + entries * 2300) * 1.15 }')
}
fixed=0
while read -r place mib _ _ _ filesystem mountpoint _ field; do
  [ "$mib" != rest ] || continue
  fixed=$((fixed + mib))
  [ "$filesystem" != swap ] || continue
  take_out "$mountpoint" "$field" "$disk.part$place"
  measure "$disk.part$place"
  least=$((needed + 8 * 1048576))
  [ "$mib" -ge $(((least + 1048575) / 1048576)) ] ||
    refuse "$field.size_bytes" "what lies below $mountpoint needs at least $least bytes, asked for were $((mib * 1048576))"
done <"$plan"

offset=$(((65 + fixed) * 1048576))
measure "$tree"
least=$((offset + needed + 48 * 1048576))
size=${KILN_SIZE:-$((2048 * 1048576 + fixed * 1048576))}
if [ -n "$KILN_SIZE" ] && [ "$size" -lt "$least" ]; then
  refuse image.options.size_bytes "this image needs at least $least bytes, asked for were $size"
fi
[ -n "$KILN_SIZE" ] || [ "$size" -ge $((used * 3 / 2 + offset)) ] || size=$((used * 3 / 2 + offset))
mib=$(((size + KILN_WHOLE - 1) / KILN_WHOLE * KILN_WHOLE / 1048576))
rest=$((mib - 66 - fixed))

truncate -s "${mib}M" "$disk"
{
  printf '%s\n' "label: gpt" "label-id: $KILN_DISK_ID"
  printf 'start=1MiB, size=64MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=%s, name="esp", attrs="LegacyBIOSBootable"\n' "$KILN_ESP_ID"
  start=65
  while read -r _ mib type id _ _ _ name _; do
    [ "$mib" != rest ] || mib=$rest
    printf 'start=%sMiB, size=%sMiB, type=%s, uuid=%s, name="%s"\n' $start "$mib" "$type" "$id" "$name"
    start=$((start + mib))
  done < <(sort -n "$plan")
} | sfdisk -q --no-reread --no-tell-kernel "$disk"
mkfs.vfat -F 32 -s 1 -n ESP -i "$KILN_FAT_ID" --invariant --offset 2048 "$disk" 65536 >/dev/null

kernel=$(find "$tree/boot" -maxdepth 1 -name 'vmlinuz-*' -type f | sort -V | tail -n 1)
[ -n "$kernel" ] || { echo "no kernel in the tree" >&2; exit 1; }
initrd=$tree/boot/initrd.img-${kernel##*/vmlinuz-}
esp=$disk.esp
mkdir -p "$esp/EFI/BOOT" "$esp/loader/entries" "$esp/linux"
case $KILN_ARCHITECTURE in amd64) efi=x64 ;; arm64) efi=aa64 ;; esac
program=/usr/lib/systemd/boot/efi/systemd-boot$efi.efi
# A PC has the programs of PCs only; then the tree has brought its own.
[ -e "$program" ] || program=$tree$program
cp "$program" "$esp/EFI/BOOT/BOOT${efi^^}.EFI"
cp "$initrd" "$esp/linux/initrd.img"
printf '%s\n' "title Linux" "linux /linux/vmlinuz" "initrd /linux/initrd.img" "options $KILN_KERNEL" >"$esp/loader/entries/linux.conf"
if [ "$efi" = x64 ]; then
  printf '%s\n' "SERIAL 0 115200" "DEFAULT linux" "PROMPT 0" "TIMEOUT 1" "LABEL linux" "LINUX /linux/vmlinuz" \
    "INITRD /linux/initrd.img" "APPEND $KILN_KERNEL" >"$esp/syslinux.cfg"
fi
# No folder with more than one thing in it: mcopy takes those as the file system lists them.
into_esp() { # things, where to
  find "${@:1:$#-1}" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
  MTOOLS_SKIP_CHECK=1 mcopy -s -m -i "$disk@@1048576" "${@:1:$#-1}" "::${*: -1}"
}
into_esp "$esp"/* /
cp "$kernel" "$esp/vmlinuz"
printf 'timeout 0\n' >"$esp/loader.conf"
into_esp "$esp/vmlinuz" /linux/
into_esp "$esp/loader.conf" /loader/
if [ "$efi" = x64 ]; then
  syslinux --install --offset 1048576 "$disk"
  dd if=/usr/lib/SYSLINUX/gptmbr.bin of="$disk" conv=notrunc bs=440 count=1 status=none
fi
rm -rf "$esp"

export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
make_ext4() { # folder, first MiB, MiB, id, seed, label
  local offset=$(($2 * 1048576)) last
  mke2fs -q -F -t ext4 -L "$6" -U "$4" -m 1 -E "offset=$offset,hash_seed=$5,root_owner=0:0" "$disk" "${3}M"
  mkdir "$disk.values"
  (cd "$1" && perl "$scripts/ext4-commands.pl" . "$SOURCE_DATE_EPOCH" "$disk.values" |
    debugfs -w -f /dev/stdin "$disk?offset=$offset" >/dev/null 2>"$disk.said")
  # It says what goes wrong, and goes on.
  ! grep -v '^debugfs [0-9]' "$disk.said" >&2 || exit 1
  last=$(dumpe2fs -h "$disk?offset=$offset" 2>/dev/null | awk -F: '/^Inode count/ { all = $2 } /^Free inodes/ { free = $2 } END { print all - free }')
  [ "$last" = "$(cat "$disk.values/last")" ] || { echo "the inodes of $6 are not the ones that were counted" >&2; exit 1; }
  rm -rf "$disk.values" "$disk.said"
}
into_disk() { dd if="$1" of="$disk" bs=1M seek="$2" conv=notrunc,sparse status=none; rm -f "$1"; } # file, first MiB
make_btrfs() { # folder, first MiB, MiB, id, seed, label
  find "$1" -xdev -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch -h -d "@$SOURCE_DATE_EPOCH"
  truncate -s "${3}M" "$disk.btrfs"
  mkfs.btrfs -q -U "$4" -L "$6" --rootdir "$1" "$disk.btrfs"
  into_disk "$disk.btrfs" "$2"
}
start=65
while read -r place mib _ id seed filesystem _ name _; do
  folder=$disk.part$place
  if [ "$mib" = rest ]; then mib=$rest folder=$tree; fi
  case $filesystem in
    ext4) make_ext4 "$folder" $start "$mib" "$id" "$seed" "${name:0:16}" ;;
    btrfs) make_btrfs "$folder" $start "$mib" "$id" "$seed" "$name" ;;
    swap)
      truncate -s "${mib}M" "$disk.swap"
      mkswap -q -U "$id" -L swap "$disk.swap" >/dev/null
      into_disk "$disk.swap" $start
      ;;
  esac
  [ "$folder" = "$tree" ] || rm -rf "$folder"
  start=$((start + mib))
done < <(sort -n "$plan")

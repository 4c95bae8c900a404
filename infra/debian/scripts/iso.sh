#!/bin/bash
# iso.sh FOLDER OUT: an ISO of FOLDER, in which live/ has kernel, initramfs and root. Boots from CD and USB stick, in UEFI
# (systemd-boot) and on a PC in BIOS (isolinux). Takes KILN_KERNEL, KILN_ARCHITECTURE and KILN_FAT_ID from the environment.
set -euo pipefail
folder=$1 out=$2
options="boot=live components $KILN_KERNEL"
case $KILN_ARCHITECTURE in amd64) efi=x64 ;; arm64) efi=aa64 ;; esac

# UEFI starts from a file system of its own, and systemd-boot reads no other: kernel and initramfs are in there again.
esp=$folder.esp
mkdir -p "$esp/EFI/BOOT" "$esp/loader/entries" "$esp/linux"
program=/usr/lib/systemd/boot/efi/systemd-boot$efi.efi
[ -e "$program" ] || program=tree$program
cp "$program" "$esp/EFI/BOOT/BOOT${efi^^}.EFI"
cp "$folder/live/vmlinuz" "$folder/live/initrd.img" "$esp/linux"
printf 'timeout 0\n' >"$esp/loader/loader.conf"
printf '%s\n' "title Linux" "linux /linux/vmlinuz" "initrd /linux/initrd.img" "options $options" >"$esp/loader/entries/linux.conf"
find "$esp" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
kib=$(($(du -s --apparent-size --block-size=1024 "$esp" | cut -f1) * 105 / 100 + 1024))
[ $kib -ge 36864 ] || kib=36864
truncate -s $(((kib + 1023) / 1024))M "$folder.fat"
mkfs.vfat -F 32 -s 1 -n ESP -i "$KILN_FAT_ID" --invariant "$folder.fat" >/dev/null
MTOOLS_SKIP_CHECK=1 mcopy -s -m -i "$folder.fat" "$esp"/* ::/
rm -rf "$esp"
# Within the ISO, not behind it: the catalog has no room for such a size, and firmware takes what is left of the volume then.
mv "$folder.fat" "$folder/efi.img"

bios=()
if [ "$efi" = x64 ]; then
  mkdir "$folder/isolinux"
  cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$folder/isolinux"
  printf '%s\n' "SERIAL 0 115200" "DEFAULT linux" "PROMPT 0" "TIMEOUT 1" "LABEL linux" "LINUX /live/vmlinuz" \
    "INITRD /live/initrd.img" "APPEND $options" >"$folder/isolinux/isolinux.cfg"
  bios=(-isohybrid-mbr /usr/lib/ISOLINUX/isohdpfx.bin -c isolinux/boot.cat -b isolinux/isolinux.bin -no-emul-boot
    -boot-load-size 4 -boot-info-table -eltorito-alt-boot)
fi
find "$folder" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
date=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S00)
xorriso -as mkisofs -quiet -r -J -V KILN --modification-date="$date" --set_all_file_dates set_to_mtime -uid 0 -gid 0 \
  "${bios[@]}" -e efi.img -no-emul-boot -isohybrid-gpt-basdat -part_like_isohybrid -o "$out" "$folder"

#!/bin/bash
# archive.sh TREE FORMAT OUT: what is no disk, from TREE. The same bytes for the same tree, on whatever file system it lies
# and in whatever order that lists its folders. Takes KILN_KERNEL (the kernel's arguments), KILN_ARCHITECTURE (as Debian
# calls it), KILN_DISK_ID and KILN_FORMATS from the environment.
set -euo pipefail
tree=$1 format=$2 out=$3
find "$tree" -xdev -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch -h -d "@$SOURCE_DATE_EPOCH"

packed() { # further arguments of tar
  tar --sort=name --format=pax --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --numeric-owner \
    --xattrs --xattrs-include='*' --one-file-system "$@" -cf - -C "$tree" .
}
bundled() { # folder; its members as nobody's, in the order of their names
  tar --sort=name --format=ustar --numeric-owner --owner=0 --group=0 --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" \
    -cf - -C "$1" .
}
# Kernel, initramfs and the root of a system that runs from memory.
live_parts() { # folder to put them in
  kernel=$(find "$tree/boot" -maxdepth 1 -name 'vmlinuz-*' -type f | sort -V | tail -n 1)
  [ -n "$kernel" ] || { echo "no kernel in the tree" >&2; exit 1; }
  mkdir -p "$1"
  cp "$kernel" "$1/vmlinuz"
  cp "$tree/boot/initrd.img-${kernel##*/vmlinuz-}" "$1/initrd.img"
  packed --exclude='./boot/vmlinuz-*' --exclude='./boot/initrd.img-*' |
    mksquashfs - "$1/root.squashfs" -tar -comp zstd -Xcompression-level 9 -root-mode 755 -no-progress -quiet
}

case $format in
  tar.gz) packed | pigz -n -6 >"$out" ;;
  oci)
    packed >layer.tar
    bash "$KILN_FORMATS/oci-archive.sh" layer.tar "$KILN_ARCHITECTURE" "$out"
    ;;
  netboot)
    live_parts parts
    # All three come from where this script lies. iPXE before 2020 cannot say where that is: whoever chains it does then.
    printf '%s\n' '#!ipxe' "isset \${base} || set base \${cwduri}" "isset \${base} || goto unknown" \
      "kernel vmlinuz initrd=initrd.img boot=live fetch=\${base}root.squashfs $KILN_KERNEL" 'initrd initrd.img' 'boot' \
      ':unknown' 'echo This iPXE is too old to know where it has this script from. Before you chain it,' \
      'echo set base to the URL of its folder, with a slash at the end' 'exit 1' >parts/boot.ipxe
    bundled parts >"$out"
    ;;
  iso)
    live_parts parts/live
    mv parts/live/root.squashfs parts/live/filesystem.squashfs
    bash "$(dirname "$0")/iso.sh" parts "$out"
    ;;
  *) echo "no format $format" >&2; exit 2 ;;
esac

#!/bin/bash
# assemble.sh TAR DISK DISK.SH: a bootable disk from a packed tree. Works in the current folder; takes what disk.sh takes
# from the environment.
set -euo pipefail
trap 'exit 143' TERM
tar=$1 out=$2 disk=$3
export LC_ALL=C TZ=UTC
mkdir tree
tar -x -f "$tar" -C tree --numeric-owner --xattrs --xattrs-include='*' --same-permissions --exclude='./dev/*'
ls tree/boot/vmlinuz-* >/dev/null 2>&1 || { echo "kiln-no-kernel" >&2; exit 1; }
# Packed without what is mounted there, and without knowing of a disk.
mkdir -p tree/dev tree/proc tree/run tree/sys
cp "$KILN_INPUT/fstab" tree/etc/fstab
bash "$disk" "$PWD/tree" "$out"
rm -rf --one-file-system tree

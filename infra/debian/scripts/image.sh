#!/bin/bash
# Base tree + packages + customizations -> disk or archive. No loop devices, no mounts of a disk.
# Runs in the sandbox; takes everything from the environment. What belongs to the tree runs with nothing but the tree.
#   KILN_INPUT     data of this image: extras, auto, sources.extras, sources.list, custom/
#   KILN_REPOSITORY  the closed repository, or empty when there are no extras
#   KILN_SCRATCH   empty folder to work in        KILN_MEMORY      tmpfs size for it, or empty for none
#   KILN_BASE      the base tree, .tar.zst        KILN_OUT         the file to write
#   KILN_SANDBOX   the folder of enter-tree.pl
#   KILN_GUEST     files every image gets         KILN_SIZE        bytes of the disk, or empty
#   KILN_FACTS     where to write what is installed, see inventory.pl
#   KILN_FORMAT    the format of KILN_OUT         KILN_FORMATS     the folder of convert.sh
#   and what disk.sh, where KILN_INPUT has "partitions", or archive.sh take
# Lines on stdout that begin with "kiln-stage" say where it is; "kiln-user-error" on stderr is for whoever asked.
set -euo pipefail
trap 'exit 143' TERM
scripts=$(dirname "$(readlink -f "$0")")
export LC_ALL=C TZ=UTC
: "${SOURCE_DATE_EPOCH:?}"

[ -z "$KILN_MEMORY" ] || mount -t tmpfs -o "size=$KILN_MEMORY,mode=755" kiln "$KILN_SCRATCH"
cd "$KILN_SCRATCH"
mkdir tree
echo "kiln-stage base-system"
# Device nodes cannot be made in a user namespace, and an image does not need them.
# No pipe to tar: it stops reading at the archive's end mark, and zstd would now and then die of it.
tar --zstd -x -f "$KILN_BASE" -C tree --numeric-owner --xattrs --xattrs-include='*' --same-permissions --exclude='./dev/*'

# What runs in the tree sees the tree, a few harmless devices and this image's data, read-only. All of it lies on
# mounts, so that nothing of it can end up in the image.
mount -t tmpfs -o mode=755,size=1M kiln tree/dev
for node in null zero random urandom; do
  : >"tree/dev/$node"
  mount --bind "/dev/$node" "tree/dev/$node"
done
mount -t tmpfs -o mode=755 kiln tree/run
mount -t tmpfs -o mode=1777,size=1G kiln tree/tmp
mkdir -p tree/run/kiln tree/run/lock
offer() {
  [ -n "$2" ] || return 0
  mkdir "tree/run/kiln/$1"
  mount --bind "$2" "tree/run/kiln/$1"
  # An ordinary user may be refused this; what is offered is not writable for him then, or his own.
  mount -o remount,bind,ro "tree/run/kiln/$1" 2>/dev/null || true
}
offer input "$KILN_INPUT"
offer guest "$KILN_GUEST"
offer scripts "$scripts"
offer repository "$KILN_REPOSITORY"
inside() { # scripts, one after the other
  proc=
  [ "$1" != --proc ] || { proc=$1; shift; }
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
  SYSTEMD_OFFLINE=1 SYSTEMD_LOG_LEVEL=err DEBIAN_FRONTEND=noninteractive KILN_HOSTNAME="$KILN_HOSTNAME" \
  /usr/bin/perl "$KILN_SANDBOX/enter-tree.pl" $proc tree /bin/sh -euc 'for script; do /bin/sh -eu "/run/kiln/scripts/$script"; done' sh "$@" </dev/null
}

if [ -s "$KILN_INPUT/extras" ]; then
  echo "kiln-stage packages"
  inside --proc guest-packages.sh
  sh "$scripts/slim.sh" tree
fi
perl "$scripts/inventory.pl" tree "$KILN_FACTS"
echo "kiln-stage customize"
# No /proc from here on: nothing a tenant names can lead out of the tree through it.
inside guest-defaults.sh guest-customize.sh guest-finish.sh
# A tenant's files may be programs, or change what programs do. From here on nothing in the tree is run.
umount -R tree/tmp tree/dev
perl "$scripts/place-files.pl" tree
umount -R tree/run

echo "kiln-stage disk"
if [ -e "$KILN_INPUT/partitions" ]; then
  bash "$scripts/disk.sh" "$PWD/tree" "$PWD/disk.raw"
  # In memory it goes with the mount, later.
  [ -n "$KILN_MEMORY" ] || rm -rf --one-file-system tree
  echo "kiln-stage convert"
  bash "$KILN_FORMATS/convert.sh" raw disk.raw "$KILN_FORMAT" "$KILN_OUT"
else
  bash "$scripts/archive.sh" tree "$KILN_FORMAT" "$KILN_OUT"
fi

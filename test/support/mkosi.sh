#!/bin/bash
# mkosi.sh DIR: a Debian 13 with mkosi in DIR, made once.
# mkosi.sh DIR -- ARGUMENT…: mkosi in there, with this machine's temporary folder, in mounts that go with it.
set -euo pipefail
dir=$1
if [ "${2:-}" = -- ]; then
  shift 2
  exec unshare --mount --propagation private bash -euc '
root=$0
mount --rbind "$root" "$root"
for each in /proc /sys /dev /tmp; do mount --rbind $each "$root$each"; done
cd "$root"
pivot_root . .
umount -l .
cd /
exec mkosi "$@"' "$dir" "$@"
fi
draft=$dir.new
[ -e "$dir/kiln-ready" ] && exit 0
rm -rf --one-file-system "$draft"
mmdebstrap --quiet --variant=apt --include=mkosi,systemd-repart,dosfstools,mtools,e2fsprogs,squashfs-tools,zstd,cpio,debian-archive-keyring,uidmap,util-linux,ca-certificates \
  trixie "$draft"
touch "$draft/kiln-ready"
mv "$draft" "$dir"

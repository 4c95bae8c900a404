#!/bin/bash
# convert.sh FORMAT FROM FORMAT OUT: a disk in another file format. Pipes, no mounts; the same bytes for the same disk
# whatever the machine, the file system and the hour. "(12.34/100%)" on stdout says how far it is, where that is known.
set -euo pipefail
of=$1 from=$2 to=$3 out=$4
here=$(dirname "$(readlink -f "$0")")
export LC_ALL=C TZ=UTC
parts=$out.parts
trap 'rm -rf "$parts"' EXIT
trap 'exit 143' TERM
mkdir -p "$parts"

# First the disk itself, byte for byte.
unpacked() {
  disk=$parts/disk.raw
  case $1 in
    qcow2 | vmdk) qemu-img convert -p -f "$1" -O raw "$2" "$disk" ;;
    vhd) cp --sparse=always "$2" "$disk" && truncate -s -512 "$disk" ;;
    raw.zst) zstd -q -d --sparse -o "$disk" "$2" ;;
    gcp) tar -xzf "$2" -C "$parts" disk.raw ;;
    ova) tar -xf "$2" -C "$parts" disk.vmdk && unpacked vmdk "$parts/disk.vmdk" && rm "$parts/disk.vmdk" ;;
    *) echo "no disk is made of format $1" >&2; exit 2 ;;
  esac
}
disk=$from
[ "$of" = raw ] || unpacked "$of" "$from"

# Clouds want whole MiB or GiB; what is added lies behind the second partition table, as on a disk that was made bigger.
whole() {
  size=$(stat -c %s "$disk")
  [ $((size % $1)) != 0 ] || return 0
  if [ "$disk" = "$from" ]; then
    cp --sparse=always "$from" "$parts/disk.raw"
    disk=$parts/disk.raw
  fi
  truncate -s $(((size + $1 - 1) / $1 * $1)) "$disk"
}
# What formats take for chance comes from where the partition table is, which names the disk.
identity() { { head -c 1048576 "$disk"; stat -c %s "$disk"; } | sha256sum | cut -c 1-32; }

vmdk() {
  whole 1048576
  # Its own name is in it.
  qemu-img convert -p -f raw -O vmdk -o subformat=streamOptimized,adapter_type=lsilogic "$disk" "$parts/disk.vmdk"
  perl "$here/vmdk-identity.pl" "$parts/disk.vmdk" "$(identity)"
}

case $to in
  raw) if [ "$disk" = "$from" ]; then cp --sparse=always "$disk" "$out"; else mv "$disk" "$out"; fi ;;
  qcow2) qemu-img convert -p -f raw -O qcow2 -c -o compression_type=zstd "$disk" "$out" ;;
  raw.zst) zstd -q -3 -T0 -f -o "$out" "$disk" ;;
  vhd)
    whole 1048576
    cp --sparse=always "$disk" "$out"
    perl "$here/vhd-footer.pl" "$out" "$(identity)"
    ;;
  gcp)
    whole 1073741824
    perl "$here/sparse-tar.pl" "$disk" disk.raw | pigz -n -1 >"$out"
    ;;
  vmdk) vmdk && mv "$parts/disk.vmdk" "$out" ;;
  ova)
    vmdk
    bash "$here/ovf.sh" "$(stat -c %s "$parts/disk.vmdk")" "$(stat -c %s "$disk")" >"$parts/image.ovf"
    (cd "$parts" && sha256sum --tag image.ovf disk.vmdk | sed 's/ (/(/; s/) =/)=/' >image.mf)
    tar --format=ustar --numeric-owner --owner=0 --group=0 --mode=0644 --mtime=@0 \
      -cf "$out" -C "$parts" image.ovf image.mf disk.vmdk
    ;;
  *) echo "no format $to" >&2; exit 2 ;;
esac

#!/bin/sh
# When all is installed: the initramfs, and what no image shall share with another.
set -eu
[ ! -e "$1/usr/sbin/update-initramfs" ] || chroot "$1" update-initramfs -c -k all
rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/apt/sources.list"

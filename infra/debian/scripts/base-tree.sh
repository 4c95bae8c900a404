#!/bin/bash
# Makes a base tree of exactly what a closed repository holds, as a compressed tar. Runs in the sandbox; takes everything
# from the environment.
#   KILN_SCRATCH   empty folder to work in        KILN_MEMORY      tmpfs size for it, or empty for none
#   KILN_REPOSITORY, KILN_SUITE, KILN_ARCHITECTURE, KILN_INCLUDE   what to install: all of suite "base" of the repository
#   KILN_OUT       the .tar.zst to make
set -euo pipefail
trap 'exit 143' TERM
scripts=$(dirname "$(readlink -f "$0")")
export KILN_HOOKS=$scripts

[ -z "$KILN_MEMORY" ] || mount -t tmpfs -o "size=$KILN_MEMORY,mode=755" kiln "$KILN_SCRATCH"
export TMPDIR=$KILN_SCRATCH
# The kernel's own hook and then a trigger would each make the initramfs; base-hook.sh makes it once, at the end.
export INITRD=No

# Whether the kernel runs programs of another architecture was found out before; mmdebstrap would want one more package for that.
foreign=()
[ "$(dpkg --print-architecture)" = "$KILN_ARCHITECTURE" ] || foreign=(--skip=check/qemu)

# shellcheck disable=SC2016 # mmdebstrap expands "$1", its shell the rest
mmdebstrap --verbose --mode=root --variant=apt --format=tar --architectures="$KILN_ARCHITECTURE" --include="$KILN_INCLUDE" "${foreign[@]}" \
  --essential-hook='sh "$KILN_HOOKS/essential.sh" "$1"' \
  --customize-hook='sh "$KILN_HOOKS/base-hook.sh" "$1"' --customize-hook='sh "$KILN_HOOKS/slim.sh" "$1"' \
  "$KILN_SUITE" - "deb [trusted=yes] copy://$KILN_REPOSITORY base main" </dev/null |
  zstd -q -1 -T0 -o "$KILN_OUT"

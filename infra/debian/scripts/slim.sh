#!/bin/sh
# Documentation and message catalogues go; the licences stay. Done here and not by dpkg's path-exclude, which makes
# mmdebstrap filter every archive and costs 13 s.
set -eu
cd "$1"
find usr/share/doc -xdev -depth -mindepth 2 ! -type d ! -name copyright -delete
find usr/share/doc -xdev -mindepth 1 -maxdepth 1 ! -type d ! -type l -delete
find usr/share/doc -xdev -depth -mindepth 1 -type d -empty -delete
# A package may have a link to another's folder in place of its own; one that leads to no licence is of no use any more.
find usr/share/doc -xdev -mindepth 1 -maxdepth 1 -type l -exec sh -c '
  for link; do [ -e "usr/share/doc/$(basename "$(readlink "$link")")/copyright" ] || rm -f "$link"; done' sh {} +
for folder in man info locale; do
  [ ! -d usr/share/$folder ] || find usr/share/$folder -xdev ! -type d ! -name locale.alias -delete
done
rm -rf usr/share/lintian usr/share/bug

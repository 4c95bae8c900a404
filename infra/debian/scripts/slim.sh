#!/bin/sh
# Documentation and message catalogues go; the licences stay. Done here and not by dpkg's path-exclude, which makes
# mmdebstrap filter every archive and costs 13 s.
set -eu
cd "$1"
find usr/share/doc -xdev -depth ! -type d ! -name copyright -delete
find usr/share/doc -xdev -depth -type d -empty -delete
for folder in man info locale; do
  [ ! -d usr/share/$folder ] || find usr/share/$folder -xdev ! -type d ! -name locale.alias -delete
done
rm -rf usr/share/lintian usr/share/bug

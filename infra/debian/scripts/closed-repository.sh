#!/bin/bash
# closed-repository.sh REPOSITORY SUITE ARCHITECTURE: the index of REPOSITORY/pool/SHA256.deb, from the archives themselves.
set -euo pipefail
trap 'exit 143' TERM
cd "$1"
lists=dists/$2/main/binary-$3
mkdir -p "$lists"
for archive in pool/*.deb; do
  digest=${archive#pool/}
  dpkg-deb -f "$archive"
  printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$archive" "$(stat -c %s "$archive")" "${digest%.deb}"
done >"$lists/Packages"
printf 'Suite: %s\nCodename: %s\nComponents: main\nArchitectures: %s\n' "$2" "$2" "$3" >"dists/$2/Release"

#!/bin/bash
# closed-repository.sh POOL: the index of a folder of archives SHA256.deb, from the archives themselves. Runs in the sandbox,
# since anybody may have made them.
set -euo pipefail
trap 'exit 143' TERM
cd "$1"
for archive in *.deb; do
  dpkg-deb -f "$archive"
  printf 'Filename: pool/%s\nSize: %s\nSHA256: %s\n\n' "$archive" "$(stat -c %s "$archive")" "${archive%.deb}"
done

#!/bin/bash
# swift.sh DIR: OpenStack Swift with its S3 face in DIR, a Debian of its own; made once. Nothing in it starts by itself.
set -euo pipefail
dir=$1 draft=$1.new
[ -e "$dir/kiln-ready" ] && exit 0
rm -rf --one-file-system "$draft"
mmdebstrap --quiet --variant=minbase --include=swift-proxy,swift-account,swift-container,swift-object \
  --essential-hook='printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"' trixie "$draft"
touch "$draft/kiln-ready"
mv "$draft" "$dir"

#!/bin/bash
# swift-serve.sh ROOT WORK PROXY OBJECT CONTAINER ACCOUNT: serves S3 on 127.0.0.1:PROXY out of the Debian in ROOT, until it is
# ended; WORK is its disk. In namespaces of its own: what it mounts and starts goes with it.
set -euo pipefail
root=$1 work=$2 proxy=$3 object=$4 container=$5 account=$6
if [ -z "${KILN_SWIFT_INSIDE:-}" ]; then
  KILN_SWIFT_INSIDE=1 exec unshare --mount --pid --fork --kill-child --propagation private bash "$0" "$@"
fi
mkdir -p "$work"/{etc,srv/d1,cache,run}
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root"/srv/node "$root"/etc/swift
mount --bind "$work/etc" "$root/etc/swift"
mount --bind "$work/srv" "$root/srv/node"
mkdir -p "$root/var/cache/swift"
mount --bind "$work/cache" "$root/var/cache/swift"

cat >"$work/etc/swift.conf" <<END
[swift-hash]
swift_hash_path_prefix = kiln
swift_hash_path_suffix = kiln
[storage-policy:0]
name = Policy-0
default = yes
END
storage() {
  cat >"$work/etc/$1.conf" <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $2
devices = /srv/node
mount_check = false
workers = 1
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
END
  (
    cd "$work/etc"
    for step in "create 4 1 1" "add r1z1-127.0.0.1:$2/d1 1" rebalance; do
      # shellcheck disable=SC2086
      chroot "$root" sh -c "cd /etc/swift && swift-ring-builder $1.builder $step" >/dev/null || [ $? = 1 ]
    done
  )
}
storage account "$account"
storage container "$container"
storage object "$object"
cat >"$work/etc/proxy.conf" <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $proxy
workers = 2
[pipeline:main]
pipeline = catch_errors cache listing_formats bulk ratelimit s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:ratelimit]
use = egg:swift#ratelimit
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_lab_lab = labsecret .admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
END
chroot "$root" chown -R swift:swift /etc/swift /srv/node /var/cache/swift
for server in account container object proxy; do
  chroot "$root" "swift-$server-server" "/etc/swift/$server.conf" &
done
wait -n

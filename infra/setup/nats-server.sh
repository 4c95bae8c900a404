#!/usr/bin/env bash
# nats-server.sh <folder>: nats-server >= 2.14 into the folder, from PATH or else from Debian sid, whose package needs
# no more than the libc of Debian 12. No root, no change to the system's apt set-up. The last line tells what went wrong.
set -euo pipefail
min=2.14.0; dest=$1; bin=$dest/nats-server
version() { "$1" --version | sed 's/.*v//'; }
ok() { [ -x "$1" ] && [ "$(printf '%s\n' "$min" "$(version "$1")" | sort -V | head -n 1)" = "$min" ]; }
by_hand="install nats-server $min or newer by hand and put it on PATH"
if ok "$bin"; then exit 0; fi
mkdir -p "$dest"
if sys=$(command -v nats-server) && ok "$sys"; then ln -sf "$sys" "$bin"; exit 0; fi
if ! command -v apt-get > /dev/null || ! command -v dpkg-deb > /dev/null; then echo "this is neither Debian nor Ubuntu: $by_hand"; exit 1; fi

# The mirror this machine uses, Debian's own where it uses none of Debian. Others too have a /debian: Debian's hosts go
# first, and what vendors have below /linux is none.
mirrors=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null | grep -v '^ *#' |
  grep -oE 'https?://[^] ]+/debian/?( |$)' | grep -v /linux/ | sed 's/ *$//' || true)
mirror=${DEBIAN_MIRROR:-$(grep -m 1 -E '//([^/]*\.)?debian\.org/' <<< "$mirrors" || head -n 1 <<< "$mirrors")}
public=deb.debian.org/debian
mirror=${mirror:-http://$public}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || { echo "the package debian-archive-keyring is missing, which nats-server is checked by: $by_hand"; exit 1; }

t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
mkdir -p "$t"/lists/partial "$t"/cache/archives/partial
echo "deb [signed-by=$keyring] $mirror sid main" > "$t/sources.list"
: > "$t/status"
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$t/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null \
    -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State::Lists="$t/lists" -o Dir::State::Status="$t/status" \
    -o Dir::Cache="$t/cache" -o Acquire::Languages=none -o APT::Sandbox::User= "$@"
}
if ! apt update --error-on=any || ! (cd "$t" && apt download nats-server); then
  echo "nats-server cannot be had from Debian, is there a network? Else $by_hand"
  exit 1
fi
dpkg-deb -x "$t"/nats-server_*.deb "$t/x"
install -m 0755 "$t"/x/usr/*bin/nats-server "$bin.new"
ok "$bin.new" || { echo "nats-server from Debian does not run here: $by_hand"; exit 1; }
mv -f "$bin.new" "$bin"

#!/usr/bin/env bash
# run.sh <profile> <program> [argument …]: sets up what the profile needs, then runs the program with Node 24.
# Profiles: cli (Node and npm packages), start and bench (also nats-server and what a worker needs), test (also what
# tests need). What is there already costs no network and some 50 ms. A program is a .ts file or a command from npm.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
profile=$1 program=$2
shift 2
tools=${KILN_TOOLS:-$root/.tools}
# Workers' programs live there too, where an ordinary user's PATH does not look.
export PATH="$PATH:/usr/sbin:/sbin"

say() { echo "setting up: $*" >&2; }
die() { echo "kiln: $*" >&2; exit 1; }

# shellcheck source=infra/setup/npm-packages.sh
. "$here/npm-packages.sh"
# shellcheck source=infra/setup/debian-packages.sh
. "$here/debian-packages.sh"

# For what is set up here; the programs look for themselves what they need beyond it.
enough_disk() {
  local free
  free=$(df -Pk "$root" | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free" -ge 1024 ] || die "too little disk: $root has $free MB free, and setting up needs 1024 MB"
}

# Tests as well, on containers too: some are about servers that are started here.
wants_nats() { [ "$profile" != cli ]; }
has_nats() { [ -x "$tools/bin/nats-server" ]; }

get_nats() {
  say "nats-server …"
  bash "$here/nats-server.sh" "$tools/bin" > "$tools/setup.log" 2>&1 || die "$(tail -n 1 "$tools/setup.log")"
}

all_there() {
  npm_packages_match || return 1
  ! wants_nats || has_nats || return 1
  [ "$profile" = cli ] || [ -z "$(missing_packages)" ]
}

set_up() {
  mkdir -p "$tools/bin"
  if command -v flock > /dev/null; then
    exec 9> "$tools/setup.lock"
    flock -n 9 || { say "waiting for another set-up of this tree …"; flock 9; }
  fi
  npm_packages_match || { enough_disk; get_npm_packages; }
  [ "$profile" = cli ] || [ -z "$(missing_packages)" ] || get_packages "$@"
  ! wants_nats || has_nats || get_nats
  exec 9>&-
}

all_there || set_up "$@"
node=$(node_24)
case "$program" in *.ts) ;; *) program=node_modules/.bin/$program ;; esac
exec "$node" "$program" "$@"

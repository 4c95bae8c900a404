#!/bin/bash
# base-packages.sh WISH…: what apt would install, had it only the packages of a closed repository; APT_CONFIG says which.
# Runs in the sandbox, since anybody may have made them.
set -euo pipefail
trap 'exit 143' TERM
apt-get -qq update >&2
apt-get -q -y install --print-uris -- "$@"

# Sourced by run.sh. Node 24 and everything else from npm, exactly as the lock file says.

stamp=node_modules/.kiln-lock

lock_hash() { cat package-lock.json "$here"/patches/*.patch | sha256sum | cut -d ' ' -f 1; }

npm_packages_match() { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(lock_hash)" ]; }

# The machine's own Node and npm: those in node_modules are about to be replaced.
own_path() { tr ':' '\n' <<< "$PATH" | grep -v node_modules | paste -sd: -; }

get_npm_packages() {
  local path version log
  path=$(own_path) log=$tools/setup.log
  version=$(PATH=$path node -p process.versions.node 2> /dev/null) || die "there is no Node on this machine: install Node 20 or newer"
  [ "${version%%.*}" -ge 20 ] || die "Node $version is too old: install Node 20 or newer"
  # Where an earlier version of a patch is, the new one fits only what is installed anew.
  if [ -d node_modules ] && PATH=$path node "$here/installed.mjs" && patched; then return; fi
  PATH=$path command -v npm > /dev/null || die "there is no npm on this machine: install npm"
  say "Node 24 and npm packages …"
  # No install scripts: none is needed, and some would compile for a minute.
  PATH=$path npm ci --ignore-scripts --include=dev --include=optional --prefer-offline --no-audit --no-fund \
    --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 > "$log" 2>&1 < /dev/null || why_npm "$log"
  patched || die "a package could not be patched: $(grep -m 1 -iE 'error|failed' "$log") (details in $log)"
}

# What is mended in packages until they are mended themselves; a patch that is there already is left as it is.
patched() {
  PATH=$(own_path) node node_modules/patch-package/index.js --patch-dir infra/setup/patches --error-on-fail > "$tools/setup.log" 2>&1 < /dev/null || return 1
  lock_hash > "$stamp"
}

why_npm() {
  if grep -qE 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT' "$1"; then
    die "no network: npm cannot reach its registry, and this first set-up needs it (details in $1)"
  fi
  grep -q ENOSPC "$1" && die "the disk is full: npm could not install its packages"
  die "npm ci failed: $(grep -m 1 -E 'npm (error|ERR!)' "$1" | sed -E 's/npm (error|ERR!) //') (details in $1)"
}

node_24() {
  if node_modules/.bin/node --version > /dev/null 2>&1; then
    echo "$root/node_modules/.bin/node"
  elif [ "$(PATH=$(own_path) node -p 'Number.parseInt(process.versions.node)')" -ge 24 ]; then
    PATH=$(own_path) command -v node
  else
    die "npm has no Node 24 for this kind of machine: install Node 24 or newer by hand"
  fi
}

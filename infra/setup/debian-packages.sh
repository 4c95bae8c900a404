# Sourced by run.sh. Debian packages a worker needs, or the programs in them on a machine of another kind.

on_debian() { command -v dpkg-query > /dev/null && command -v apt-get > /dev/null; }

listed() { # columns of debian-packages.txt for this profile and machine
  local arch=amd64
  [ "$(uname -m)" = x86_64 ] || arch=other
  awk -v profile="$profile" -v arch="$arch" \
    '!/^#/ && NF == 4 && ($3 == "start" || $3 == profile) && ($4 == "-" || $4 == arch) { print $1, $2 }' "$here/debian-packages.txt"
}

missing_packages() {
  if on_debian; then
    local names
    names=$(listed | cut -d ' ' -f 1)
    # shellcheck disable=SC2086
    { dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' $names 2> /dev/null || true; } |
      awk -v names="$names" '$2 == "ii" { have[$1] = 1 } END { n = split(names, all, "\n"); for (i = 1; i <= n; i++) if (!(all[i] in have)) print all[i] }'
  else
    listed | while read -r _ command; do [ "$command" = - ] || command -v "$command" > /dev/null || echo "$command"; done
  fi
}

get_packages() { # the program's own arguments
  local missing why log=$tools/setup.log
  missing=$(missing_packages | paste -sd ' ')
  say "Debian packages: $missing …"
  if why=$(install_packages "$missing" "$log"); then return; fi
  case " $profile $* " in
    *" test "*) echo "kiln: $why; tests that need them are skipped" >&2 ;;
    *" --no-first-image "*) echo "kiln: $why; builds of this worker need them" >&2 ;;
    *) die "$why" ;;
  esac
}

install_packages() { # names, log; says on stdout why not
  on_debian || { echo "this is neither Debian nor Ubuntu: install by hand what brings $1"; return 1; }
  local by=() install="apt-get install -y --no-install-recommends $1"
  if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2> /dev/null; then by=(sudo -n)
    elif [ -t 0 ] && command -v sudo > /dev/null; then by=(sudo)
    else echo "packages are missing and this user may not install them: run, as root, apt-get update && $install"; return 1
    fi
  fi
  local apt=("${by[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
  # shellcheck disable=SC2086
  if "${apt[@]}" update > "$2" 2>&1 < /dev/null &&
    "${apt[@]}" install -y --no-install-recommends $1 >> "$2" 2>&1 < /dev/null; then return; fi
  if grep -qE 'Temporary failure resolving|Could not (connect|resolve)|Network is unreachable|Unable to connect' "$2"; then
    echo "no network: apt-get cannot reach its mirror, and these packages are missing: $1"
  else
    echo "apt-get could not install $1: $(grep -m 1 '^E: ' "$2" | cut -c 4-) (details in $2)"
  fi
  return 1
}

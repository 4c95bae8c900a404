# In the tree: what was asked for, but for files. Every value is read from a file and only ever used quoted.
input=/run/kiln/input/custom
refuse() { echo "kiln-user-error $1: $2" >&2; exit 3; }
value() { cat "$1"; }
# Runs a command; what it says is the reason if it fails.
try() {
  wrong=$1
  shift
  if ! "$@" >/run/kiln/said 2>&1 </dev/null; then
    cat /run/kiln/said >&2
    refuse "$wrong" "$(tail -n 1 /run/kiln/said)"
  fi
}

printf "%s\n" "$KILN_HOSTNAME" >/etc/hostname
[ ! -e $input/hostname ] || printf "%s\n" "$(value $input/hostname)" >/etc/hostname
name=$(cat /etc/hostname)
short=${name%%.*}
[ "$short" != "$name" ] || name=
printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n' \
  "${name:+$name }$short" >/etc/hosts

rm -f /etc/localtime
if [ -e $input/timezone ]; then
  zone=$(value $input/timezone)
  [ -f "/usr/share/zoneinfo/$zone" ] || refuse timezone "no time zone \"$zone\" in the image"
else
  zone=Etc/UTC
fi
ln -s "/usr/share/zoneinfo/$zone" /etc/localtime
printf '%s\n' "$zone" >/etc/timezone

locale=C.UTF-8
if [ -e $input/locale ]; then
  locale=$(value $input/locale)
  case $locale in
    C | POSIX | C.UTF-8) ;;
    *)
      line=$(awk -v name="$locale" '$1 == name { print; exit }' /usr/share/i18n/SUPPORTED)
      [ -n "$line" ] || refuse locale "no locale \"$locale\" in the image; see /usr/share/i18n/SUPPORTED of the locales package"
      printf '%s\n' "$line" >>/etc/locale.gen
      charset=${line#* }
      base=${locale%%.*}
      case $locale in *@*) modifier=@${locale#*@} ;; *) modifier= ;; esac
      try locale localedef -i "$base$modifier" -c -f "$charset" -A /usr/share/locale/locale.alias "$locale"
      ;;
  esac
fi
printf 'LANG=%s\n' "$locale" >/etc/locale.conf
ln -sf ../locale.conf /etc/default/locale

if [ -d $input/keyboard ]; then
  layout=$(value $input/keyboard/layout)
  variant=
  [ ! -e $input/keyboard/variant ] || variant=$(value $input/keyboard/variant)
  # "! layout" and "! variant" head the lists; a line is a name, in the second followed by the layout it belongs to.
  known=$(awk -v layout="$layout" -v variant="$variant" '/^!/ { part = $2 }
    part == "layout" && $1 == layout { found = "layout" variant }
    part == "variant" && $1 == variant && $2 == layout ":" { both = 1 }
    END { print variant == "" || both ? found : found == "" ? "" : "no variant" }' /usr/share/X11/xkb/rules/base.lst)
  [ -n "$known" ] || refuse keyboard.layout "no keyboard layout \"$layout\" in the image"
  [ "$known" != "no variant" ] || refuse keyboard.variant "no variant \"$variant\" of the layout \"$layout\" in the image"
  # Made for the layout of before; without them the layout is read anew.
  rm -f /etc/console-setup/cached_*
fi

add_group() {
  group=$(value "$1/name")
  if getent group "$group" >/run/kiln/group; then
    [ ! -e "$1/gid" ] || [ "$(cut -d: -f3 /run/kiln/group)" = "$(value "$1/gid")" ] || refuse "groups.$group.gid" "the image has a group \"$group\" already, with another gid"
  else
    set -- "$1" "$group"
    [ ! -e "$1/gid" ] || set -- "$@" --gid "$(value "$1/gid")"
    shift 2
    try "groups.$group" groupadd "$@" "$group"
  fi
}
# Numbers that were asked for go before those that may be any.
for entry in $input/groups/*/; do [ ! -e "$entry/gid" ] || add_group "${entry%/}"; done
for entry in $input/groups/*/; do [ ! -d "$entry" ] || add_group "${entry%/}"; done

add_user() {
  user=$(value "$1/name")
  field=users.$user
  shell=/bin/bash
  [ ! -e "$1/shell" ] || shell=$(value "$1/shell")
  [ -x "$shell" ] && [ ! -d "$shell" ] || refuse "$field.shell" "no program \"$shell\" in the image"
  if getent passwd "$user" >/run/kiln/passwd; then
    # root, or somebody a package brought: changed where asked, else left alone.
    [ ! -e "$1/uid" ] || [ "$(cut -d: -f3 /run/kiln/passwd)" = "$(value "$1/uid")" ] || refuse "$field.uid" "the image has a user \"$user\" already, with another uid"
    [ ! -e "$1/home" ] || try "$field.home" usermod --home "$(value "$1/home")" "$user"
    [ ! -e "$1/shell" ] || try "$field.shell" usermod --shell "$shell" "$user"
    [ ! -e "$1/gid" ] || [ "$(cut -d: -f4 /run/kiln/passwd)" = "$(value "$1/gid")" ] || refuse "$field.gid" "the image has a user \"$user\" already, with another group"
    [ ! -e "$1/description" ] || try "$field.description" usermod --comment "$(value "$1/description")" "$user"
    [ ! -e "$1/expiredate" ] || try "$field.expiredate" usermod --expiredate "$(value "$1/expiredate")" "$user"
  else
    set -- "$1" --create-home --shell "$shell"
    if [ -e "$1/gid" ]; then
      gid=$(value "$1/gid")
      getent group "$gid" >/run/kiln/group || try "$field.gid" groupadd --gid "$gid" "$user"
      set -- "$@" --gid "$gid"
    else
      set -- "$@" --user-group
    fi
    [ ! -e "$1/description" ] || set -- "$@" --comment "$(value "$1/description")"
    [ ! -e "$1/expiredate" ] || set -- "$@" --expiredate "$(value "$1/expiredate")"
    [ ! -e "$1/uid" ] || set -- "$@" --uid "$(value "$1/uid")"
    [ ! -e "$1/home" ] || set -- "$@" --home-dir "$(value "$1/home")"
    entry=$1
    shift
    try "$field" useradd "$@" "$user"
    set -- "$entry"
    # Not "!", which some ways in take for an account that is shut; nobody can match a star.
    printf '%s:*\n' "$user" | chpasswd -e
  fi
  [ ! -e "$1/password" ] || { printf '%s:' "$user"; cat "$1/password"; echo; } | chpasswd -e
  while read -r group; do
    getent group "$group" >/run/kiln/group || refuse "$field.groups" "no group \"$group\" in the image"
    try "$field.groups" usermod --append --groups "$group" "$user"
  done <"$1/groups"
  if [ -e "$1/keys" ]; then
    home=$(getent passwd "$user" | cut -d: -f6)
    try "$field.keys" install -d -m 700 -o "$user" -g "$(id -g "$user")" "$home/.ssh"
    try "$field.keys" install -m 600 -o "$user" -g "$(id -g "$user")" "$1/keys" "$home/.ssh/authorized_keys"
  fi
  if [ -e "$1/sudo" ]; then
    printf '%s ALL=(ALL:ALL) NOPASSWD: ALL\n' "$user" >"/etc/sudoers.d/90-kiln-$user"
    chmod 440 "/etc/sudoers.d/90-kiln-$user"
  fi
}
for entry in $input/users/*/; do [ ! -d "$entry" ] || add_user "${entry%/}"; done

# Files come later, when nothing of the tree runs any more; whom they belong to is looked up while its programs may.
# A number needs nobody of that number; -1 leaves things as they are.
owner_of() {
  field=$(value "$1/field")
  uid=-1 gid=-1
  if [ -e "$1/user" ]; then
    user=$(value "$1/user")
    if getent passwd "$user" >/run/kiln/passwd; then
      uid=$(cut -d: -f3 /run/kiln/passwd) gid=$(cut -d: -f4 /run/kiln/passwd)
    else
      case $user in [0-9]*) uid=$user ;; *) refuse "$field.user" "no user \"$user\" in the image" ;; esac
    fi
  fi
  if [ -e "$1/group" ]; then
    group=$(value "$1/group")
    if getent group "$group" >/run/kiln/group; then
      gid=$(cut -d: -f3 /run/kiln/group)
    else
      case $group in [0-9]*) gid=$group ;; *) refuse "$field.group" "no group \"$group\" in the image" ;; esac
    fi
  fi
  printf '%s:%s' "$uid" "$gid" >"/run/kiln/owners/$2-${1##*/}"
}
mkdir /run/kiln/owners
for kind in directories files; do
  for entry in $input/$kind/*/; do [ ! -d "$entry" ] || owner_of "${entry%/}" $kind; done
done

if [ -d $input/cacerts ]; then
  mkdir -p /usr/local/share/ca-certificates
  for entry in $input/cacerts/*; do install -m 644 "$entry" "/usr/local/share/ca-certificates/kiln-${entry##*/}.crt"; done
  # What packages hang on this may want more than there is here; nothing of ours does.
  try cacerts update-ca-certificates --hooksdir /run/kiln/none
fi

[ ! -e $input/environment ] || cat $input/environment >>/etc/environment

# Says "<number> <protocol>" for each protocol of a service.
service_ports() {
  awk -v name="$1" '!/^#/ { for (n = 1; n <= NF && $n != "#"; n++) if (n != 2 && $n == name) { split($2, port, "/"); print port[1], port[2]; break } }' /etc/services
}
if [ -d $input/firewall ]; then
  : >/run/kiln/open
  while read -r port protocol; do
    case $port in
      [0-9]*) printf '%s %s\n' "$port" "$protocol" >>/run/kiln/open ;;
      *)
        number=$(service_ports "$port" | awk -v protocol="$protocol" '$2 == protocol { print $1; exit }')
        [ -n "$number" ] || refuse firewall.ports "no service \"$port\" by $protocol in /etc/services of the image"
        printf '%s %s\n' "$number" "$protocol" >>/run/kiln/open
        ;;
    esac
  done <$input/firewall/ports
  while read -r name; do
    service_ports "$name" >/run/kiln/ports
    [ -s /run/kiln/ports ] || refuse firewall.services.enabled "no service \"$name\" in /etc/services of the image"
    cat /run/kiln/ports >>/run/kiln/open
  done <$input/firewall/services
  {
    cat <<'RULES'
#!/usr/sbin/nft -f
# Nothing comes in but what is said here.
flush ruleset

table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		ct state invalid drop
		iif "lo" accept
		meta l4proto { icmp, ipv6-icmp } accept
		ip6 saddr fe80::/10 udp dport 546 accept
RULES
    sort -k2,2 -k1,1n -k1,1 -u /run/kiln/open | while read -r port protocol; do
      case $protocol in tcp | udp) printf '\t\t%s dport %s accept\n' "$protocol" "$port" ;; esac
    done
    printf '\t}\n}\n'
  } >/etc/nftables.conf
fi

service() {
  [ -e "$input/services/$1" ] || return 0
  while read -r unit; do
    systemctl list-unit-files --no-legend --no-pager -- "$unit" "$unit.service" >/run/kiln/units 2>&1 || true
    # An instance of a template is not in that list; enabling it says itself whether there is one.
    case $unit in *@?*) ;; *) [ -s /run/kiln/units ] || refuse "services.$1" "no unit \"$unit\" in the image" ;; esac
    try "services.$1" systemctl --quiet "$2" -- "$unit"
  done <"$input/services/$1"
}
service disabled disable
service enabled enable
service masked mask

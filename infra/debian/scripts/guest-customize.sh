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
  else
    set -- "$1" --create-home --user-group --shell "$shell"
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
owner_of() {
  field=$(value "$1/field")
  user=root
  [ ! -e "$1/user" ] || user=$(value "$1/user")
  getent passwd "$user" >/run/kiln/passwd || refuse "$field.user" "no user \"$user\" in the image"
  if [ -e "$1/group" ]; then
    group=$(value "$1/group")
    getent group "$group" >/run/kiln/group || refuse "$field.group" "no group \"$group\" in the image"
    gid=$(cut -d: -f3 /run/kiln/group)
  else
    gid=$(cut -d: -f4 /run/kiln/passwd)
  fi
  printf '%s:%s' "$(cut -d: -f3 /run/kiln/passwd)" "$gid" >"/run/kiln/owners/${1##*/}"
}
mkdir /run/kiln/owners
for entry in $input/files/*/; do [ ! -d "$entry" ] || owner_of "${entry%/}"; done

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

# Sent to the agent of a booted machine and run there by sh: says what the machine is. facts.ts reads its words.
# In front of it come LIMIT, in seconds, and the functions files, units, keys, certificates and program: what to look at.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
part() {
  printf '= %s\n' "$*"
  head -c 262144 | sed 's/^/ /'
  echo
}
timeout "$LIMIT" systemctl is-system-running --wait | part state
systemctl list-units --failed --plain --no-legend --no-pager | while read -r unit _; do
  journalctl --quiet --no-pager --output=cat --lines=15 --unit="$unit" | part "failed $unit"
done
part hostname </proc/sys/kernel/hostname
readlink -f /etc/localtime | part localtime
cat /etc/default/locale /etc/locale.conf 2>/dev/null | sed -n 's/^LANG=//p' | tr -d "\"'" | head -n 1 | part locale
part arguments </proc/cmdline
getent passwd | part users
getent group | part groups
dpkg-query -W -f='${db:Status-Status} ${Package} ${Version}\n' 2>/dev/null | part packages
for table in tcp tcp6 udp udp6; do
  sed 1d /proc/net/$table 2>/dev/null | part "sockets $table"
done
units | while IFS= read -r unit; do
  systemctl show --property=LoadState,ActiveState,Result,UnitFileState -- "$unit" 2>&1 | part "unit $unit"
done
began=$(sed -n 's/^btime //p' /proc/stat)
files | while IFS= read -r path; do
  {
    stat -L -c '%a %U %G %u %g' -- "$path"
    # What was written to since the machine began is not what the image brought.
    [ ! -f "$path" ] || [ "$(stat -L -c %Y -- "$path")" -ge "${began:-0}" ] || timeout "$LIMIT" sha256sum <"$path"
  } 2>/dev/null | part "file $path"
done
keys | while IFS= read -r key; do
  case $key in *[!./]/* | /*) path=$key ;; *) path=$(printf %s "$key" | tr . /) ;; esac
  cat "/proc/sys/$path" 2>/dev/null | part "sysctl $key"
done
getent passwd | while IFS=: read -r name _ _ _ _ home _; do
  [ ! -f "$home/.ssh/authorized_keys" ] || part "keys $name" <"$home/.ssh/authorized_keys"
  [ ! -f "/etc/sudoers.d/90-kiln-$name" ] || sudo -n -l -U "$name" </dev/null 2>/dev/null | part "sudo $name"
done
certificates | while IFS= read -r line; do
  grep -m 1 -xF -e "$line" /etc/ssl/certs/ca-certificates.crt 2>/dev/null
done | part certificates
cat /etc/default/keyboard 2>/dev/null | part keyboard
cat /etc/systemd/timesyncd.conf /etc/systemd/timesyncd.conf.d/*.conf 2>/dev/null | sed -n 's/^NTP=//p' | part timeservers
cat /etc/environment 2>/dev/null | part environment
nft list chain inet filter input 2>/dev/null | part firewall
sed '/^#/d' /etc/services 2>/dev/null | part services
if [ -n "${PROGRAM:-}" ]; then
  place=$(mktemp -d /var/tmp/kiln-test-XXXXXX)
  program >"$place/program"
  chmod 700 "$place/program"
  case $(head -c 2 "$place/program") in '#!') set -- "$place/program" ;; *) set -- sh "$place/program" ;; esac
  cd /
  timeout "$LIMIT" "$@" </dev/null >"$place/said" 2>&1
  echo $? | part exit
  tail -c 65536 "$place/said" | part said
fi

# In the tree: what every image of its type gets. Runs before the customizations, so that each of it can be overridden
# by them.
input=/run/kiln/input
place() {
  (cd "$1" && find . -type f) | while read -r file; do
    mode=644
    case $file in ./usr/lib/kiln/*) mode=755 ;; esac
    install -D -m $mode "$1/$file" "/${file#./}"
  done
}
[ ! -d /run/kiln/guest ] || place /run/kiln/guest
[ ! -d $input/type ] || place $input/type
if [ -e $input/fstab ]; then
  for hook in etc/kernel/postinst.d etc/kernel/postrm.d etc/initramfs/post-update.d; do
    mkdir -p /$hook
    ln -sf /usr/lib/kiln/update-esp /$hook/zz-kiln-esp
  done
  mkdir -p /boot/efi
  cat $input/fstab >/etc/fstab
fi
cp $input/sources.list /etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*
while read -r unit; do systemctl --quiet enable "$unit.service"; done <$input/units
rm -f /etc/resolv.conf
[ ! -d /run/kiln/guest ] || ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf

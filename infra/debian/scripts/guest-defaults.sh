# In the tree: what every image gets. Runs before the customizations, so that each of it can be overridden by them.
guest=/run/kiln/guest
(cd $guest && find . -type f) | while read -r file; do
  mode=644
  case $file in ./usr/lib/kiln/*) mode=755 ;; esac
  install -D -m $mode "$guest/$file" "/${file#./}"
done
for hook in etc/kernel/postinst.d etc/kernel/postrm.d etc/initramfs/post-update.d; do
  mkdir -p /$hook
  ln -sf /usr/lib/kiln/update-esp /$hook/zz-kiln-esp
done
mkdir -p /boot/efi
printf 'PARTUUID=%s\t/\text4\trw,errors=remount-ro,x-systemd.growfs\t0\t1\nPARTUUID=%s\t/boot/efi\tvfat\tumask=0077,nofail\t0\t0\n' \
  "$KILN_ROOT_ID" "$KILN_ESP_ID" >/etc/fstab
cp /run/kiln/input/sources.list /etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*
for unit in systemd-networkd systemd-resolved systemd-timesyncd serial-getty@ttyS0 kiln-grow kiln-ready; do
  systemctl --quiet enable $unit.service
done
rm -f /etc/resolv.conf
ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf

# In the tree: installs what the lock has beyond the base, from the closed repository.
export APT_CONFIG=/run/kiln/scripts/guest-apt.conf
mkdir -p /run/kiln/none /run/kiln/lists/partial /run/kiln/cache/archives/partial /run/kiln/log
# No daemon starts while an image is made.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
# The initramfs is made again by what is installed; it has only the modules that it is told of.
[ ! -e /run/kiln/input/initramfs ] || cat /run/kiln/input/initramfs >>/etc/initramfs-tools/modules
apt-get -q update
xargs -a /run/kiln/input/extras -d '\n' apt-get -q -y install
if [ -s /run/kiln/input/auto ]; then xargs -a /run/kiln/input/auto -d '\n' apt-mark -q auto >/run/kiln/auto; fi
rm /usr/sbin/policy-rc.d

# In the tree: takes out what only one machine should have, and what differs from build to build.
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id /var/lib/systemd/random-seed /etc/.pwd.lock
: >/etc/machine-id
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/* /var/log/*.log /var/log/apt/* /var/cache/ldconfig/aux-cache
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid- /var/cache/debconf/*-old /var/lib/dpkg/*-old
# Python writes them anew; what packages wrote holds the order of a table in memory.
find /usr -xdev -type d -name __pycache__ -prune -exec rm -rf {} +

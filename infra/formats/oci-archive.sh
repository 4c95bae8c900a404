#!/bin/bash
# oci-archive.sh LAYER ARCHITECTURE OUT: an OCI image of one layer, a tar, as an archive of an OCI layout that Docker
# loads too. LAYER is used up. The time of all is SOURCE_DATE_EPOCH.
set -euo pipefail
layer=$1 architecture=$2 out=$3
parts=$out.parts
trap 'rm -rf "$parts"' EXIT
trap 'exit 143' TERM
blobs=$parts/blobs/sha256
mkdir -p "$blobs"
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

# Puts a file among the blobs; "<digest> <size>" of it.
keep() {
  local digest
  digest=$(sha256sum <"$1" | cut -d ' ' -f 1)
  mv "$1" "$blobs/$digest"
  echo "$digest $(stat -c %s "$blobs/$digest")"
}
descriptor() { printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s' "$1" "$2" "$3"; }

content=$(sha256sum <"$layer" | cut -d ' ' -f 1)
pigz -n -6 <"$layer" >"$parts/layer"
rm -f "$layer"
read -r layer size < <(keep "$parts/layer")
printf '{"created":"%s","architecture":"%s","os":"linux","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["/bin/bash"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s"}]}' \
  "$created" "$architecture" "$content" "$created" >"$parts/config"
read -r config bytes < <(keep "$parts/config")
{
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":'
  descriptor config.v1+json "$config" "$bytes"
  printf '},"layers":['
  descriptor layer.v1.tar+gzip "$layer" "$size"
  printf '}]}'
} >"$parts/manifest"
read -r manifest bytes < <(keep "$parts/manifest")
{
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":['
  descriptor manifest.v1+json "$manifest" "$bytes"
  printf ',"platform":{"architecture":"%s","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}' "$architecture"
} >"$parts/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$parts/oci-layout"
# What Docker of before OCI layouts looks for.
printf '[{"Config":"blobs/sha256/%s","RepoTags":null,"Layers":["blobs/sha256/%s"]}]' "$config" "$layer" >"$parts/manifest.json"
tar --sort=name --format=ustar --numeric-owner --owner=0 --group=0 --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" \
  -cf "$out" -C "$parts" oci-layout index.json manifest.json blobs

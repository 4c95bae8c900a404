#!/bin/bash
# update-index.sh STATE MINUTES [LISTS]: brings STATE/current up to date unless that was done less than MINUTES ago.
# The first time it goes on from copies of LISTS, another state's, so that only what is not in there is fetched.
# An index is a folder named by its revision and never changed: readers keep theirs while a new one is made.
set -euo pipefail
trap 'exit 143' TERM
state=$1 minutes=$2 lists=${3:-}
export APT_CONFIG=$state/apt.conf
cd "$state"
exec 9>lock
flock 9
fresh() { [ -e current/complete ] && [ -n "$(find stamp -newermt "-$1 seconds" 2>/dev/null)" ]; }
! fresh "$((minutes * 60))" || exit 0

# The lock is ours: what lies about was left by somebody who was killed.
rm -rf new.*
new=$state/new.$$
mkdir -p "$new/lists/partial" gen empty/partial none
if [ -d current/lists ]; then
  cp -al current/lists/. "$new/lists/"
elif [ -n "$lists" ]; then
  find "$lists" -maxdepth 1 -type f ! -name lock -exec cp --preserve=timestamps --reflink=auto -t "$new/lists" {} +
fi
apt-get -q update -o "Dir::State::lists=$new/lists" -o "Dir::Cache=$new" -o APT::Update::Error-Mode=any 9>&-
rm -f "$new"/*.bin
revision=$(cd "$new/lists" && sha256sum -- *Release | sha256sum | cut -c1-64)
index=gen/$revision
if [ ! -e "$index/complete" ]; then
  rm -rf "$index"
  mv -T "$new" "$index"
  # apt's binary cache knows the path of its lists, so it is made in place. Newest version last, to be kept.
  apt-cache -o "Dir::State::lists=$state/$index/lists" -o "Dir::Cache=$state/$index" dumpavail 9>&- |
    awk -F': ' '/^Package: / { name = $2 } /^Version: / { version = $2 } /^Section: / { section = $2 }
      /^Description: / { summary = substr($0, 14); gsub(/\t/, " ", summary) }
      /^$/ { print name "\t" version "\t" section "\t" summary }' |
    LC_ALL=C sort -t "$(printf '\t')" -k1,1 -k2,2V |
    awk -F'\t' '$1 != last && NR > 1 { print line } { last = $1; line = $0 } END { if (NR) print line }' >"$index/packages.tsv"
  touch "$index/complete"
fi
rm -rf "$new"
# Readers of the one that is replaced get their day from now.
if [ -e current ]; then touch "$(readlink current)"; fi
ln -sfn "$index" current.new
mv -T current.new current
touch stamp
# Nobody reads an old index for a day.
find gen -mindepth 1 -maxdepth 1 -mmin +1440 ! -name "$revision" -exec rm -rf {} +

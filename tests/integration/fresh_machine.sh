#!/usr/bin/env bash
# Bar 9: the README's two commands on a Debian that has nothing of what the project needs: debootstrap's minimal base with
# git. `scripts/test --fresh-machine [--tests|--keep]`: the first takes three minutes and 2 GB below build/fresh-machine; with
# --tests the second too, half an hour more, or as CI does it where CI is set; --keep leaves the root.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
place=$project/build/fresh-machine
((EUID == 0)) || { echo "debootstrap and chroot need root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "Install debootstrap first" >&2; exit 1; }

# Mounts live in a namespace of their own, so that none is left behind whatever happens.
if [[ ${1-} != --inside ]]; then
  exec unshare --mount --propagation private -- "$0" --inside "$@"
fi
shift

base=$place/base.tar
root=$place/root
rm -rf "$root"
mkdir -p "$root"
if [[ ! -f $base ]]; then
  # Either file may be missing.
  mirror=$({ sed -n 's/^URIs: *//p; s/^deb .*\(http[^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true; } | head -n 1)
  debootstrap --variant=minbase --include=ca-certificates,git bookworm "$root" "${mirror:?no mirror in the sources of apt}"
  tar -C "$root" -cf "$base.new" .
  mv "$base.new" "$base"
else
  tar -C "$root" -xf "$base"
fi
# The machine's own way to packages.
rm -f "$root/etc/apt/sources.list"
cp -r /etc/apt/sources.list.d/*.sources "$root/etc/apt/sources.list.d/" 2>/dev/null || true
[[ ! -f /etc/apt/sources.list ]] || cp /etc/apt/sources.list "$root/etc/apt/"
grep -lsr Acquire:: /etc/apt/apt.conf.d /etc/apt/apt.conf | xargs -r cp -t "$root/etc/apt/apt.conf.d" || true
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/hosts "$root/etc/hosts"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root/run/user"

git clone -q "$project" "$root/root/ocp-watch"
in_root() { chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb ${CI:+CI="$CI"} bash -euo pipefail -c "cd /root/ocp-watch; $1"; }
# Also after a failure no daemon is left; the root is, to look into.
trap 'in_root "build/release/cli/ocp-watch stop" 2>/dev/null || true' EXIT

echo "== scripts/run build -- make -C tests/programs/hello"
time in_root 'scripts/run build -- make -C tests/programs/hello'
in_root 'tests/programs/hello/hello'
echo "== the second run"
time in_root 'scripts/run build -- make -C tests/programs/hello'
in_root 'scripts/run explain --json' | tee "$place/explain.json"
grep -q '"outcome":"reused"' "$place/explain.json"
echo "== scripts/run record and report"
in_root 'make -s -C tests/programs/hello clean; scripts/run record -- make -C tests/programs/hello'
in_root 'scripts/run report'
in_root 'scripts/run report --format json' >"$place/report.json"
grep -q '"complete": *true' "$place/report.json"
if [[ ${1-} == --tests ]]; then
  echo "== scripts/test"
  time in_root 'scripts/test'
fi
in_root 'scripts/run stop'
trap - EXIT
echo "Works on a fresh machine"
if [[ ${1-} != --keep ]]; then
  rm -rf --one-file-system "$root" 2>/dev/null || true
fi

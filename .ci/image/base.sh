#!/bin/sh
# Base images where no registry can be reached, from Debian packages alone: NAME:build has Python and venv, NAME:run what
# Python needs to run and neither a shell nor a package manager. Needs mmdebstrap and buildah. Usage: image/base.sh NAME
set -eu
name=${1:?usage: image/base.sh NAME}
for tool in mmdebstrap buildah; do
  command -v "$tool" > /dev/null || { echo "image/base.sh needs $tool: apt-get install mmdebstrap buildah" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export BUILDAH_ISOLATION=chroot
mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/build.tar"
run=$work/run
mmdebstrap --quiet --variant=extract --include=python3-minimal,libpython3-stdlib,libstdc++6,ca-certificates \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --format=directory bookworm "$run"
mkdir -p "$run/etc/ssl/certs" "$run/tmp"
chmod 1777 "$run/tmp"
cat "$run"/usr/share/ca-certificates/mozilla/*.crt > "$run/etc/ssl/certs/ca-certificates.crt"
# Licences stay (usr/share/doc/*/copyright).
find "$run/usr/share/doc" -type f ! -name copyright -delete
rm -rf "$run"/usr/share/man "$run"/usr/share/locale "$run"/usr/share/info "$run"/usr/share/perl5 "$run"/usr/lib/*/gconv \
  "$run"/var/lib/apt "$run"/var/cache "$run"/usr/bin/dpkg* "$run"/usr/bin/tar "$run"/usr/bin/debconf* "$run"/dev
tar -C "$run" -cf "$work/run.tar" .
for kind in build run; do
  container=$(buildah --storage-driver=vfs from scratch)
  buildah --storage-driver=vfs add --quiet "$container" "$work/$kind.tar" /
  buildah --storage-driver=vfs commit --quiet --rm "$container" "$name:$kind"
done

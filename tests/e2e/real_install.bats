#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The Debian package and the image of kbuild, made and used as users do: the package is built from a clean checkout in a bare root
# of each release, installed in another bare one, and builds a target there as an ordinary user; the image does the same.
# Slow; needs the distribution's mirror and root for the bare roots.

bats_require_minimum_version 1.5.0

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
BUILDER=12321

setup_file() {
  # Other users enter it.
  PLACE=$(mktemp -d /tmp/kbuild-real-install.XXXXXX)
  chmod 755 "$PLACE"
  export PLACE
}

teardown_file() {
  rm -rf "$PLACE"
}

setup() {
  [ "$(id -u)" -eq 0 ] || skip "only root can make a bare root of a distribution that apt works in"
}

# The mirror that this machine has, which has all suites.
bare_root() { # suite, folder, packages of apt
  local mirror
  # shellcheck disable=SC2016 # apt's own names
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    sed -nE 's/^Debian [a-z]+ //p' | head -n 1)
  [ -n "$mirror" ] || skip "apt has no mirror of Debian here"
  mmdebstrap --mode=root --variant=minbase --include="ca-certificates${3:+,$3}" "$1" "$2" "$mirror"
  cp /etc/resolv.conf "$2/etc/"
}

# As root of that root.
inside() { # root, command...
  local root=$1
  shift
  bwrap --bind "$root" / --dev /dev --proc /proc --unshare-pid --cap-add ALL --clearenv --setenv PATH /usr/sbin:/usr/bin:/sbin:/bin \
    --setenv DEBIAN_FRONTEND noninteractive --setenv LC_ALL C.UTF-8 --setenv HOME /root --chdir / -- "$@"
}

# As an ordinary user, who has nothing but a home; as bwrap does it, nested user namespaces work.
as_user() { # root, command...
  local root=$1
  shift
  install -d -o "$BUILDER" -g "$BUILDER" "$PLACE/home"
  touch "$root/etc/resolv.conf" "$root/etc/hosts"
  setpriv --reuid="$BUILDER" --regid="$BUILDER" --clear-groups bwrap --bind "$root" / --dev /dev --proc /proc --tmpfs /tmp \
    --dir /tmp/home --bind "$PLACE/home" /tmp/home --ro-bind /etc/resolv.conf /etc/resolv.conf --unshare-pid --unshare-user \
    --uid "$BUILDER" --gid "$BUILDER" --clearenv --setenv PATH /usr/bin:/bin --setenv HOME /tmp/home --chdir /tmp/home -- "$@"
}

# What a user of an installation does first.
use_it() { # root
  rm -rf "${PLACE:?}/home"
  [ "$(as_user "$1" kbuild --version)" = "kbuild $(cat "$REPOSITORY/VERSION")" ]
  as_user "$1" kbuild list | grep -q '^boot-image-se '
  as_user "$1" kbuild doctor build
  as_user "$1" kbuild smoke-init --sources=debian
  [ -s "$PLACE/home/build/kata-static-smoke-init.tar.xz" ]
  [ -d "$PLACE/home/.cache/kbuild/sha256" ]
  as_user "$1" kbuild lock smoke-init --sources=debian
  ls "$PLACE/home/.local/state/kbuild/locks/"versions-*.lock
}

package_of_release() { # suite
  bare_root "$1" "$PLACE/build" build-essential
  mkdir "$PLACE/build/src" && git -C "$REPOSITORY" archive --prefix=kbuild/ HEAD | tar -x -C "$PLACE/build/src"
  inside "$PLACE/build" sh -c 'cd /src/kbuild && apt-get update -q && apt-get build-dep -y -q --no-install-recommends ./ && apt-get install -y -q --no-install-recommends lintian' >/dev/null
  inside "$PLACE/build" sh -c 'cd /src/kbuild && dpkg-buildpackage -us -uc -b' >/dev/null
  # No tag that is not explained, and nothing of less weight either.
  run -0 inside "$PLACE/build" sh -c 'cd /src && lintian -I --pedantic --allow-root --fail-on error,warning,info,pedantic *.changes'
  mkdir "$PLACE/first" && mv "$PLACE/build/src"/*.deb "$PLACE/first/"
  # Again, elsewhere and at another time: the same bytes.
  mv "$PLACE/build/src/kbuild" "$PLACE/build/src/elsewhere"
  inside "$PLACE/build" sh -c 'cd /src/elsewhere && umask 077 && TZ=Asia/Tokyo dpkg-buildpackage -us -uc -b' >/dev/null
  for file in "$PLACE/first"/*.deb; do cmp "$file" "$PLACE/build/src/${file##*/}"; done
  rm -rf "$PLACE/build"
  bare_root "$1" "$PLACE/use"
  cp "$PLACE/first"/kata-kbuild_*.deb "$PLACE/use/root/"
  inside "$PLACE/use" sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends /root/kata-kbuild_*.deb' >/dev/null
  diff -r --no-dereference "$REPOSITORY/recipes" "$PLACE/use/usr/share/kbuild/recipes"
  use_it "$PLACE/use"
  inside "$PLACE/use" dpkg -V kata-kbuild
  inside "$PLACE/use" apt-get purge -y -q kata-kbuild >/dev/null
  [ ! -e "$PLACE/use/usr/share/kbuild" ]
  rm -rf "$PLACE/use" "$PLACE/first"
}

@test "a package of Debian 12: clean for lintian, reproducible, builds as an ordinary user in a bare root" {
  package_of_release bookworm
}

@test "a package of Debian 13: the same" {
  package_of_release trixie
}

@test "the image: the same bytes again, its entry point and labels, a build as an ordinary user" {
  cd "$REPOSITORY"
  export KBUILD_CACHE=$PLACE/cache
  for name in first second; do
    tools/make-image "$PLACE/$name"
    rm -rf "$PLACE/cache/actions"
  done
  cmp "$PLACE/first/kbuild-image.tar" "$PLACE/second/kbuild-image.tar"
  skopeo copy -q "oci-archive:$PLACE/first/kbuild-image.tar:kbuild:$(cat VERSION)" "oci:$PLACE/layout:kbuild"
  umoci unpack --image "$PLACE/layout:kbuild" "$PLACE/bundle"
  chmod 755 "$PLACE/bundle"
  [ "$(jq -c .process.args "$PLACE/bundle/config.json")" = '["kbuild"]' ]
  [ "$(skopeo inspect "oci:$PLACE/layout:kbuild" | jq -r '.Labels["org.opencontainers.image.version"]')" = "$(cat VERSION)" ]
  use_it "$PLACE/bundle/rootfs"
}

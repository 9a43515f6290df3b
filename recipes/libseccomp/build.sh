#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds libseccomp as a static library for the target.
# Needs: /src/libseccomp (a git tree, or a distribution's source package); autotools, gperf, a compiler.
# Leaves: /out/libseccomp/usr/{lib/libseccomp.a,lib/pkgconfig,include}.
set -eu
umask 022

cp -R /src/libseccomp source
chmod -R u+w source
cd source
# A release has configure; a git tree and a package that lost it do not.
if [ ! -x configure ]; then
    autoreconf -fi
fi
host=()
if [ -n "$CROSS_COMPILE" ]; then
    host=(--host="$TRIPLET" CC="${CROSS_COMPILE}gcc")
fi
./configure --prefix=/usr --libdir=/usr/lib --enable-static --disable-shared --disable-python "${host[@]}" \
    CFLAGS="-O2 -ffile-prefix-map=$PWD=." || { tail -n 60 config.log >&2; exit 1; }
make -C include
make -C src libseccomp.la
make -C src install-libLTLIBRARIES DESTDIR=/out/libseccomp
make -C include install DESTDIR=/out/libseccomp
make install-pkgconfDATA DESTDIR=/out/libseccomp
rm -f /out/libseccomp/usr/lib/libseccomp.la

#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `kbuild sign` and `kbuild check`: files that are handed over outside a registry, as producer and customer
# meet them, and as somebody who wants to cheat would try. All keys are TEST keys.

load project

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  unset KBUILD_SIGNING_KEY KBUILD_TRUSTED_KEYS HKD_PATH SE_SEALER
  key builder
  key other
  mkdir -p trees/one/opt/kata/share
  echo content >trees/one/opt/kata/share/file
  "$KBUILD" pack trees/one kata-static-one.tar.xz
}

key() { # TEST-$1.pem and $1.pub.pem
  openssl genpkey -algorithm ed25519 -out "TEST-$1.pem" 2>/dev/null
  chmod 600 "TEST-$1.pem"
  openssl pkey -in "TEST-$1.pem" -pubout -out "$1.pub.pem"
}

sign() { # words; by TEST-builder.pem, as release 3.20.0 unless they say otherwise
  local release=(--release 3.20.0)
  [[ " $* " != *" --release"* ]] || release=()
  KBUILD_SIGNING_KEY=${SIGNER:-TEST-builder.pem} "$KBUILD" sign "${release[@]}" "$@"
}

check() {
  "$KBUILD" check --trusted-keys builder.pub.pem "$@"
}

good() { # words of check, then after -- lines that must be in what it prints
  local words=() line
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    words+=("$1")
    shift
  done
  run check "${words[@]}"
  [ "$status" -eq 0 ] || { echo "status $status: $output"; return 1; }
  [[ "$output" != *$'\n'"bad "* ]] || { echo "$output"; return 1; }
  shift
  for line in "$@"; do [[ "$output" == *"$line"* ]] || { echo "no $line in: $output"; return 1; }; done
}

bad() { # which finding, a part of its text, words of check
  local what=$1 text=$2
  shift 2
  run check "$@"
  [ "$status" -eq 1 ] || { echo "status $status: $output"; return 1; }
  printf '%s\n' "$output" | grep -E "^bad +$what " | grep -qF -- "$text" || { echo "$output"; return 1; }
  [[ "$output" != *": good"* ]]
}

refused() { # status, text, command
  local wanted=$1 text=$2
  shift 2
  run "$@"
  if [ "$status" -ne "$wanted" ] || [[ "$output" != *"error: "*"$text"* ]]; then
    echo "status $status: $output"
    return 1
  fi
}

# ---- signatures ----

@test "what was signed is good, and each line says what was checked" {
  run sign kata-static-one.tar.xz
  [ "$status" -eq 0 ]
  [ "$output" = kata-static-one.tar.xz.intoto.jsonl ]
  good kata-static-one.tar.xz --expect-release 3.20.0 -- "$(sha256sum kata-static-one.tar.xz | cut -d' ' -f1)" \
    "(builder.pub.pem)" "good         name          kata-static-one.tar.xz" "good         release       3.20.0, signed on 20" \
    "good         contents      an archive of 5 members, 1 of them files, with 8 bytes" \
    "not checked  provenance    nobody states" "not checked  reproduction" "kata-static-one.tar.xz: good, but for what was not checked"
  good kata-static-one.tar.xz --json -- '{"check":"signature","result":"good"' '{"check":"all","result":"good","bad":0,"not_checked":2}'
  KBUILD_TRUSTED_KEYS=builder.pub.pem "$KBUILD" check kata-static-one.tar.xz
}

@test "openssl alone verifies the signature, as the page for customers says" {
  sign kata-static-one.tar.xz
  bundle=kata-static-one.tar.xz.intoto.jsonl
  # From docs/handed-over.md, line by line.
  sed -n '/^    head -n 1/,/^$/p' "$REPOSITORY/docs/handed-over.md" | sed 's/^    //; s/FILE/kata-static-one.tar.xz/g; s/KEY.pub.pem/builder.pub.pem/' >commands
  grep -q 'openssl pkeyutl' commands
  run bash -eu commands
  [ "$status" -eq 0 ]
  [[ "$output" == *"Signature Verified Successfully"* ]]
  jq -e --arg sum "$(sha256sum kata-static-one.tar.xz | cut -d' ' -f1)" '._type == "https://in-toto.io/Statement/v1"
    and .subject == [{name: "kata-static-one.tar.xz", digest: {sha256: $sum}}]
    and .predicateType == "https://in-toto.io/attestation/release/v0.1"
    and .predicate.purl == "pkg:generic/kata-static-one@3.20.0"' statement.json
  # The same words find a change.
  jq -c '.payload |= (@base64d | sub("3.20.0"; "3.21.0") | @base64)' "$bundle" >changed
  mv changed "$bundle"
  run bash -eu commands
  [ "$status" -ne 0 ]
  bad signature "of other keys, or damaged" kata-static-one.tar.xz
}

@test "without a trusted signature nothing is good, unless the user says that none is required" {
  bad signature "nobody vouches for this file: there is no kata-static-one.tar.xz.intoto.jsonl" kata-static-one.tar.xz
  refused 2 "whose signature counts is not known" "$KBUILD" check kata-static-one.tar.xz
  [[ "$output" == *"--trusted-keys=FILE names"* ]]
  KBUILD_TRUSTED_KEYS='' refused 1 "KBUILD_TRUSTED_KEYS is set and empty" "$KBUILD" check kata-static-one.tar.xz
  run "$KBUILD" check --unsigned kata-static-one.tar.xz
  [ "$status" -eq 0 ]
  [[ "$output" == *"not checked  signature     nobody vouches for this file (--unsigned)"* ]]
  [[ "$output" == *"nothing bad was found, but nobody vouches for it" ]]
  for words in "--trusted-keys builder.pub.pem" "--signature x" --require-provenance "--expect-name x" "--expect-release 1"; do
    # shellcheck disable=SC2086
    refused 2 "--unsigned looks at no signature" "$KBUILD" check --unsigned kata-static-one.tar.xz $words
  done
  # Nothing is known of this one, so nothing was found to be good.
  head -c 100 /dev/zero >some.bin
  run "$KBUILD" check --unsigned some.bin
  [ "$status" -eq 1 ]
  [[ "$output" == *"nobody vouches for it, and nothing in it could be checked"* ]]
  # Signed, its signature is what counts.
  sign some.bin
  good some.bin -- "not checked  contents      this is no archive"
}

@test "signatures of others, of other files, and damaged ones do not count" {
  SIGNER=TEST-other.pem sign kata-static-one.tar.xz
  bad signature "nobody whom you trust vouches" kata-static-one.tar.xz
  sign kata-static-one.tar.xz
  good kata-static-one.tar.xz --
  [ "$(wc -l <kata-static-one.tar.xz.intoto.jsonl)" -eq 2 ] # the other one stays
  echo more >trees/one/opt/kata/share/file
  "$KBUILD" pack trees/one kata-static-one.tar.xz
  bad signature "a trusted key signed other content, of the name kata-static-one.tar.xz" kata-static-one.tar.xz
  # Signed again, the old statements are gone: they are about another file.
  sign kata-static-one.tar.xz
  [ "$(wc -l <kata-static-one.tar.xz.intoto.jsonl)" -eq 1 ]
  bundle=kata-static-one.tar.xz.intoto.jsonl
  cp "$bundle" whole
  for text in "" "{}" "[]" "x" "$(head -c 200 whole)" "$(jq -c '.signatures = []' whole)" "$(jq -c '.signatures[0].sig = "AAAA"' whole)" \
    "$(jq -c '.payloadType = "text/plain"' whole)" "$(jq -c '.payload = ""' whole)"; do
    printf '%s' "$text" >$bundle
    bad signature "" kata-static-one.tar.xz
  done
  # What is cut off is not called a bundle without signatures.
  head -c -300 whole >$bundle
  bad signature "no signature in the bundle can be read, as it is damaged or cut off" kata-static-one.tar.xz
  : >$bundle
  bad signature "there is no signature in the bundle" kata-static-one.tar.xz
  head -c 100000000 /dev/zero >$bundle
  refused 1 "reading the signature: reading kata-static-one.tar.xz.intoto.jsonl: larger than" check kata-static-one.tar.xz
  rm "$bundle"
  mkdir "$bundle"
  refused 1 "it is a directory" check kata-static-one.tar.xz
  rmdir "$bundle"
  # One that is elsewhere, and one that was made readable.
  jq . whole >readable
  good kata-static-one.tar.xz --signature readable --
  refused 1 "reading the signature" check kata-static-one.tar.xz --signature nowhere
}

@test "keys that are rotated: one of several, and a bundle with signatures of both" {
  mkdir trusted
  cp builder.pub.pem other.pub.pem trusted/
  sign kata-static-one.tar.xz
  run "$KBUILD" check --trusted-keys trusted kata-static-one.tar.xz
  [ "$status" -eq 0 ]
  [[ "$output" == *"trusted/builder.pub.pem"* ]]
  rm trusted/builder.pub.pem # it was withdrawn
  run "$KBUILD" check --trusted-keys trusted kata-static-one.tar.xz
  [ "$status" -eq 1 ]
  SIGNER=TEST-other.pem sign kata-static-one.tar.xz
  "$KBUILD" check --trusted-keys trusted kata-static-one.tar.xz
  check kata-static-one.tar.xz
}

@test "a list of keys that somebody else can change is refused" {
  sign kata-static-one.tar.xz
  chmod o+w builder.pub.pem
  refused 1 "builder.pub.pem can be written by everybody" check kata-static-one.tar.xz
  chmod o-w builder.pub.pem
  echo "no key" >empty.pem
  refused 1 "does not hold Ed25519 public keys" "$KBUILD" check --trusted-keys empty.pem kata-static-one.tar.xz
  refused 1 "nowhere.pem" "$KBUILD" check --trusted-keys nowhere.pem kata-static-one.tar.xz
  [ "$(id -u)" -eq 0 ] || skip "only root can give a file away"
  chown 4242 builder.pub.pem
  refused 1 "builder.pub.pem belongs to user 4242" check kata-static-one.tar.xz
}

@test "a kbuild.yaml that came with the file does not say whose signature counts" {
  SIGNER=TEST-other.pem sign kata-static-one.tar.xz
  echo 'trusted-keys: other.pub.pem' >kbuild.yaml
  refused 1 "kbuild.yaml:1: trusted-keys: a project cannot say whose signature counts" \
    env -u KBUILD_SETTINGS "$KBUILD" check kata-static-one.tar.xz
  [[ "$output" != *"good "* ]]
  # What the user says goes before it, also in a file of his own.
  mkdir -p own/kbuild
  echo "trusted-keys: $PWD/builder.pub.pem" >own/kbuild/kbuild.yaml
  run env -u KBUILD_SETTINGS XDG_CONFIG_HOME="$PWD/own" "$KBUILD" check kata-static-one.tar.xz
  [ "$status" -eq 1 ]
  [[ "$output" == *"bad          signature     nobody whom you trust vouches for this file"* ]]
  sign kata-static-one.tar.xz
  env -u KBUILD_SETTINGS XDG_CONFIG_HOME="$PWD/own" "$KBUILD" check kata-static-one.tar.xz
  env -u KBUILD_SETTINGS KBUILD_TRUSTED_KEYS=builder.pub.pem "$KBUILD" check kata-static-one.tar.xz
}

@test "a fifo in the place of the signature does not hang" {
  mkfifo kata-static-one.tar.xz.intoto.jsonl
  run timeout 10 "$KBUILD" check --trusted-keys builder.pub.pem kata-static-one.tar.xz
  [ "$status" -eq 1 ]
  [[ "$output" == *"reading the signature: reading kata-static-one.tar.xz.intoto.jsonl: it is a special file"* ]]
}

@test "a signed file under another name, and an old release, are not taken for what was asked for" {
  sign kata-static-one.tar.xz --release 3.19.0
  cp kata-static-one.tar.xz kata-static-two.tar.xz
  cp kata-static-one.tar.xz.intoto.jsonl kata-static-two.tar.xz.intoto.jsonl
  bad name "the signer states kata-static-one.tar.xz, and this file has another name" kata-static-two.tar.xz
  good kata-static-two.tar.xz --expect-name kata-static-one.tar.xz --
  bad name "the signer states kata-static-one.tar.xz, not kata-static-two.tar.xz" kata-static-one.tar.xz --expect-name kata-static-two.tar.xz
  bad release "the signer states 3.19.0, not 3.20.0" kata-static-one.tar.xz --expect-release 3.20.0
  good kata-static-one.tar.xz -- "stated       release       3.19.0, signed on" "a later one may exist"
  # A link has the name that the user gave it.
  ln -s kata-static-one.tar.xz kata-static-three.tar.xz
  bad name "has another name" kata-static-three.tar.xz --signature kata-static-one.tar.xz.intoto.jsonl
  # Signed as both, either is right.
  SIGNER=TEST-other.pem sign kata-static-one.tar.xz --release 3.20.0
  cat builder.pub.pem other.pub.pem >both.pem
  for release in 3.19.0 3.20.0; do
    "$KBUILD" check --trusted-keys both.pem kata-static-one.tar.xz --expect-release "$release"
  done
}

@test "a signature of an entry in a registry is none of a file" {
  # The same text, signed as entries are: without the envelope's words around it.
  sign kata-static-one.tar.xz
  bundle=kata-static-one.tar.xz.intoto.jsonl
  jq -j .payload "$bundle" | base64 -d >payload
  openssl pkeyutl -sign -inkey TEST-builder.pem -rawin -in payload -out bare.sig
  jq -c --arg sig "$(base64 -w0 bare.sig)" '.signatures[0].sig = $sig' "$bundle" >forged
  bad signature "of other keys, or damaged" kata-static-one.tar.xz --signature forged
}

@test "what cannot be signed is refused, and leaves what was there" {
  refused 1 "which release it is of is not known" env KBUILD_SIGNING_KEY=TEST-builder.pem "$KBUILD" sign kata-static-one.tar.xz
  refused 2 "--signing-key or KBUILD_SIGNING_KEY must name a key" "$KBUILD" sign kata-static-one.tar.xz
  KBUILD_SIGNING_KEY='' refused 1 "KBUILD_SIGNING_KEY is set and empty" "$KBUILD" sign kata-static-one.tar.xz --release 1
  SIGNER=builder.pub.pem refused 1 "" sign kata-static-one.tar.xz
  refused 1 "nowhere" sign nowhere
  refused 1 "is a directory" sign trees
  refused 2 "--output is for one file" sign kata-static-one.tar.xz builder.pub.pem -o x
  refused 2 "the same file" sign kata-static-one.tar.xz -o kata-static-one.tar.xz
  [ ! -e kata-static-one.tar.xz.intoto.jsonl ]
  echo "my notes" >kata-static-one.tar.xz.intoto.jsonl
  refused 1 "is there, and is no bundle of signatures" sign kata-static-one.tar.xz
  [ "$(cat kata-static-one.tar.xz.intoto.jsonl)" = "my notes" ]
  sign kata-static-one.tar.xz -o elsewhere
  good kata-static-one.tar.xz --signature elsewhere --
  refused 1 "is a bundle of signatures, which is not signed itself" sign kata-static-one.tar.xz.intoto.jsonl
  refused 1 "which is no text of one line" sign kata-static-one.tar.xz --release $'3.20.0\nx' -o other
  [ ! -e other ]
  chmod o+r TEST-builder.pem
  refused 1 "can be read by everybody" sign kata-static-one.tar.xz -o other
  [ ! -e other ]
}

@test "several who sign one file at once all stay" {
  for i in $(seq 8); do key "several$i"; done
  for round in 1 2 3; do
    rm -f kata-static-one.tar.xz.intoto.jsonl
    pids=()
    for i in $(seq 8); do
      SIGNER=TEST-several$i.pem sign kata-static-one.tar.xz &
      pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    [ "$(wc -l <kata-static-one.tar.xz.intoto.jsonl)" -eq 8 ] || { echo "round $round"; return 1; }
  done
}

@test "sign takes a bundle that check takes, and keeps what it does not know" {
  SIGNER=TEST-other.pem sign kata-static-one.tar.xz
  bundle=kata-static-one.tar.xz.intoto.jsonl
  jq . $bundle >readable
  mv readable $bundle
  "$KBUILD" check --trusted-keys other.pub.pem kata-static-one.tar.xz
  sign kata-static-one.tar.xz
  good kata-static-one.tar.xz --
  "$KBUILD" check --trusted-keys other.pub.pem kata-static-one.tar.xz
  [ "$(wc -l <$bundle)" -eq 2 ]
  echo '{"of": "another tool"}' >>$bundle
  good kata-static-one.tar.xz --
  sign kata-static-one.tar.xz
  good kata-static-one.tar.xz --
  [ "$(grep -c '^{"of": "another tool"}$' $bundle)" -eq 1 ]
  [ "$(wc -l <$bundle)" -eq 3 ]
}

# ---- contents ----

@test "VERSION of a tarball is its release, and a contradiction is bad" {
  mkdir -p trees/all/opt/kata
  echo 3.21.0 >trees/all/opt/kata/VERSION
  "$KBUILD" pack trees/all kata-static.tar.xz
  KBUILD_SIGNING_KEY=TEST-builder.pem "$KBUILD" sign kata-static.tar.xz
  good kata-static.tar.xz --expect-release 3.21.0 -- "stated       contents      VERSION in it is 3.21.0"
  refused 1 "--release=3.20.0, but VERSION in it is 3.21.0" sign kata-static.tar.xz
  # A signer who states another one all the same, with other tools.
  bundle=kata-static.tar.xz.intoto.jsonl
  jq -j .payload "$bundle" | base64 -d | sed 's/@3.21.0/@3.20.0/' >payload
  { printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(wc -c <payload)" && cat payload; } >pae
  openssl pkeyutl -sign -inkey TEST-builder.pem -rawin -in pae -out sig
  jq -nc --arg p "$(base64 -w0 payload)" --arg s "$(base64 -w0 sig)" '{payload: $p, payloadType: "application/vnd.in-toto+json", signatures: [{sig: $s}]}' >$bundle
  bad contents "VERSION in it is 3.21.0, but the signer states 3.20.0" kata-static.tar.xz
}

@test "VERSION of a tarball is the file that kata-deploy reads, by its exact name, through links" {
  python3 - <<'Y'
import io, tarfile
def make(name, *members):
    with tarfile.open(name, "w") as t:
        for path, kind, what in members:
            m = tarfile.TarInfo(path)
            m.type, m.mode, data = kind, 0o644, what if kind == tarfile.REGTYPE else b""
            m.linkname = what if kind != tarfile.REGTYPE else ""
            m.size = len(data)
            t.addfile(m, io.BytesIO(data))
f, l, h = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
v = "opt/kata/VERSION"
make("decoy.tar", ("a/" + v, f, b"3.20.0\n"), ("zopt/kata/VERSION", f, b"3.20.0\n"), (v, f, b"9.9.9\n"))
make("only-decoy.tar", ("a/" + v, f, b"9.9.9\n"))
make("dots.tar", ("./opt//kata/./VERSION", f, b"9.9.9\n"))
make("link.tar", ("opt/kata/V", f, b"9.9.9\n"), (v, l, "V"))
make("hard.tar", ("opt/kata/V", f, b"9.9.9\n"), (v, h, "opt/kata/V"))
make("above.tar", ("x/kata/VERSION", f, b"9.9.9\n"), ("opt", l, "x"))
make("padded.tar", (v, f, b"3.20.0" + b"\n" * 300))
make("two.tar", (v, f, b"3.20.0\n9.9.9\n"))
make("dangling.tar", (v, l, "nowhere"))
make("empty.tar", (v, f, b""))
make("unknown.tar", (v, f, b"unknown\n"))
Y
  for one in decoy dots link hard above; do
    KBUILD_SIGNING_KEY=TEST-builder.pem "$KBUILD" sign $one.tar
    good $one.tar --expect-release 9.9.9 -- "stated       contents      VERSION in it is 9.9.9"
    refused 1 "--release=3.20.0, but VERSION in it is 9.9.9" sign $one.tar
  done
  sign only-decoy.tar unknown.tar
  good only-decoy.tar --
  [[ "$output" != *"VERSION in it"* ]]
  good unknown.tar -- "stated       contents      VERSION in it says that it is not known"
  for one in padded two dangling empty; do
    refused 1 "is no version" env KBUILD_SIGNING_KEY=TEST-builder.pem "$KBUILD" sign $one.tar
    sign $one.tar
    bad contents "opt/kata/VERSION in it is no version" $one.tar
  done
}

@test "what readers of tar do not read alike is bad" {
  python3 - <<'Y'
import tarfile
for key, value in ("size", "1"), ("path", "etc/evil"), ("linkpath", "/etc"), ("comment", "of git archive"):
    with tarfile.open(key + ".tar", "w", format=tarfile.PAX_FORMAT, pax_headers={key: value}) as t:
        t.addfile(tarfile.TarInfo("opt/x"))
Y
  sign size.tar path.tar linkpath.tar comment.tar
  for one in size path linkpath; do
    bad contents "is a global one with \"$one\" for all members that follow" $one.tar
  done
  good comment.tar --
}

@test "what a tarball must not have in it is bad, whoever signed it" {
  python3 - <<'Y'
import io, tarfile
def make(name, *members):
    with tarfile.open(name, "w") as t:
        for path, kind, mode, link in members:
            m = tarfile.TarInfo(path)
            m.type, m.mode, m.linkname = kind, mode, link
            m.size = 1 if kind == tarfile.REGTYPE else 0
            t.addfile(m, io.BytesIO(b"x"))
f = tarfile.REGTYPE
make("device.tar", ("opt/null", tarfile.CHRTYPE, 0o666, ""))
make("setuid.tar", ("opt/su", f, 0o4755, ""))
make("link.tar", ("opt/passwd", tarfile.SYMTYPE, 0o777, "../../etc/passwd"))
make("absolute.tar", ("opt/passwd", tarfile.SYMTYPE, 0o777, "/etc/passwd"))
make("twice.tar", ("opt/x", f, 0o644, ""), ("./opt/x", f, 0o644, ""))
make("up.tar", ("../x", f, 0o644, ""))
l, h, d = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
make("climbs.tar", ("s", l, 0o777, "."), ("t", l, 0o777, "s/s/../../x"))
make("through.tar", ("d", d, 0o755, ""), ("d/up", l, 0o777, ".."), ("d/up/out", l, 0o777, "../x"))
make("below-file.tar", ("a/b", f, 0o644, ""), ("a", f, 0o644, ""))
make("dangling.tar", ("x", f, 0o644, ""), ("y", h, 0o644, "opt/victim"))
make("later.tar", ("y", h, 0o644, "x"), ("x", f, 0o644, ""))
make("kinds.tar", ("x", f, 0o644, ""), ("x", d, 0o755, ""))
make("harmless.tar", ("d", d, 0o755, ""), ("d", d, 0o755, ""), ("d/x", f, 0o644, ""), ("y", h, 0o644, "d/x"),
     ("d/z", l, 0o777, "../y"), ("w", l, 0o777, "d/../y"), ("v", l, 0o777, "w"))
with tarfile.open("capability.tar", "w", format=tarfile.PAX_FORMAT) as t:
    m = tarfile.TarInfo("opt/ping")
    m.pax_headers = {"SCHILY.xattr.security.capability": "\1\0\0\2\0\40" + 14 * "\0"}
    t.addfile(m)
with tarfile.open("empty-image.tar", "w") as t:
    t.addfile(tarfile.TarInfo("opt/kata/share/kata-containers/kata-containers-se.img"))
Y
  sign ./*.tar
  bad contents "device nodes, fifos or sockets: 1, the first is opt/null" device.tar
  bad contents "set-user-ID or set-group-ID programs: 1, the first is opt/su" setuid.tar
  bad contents "links that lead out of the archive: 1, the first is opt/passwd" link.tar
  bad contents "links that lead out of the archive" absolute.tar
  bad contents "there twice, so that readers may differ: 1, the first is opt/x" twice.tar
  bad contents ".." up.tar
  bad contents "links that lead out of the archive: 1, the first is t" climbs.tar
  bad contents "names that lead through a link or a file: 1, the first is d/up/out" through.tar
  bad contents "names that lead through a link or a file: 1, the first is a/b" below-file.tar
  bad contents "hard links to what is no file before them: 1, the first is y" dangling.tar
  bad contents "hard links to what is no file before them: 1, the first is y" later.tar
  bad contents "there twice, so that readers may differ: 1, the first is x" kinds.tar
  bad contents "programs with capabilities: 1, the first is opt/ping" capability.tar
  good harmless.tar -- "good         contents      an archive of 7 members"
  bad "SE image" "is an empty file: a placeholder that starts nothing" empty-image.tar
  head -c 100 kata-static-one.tar.xz >cut.tar.xz
  sign cut.tar.xz
  bad contents "cut.tar.xz" cut.tar.xz
}

# A file that looks like a raw s390x kernel: 128 KiB, "S390EP", command line limit 4096.
sealed_image() { # image and record.json, for hkd/HKD-*.crt
  python3 - kernel <<'Y'
import sys
k = bytearray((7 * i) % 251 for i in range(131072))
k[0:4] = b"\x00\x08\x00\x01"
k[0x10008:0x1000E] = b"S390EP"
k[0x10430:0x10438] = (4096).to_bytes(8, "big")
open(sys.argv[1], "wb").write(k)
Y
  printf 'panic=1' >parmfile
  "$KBUILD" se test-key hkd >/dev/null 2>&1
  head -c 32 /dev/urandom >TEST.secret
  chmod 600 TEST.secret
  "$KBUILD" se seal -i kernel -p parmfile -k hkd/HKD-*.crt -o kata-containers-se.img --no-verify --seal-record record.json --seal-secret TEST.secret >/dev/null 2>&1
}

@test "a Secure Execution image: intact, for which machine, and what was sealed" {
  sealed_image
  sign kata-containers-se.img
  good kata-containers-se.img -- "good         SE image      kata-containers-se.img: sizes, addresses and the three digests" \
    "not checked  host key      for which machines its 1 key slots are" "not checked  sealed parts  kernel, initrd and command line"
  good kata-containers-se.img -k hkd/HKD-TEST-*.crt -- "good         host key      hkd/HKD-TEST"
  "$KBUILD" se test-key foreign >/dev/null 2>&1
  bad "host key" "no key slot of the image is for this machine" kata-containers-se.img -k foreign/HKD-TEST-*.crt
  # A record that nobody signed is what somebody wrote; the header key or the secret shows more.
  good kata-containers-se.img --seal-record record.json --kernel kernel --parmfile parmfile -- \
    "stated       sealed parts  kernel: kernel, by its digest in the seal record" "not checked  seal record   nobody whom you trust signed it"
  good kata-containers-se.img --seal-record record.json --seal-secret TEST.secret --kernel kernel -- "good         sealed parts  kernel: kernel"
  good kata-containers-se.img --host-key hkd/TEST-host-key.pem --kernel kernel -- "good         sealed parts  kernel: kernel"
  # A forged one, of the same image and another kernel.
  head -c 131072 /dev/urandom >wrong
  jq --arg sum "$(sha512sum wrong | cut -d' ' -f1)" '.kernel.sha512 = $sum' record.json >forged.json
  run check kata-containers-se.img --seal-record forged.json --kernel wrong
  [[ "$output" != *"good         sealed parts  kernel"* ]]
  # Signed by a trusted key it counts; by another one, or changed since, it does not.
  sign record.json
  good kata-containers-se.img --seal-record record.json --kernel kernel -- "good         sealed parts  kernel: kernel, by its digest" "good         seal record   the key "
  cp record.json.intoto.jsonl forged.json.intoto.jsonl
  run check kata-containers-se.img --seal-record forged.json --kernel wrong
  [[ "$output" == *"stated       sealed parts  kernel: wrong"* && "$output" != *"good         seal record"* ]]
  rm record.json.intoto.jsonl
  SIGNER=TEST-other.pem sign record.json
  good kata-containers-se.img --seal-record record.json --kernel kernel -- "stated       sealed parts  kernel: kernel"
  bad "sealed parts" wrong kata-containers-se.img --seal-record record.json --kernel wrong
  # Asked for, and not done.
  bad "sealed parts" "that needs --seal-record" kata-containers-se.img --kernel kernel
  bad "measurement" "a firmware was given" kata-containers-se.img --ovmf kernel
  bad "SE image" "this is no Secure Execution image" kernel -k hkd/HKD-TEST-*.crt
  # In a tarball, under upstream's name.
  mkdir -p trees/se/opt/kata/share/kata-containers
  cp kata-containers-se.img trees/se/opt/kata/share/kata-containers/
  "$KBUILD" pack trees/se kata-static-boot-image-se.tar.xz
  sign kata-static-boot-image-se.tar.xz
  good kata-static-boot-image-se.tar.xz -k hkd/HKD-TEST-*.crt --seal-record record.json --kernel kernel -- \
    "good         SE image      opt/kata/share/kata-containers/kata-containers-se.img" "good         host key" "stated       sealed parts"
  # Under another name, and by a link of the usual name, it is the same image.
  mv trees/se/opt/kata/share/kata-containers/kata-containers-se.img trees/se/opt/kata/share/kata-containers/other.bin
  "$KBUILD" pack trees/se other-name.tar.xz
  ln -s other.bin trees/se/opt/kata/share/kata-containers/kata-containers-se.img
  "$KBUILD" pack trees/se link.tar.xz
  ln -sf absent.bin trees/se/opt/kata/share/kata-containers/kata-containers-se.img
  "$KBUILD" pack trees/se dangling.tar.xz
  rm trees/se/opt/kata/share/kata-containers/other.bin
  echo none >trees/se/opt/kata/share/kata-containers/absent.bin
  "$KBUILD" pack trees/se no-image.tar.xz
  rm trees/se/opt/kata/share/kata-containers/kata-containers-se.img
  ln trees/se/opt/kata/share/kata-containers/absent.bin trees/se/opt/kata/share/kata-containers/kata-containers-se.img
  "$KBUILD" pack trees/se hard.tar.xz
  sign other-name.tar.xz link.tar.xz dangling.tar.xz no-image.tar.xz hard.tar.xz
  good other-name.tar.xz -- "good         SE image      opt/kata/share/kata-containers/other.bin: sizes"
  good link.tar.xz -- "good         SE image      opt/kata/share/kata-containers/kata-containers-se.img (a link to other.bin): sizes"
  good dangling.tar.xz -- "not checked  SE image      opt/kata/share/kata-containers/kata-containers-se.img: it is a link to absent.bin, which is not in this archive"
  bad "SE image" "has no Secure Execution header" no-image.tar.xz
  bad "SE image" "has no Secure Execution header" hard.tar.xz
  # The loader is in clear, and below no digest of the image: it is compared with this program's own.
  good kata-containers-se.img -- "good         SE image      kata-containers-se.img: the loader before its header, which is in clear, is this kbuild's own"
  cp kata-containers-se.img loader.img
  printf '\1' | dd of=loader.img bs=1 seek=$((0x1082c)) conv=notrunc status=none
  run "$KBUILD" check --unsigned loader.img
  [ "$status" -eq 1 ]
  [[ "$output" == *"bad          SE image      loader.img: the loader stage3a is damaged at byte 0x1082c"* ]]
  head -c 2000 /dev/urandom | dd of=loader.img bs=1 seek=$((0x10100)) conv=notrunc status=none
  run "$KBUILD" check --unsigned loader.img
  [[ "$output" == *"not checked  SE image      loader.img: the loader before its header, which is in clear: it is not this kbuild's own"* ]]
  # Without a signature the image itself still has to be intact.
  run "$KBUILD" check --unsigned kata-containers-se.img
  [ "$status" -eq 0 ]
  printf '\1' | dd of=kata-containers-se.img bs=1 seek=$((0x20000)) conv=notrunc status=none
  run "$KBUILD" check --unsigned kata-containers-se.img
  [ "$status" -eq 1 ]
  [[ "$output" == *$'\n'"bad          SE image "* ]]
  bad signature "a trusted key signed other content" kata-containers-se.img
}

@test "a launch measurement is computed again from the files" {
  python3 "$REPOSITORY/tests/support/make_firmware.py" .
  "$KBUILD" measure snp --ovmf OVMF.fd --kernel vmlinuz --initrd initrd.img --append "console=ttyS0" --vcpus 1-3 --vcpu-type EPYC-v4 -o snp.json >/dev/null
  "$KBUILD" measure tdx --ovmf OVMF.fd -o tdx.json >/dev/null
  "$KBUILD" measure sev-es --ovmf OVMF.fd --vcpus 2 --vcpu-type EPYC-v4 -o es.json >/dev/null
  sign snp.json tdx.json es.json
  files=(--ovmf OVMF.fd --kernel vmlinuz --initrd initrd.img)
  good snp.json "${files[@]}" -- "good         measurement   snp: all 3 digests were computed again from the files and are equal" \
    "stated       measurement   the command line that was measured: console=ttyS0" "good         ID blocks"
  good tdx.json --ovmf OVMF.fd -- "good         measurement   tdx: all 1 digests"
  good es.json --ovmf OVMF.fd -- "good         measurement   sev-es"
  # Without files it is said; with some of them it was asked for.
  good snp.json -- "not checked  measurement   not computed again without the firmware, OVMF.fd with the SHA-256" "--initrd=FILE"
  bad measurement "not computed again without the kernel" snp.json --ovmf OVMF.fd
  bad measurement "a launch without a kernel" tdx.json --ovmf OVMF.fd --kernel vmlinuz
  echo x >>initrd.img
  bad measurement "initrd.img is not the initrd of these values" snp.json "${files[@]}"
  python3 "$REPOSITORY/tests/support/make_firmware.py" .
  for change in '.measurements[1].digest |= (.[0:-1] + "0")' '.cpu_signature = "0x800f11"' '.inputs.append = "console=ttyS1"'; do
    jq "$change" snp.json >changed.json
    sign changed.json
    bad measurement "of 3 digests are not those of these files" changed.json "${files[@]}"
  done
  jq '.measurements[2].snp_id_block |= ("A" + .[1:] | sub("^AA"; "BA"))' snp.json >changed.json
  sign changed.json
  bad "ID blocks" "one has another digest" changed.json "${files[@]}"
  for change in '.kbuild_launch_reference = 2' '.kind = "x"' '.measurements = []' '.measurements[1].vcpus = 9' '.cpu_signature = 1' 'del(.vmm)'; do
    jq "$change" snp.json >changed.json
    sign changed.json
    bad measurement "" changed.json "${files[@]}"
  done
}

@test "reference values do not choose what is checked of them" {
  python3 "$REPOSITORY/tests/support/make_firmware.py" .
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out TEST-id.pem 2>/dev/null
  chmod 600 TEST-id.pem
  files=(--ovmf OVMF.fd --kernel vmlinuz --initrd initrd.img)
  "$KBUILD" measure snp "${files[@]}" --vcpus 1-2 --vcpu-type EPYC-v4 --id-key TEST-id.pem -o signed.json >/dev/null
  "$KBUILD" measure snp "${files[@]}" --vcpus 1-2 --vcpu-type EPYC-v4 -o snp.json >/dev/null
  sign signed.json snp.json
  good signed.json "${files[@]}" -- "good         measurement" "good         ID blocks" "not checked  ID blocks     their signatures (snp_id_auth)"
  good snp.json "${files[@]}" -- "good         measurement" "good         ID blocks"
  good signed.json -- "not checked  ID blocks     they are of digests that were not computed again"
  while IFS='@' read -r change what text; do
    jq "$change" signed.json >changed.json
    sign changed.json
    bad "$what" "$text" changed.json "${files[@]}" || { echo "$change"; return 1; }
  done <<'L'
del(.id_block)@ID blocks@does not state their policy and ids
del(.id_block) | .measurements[].snp_id_block = "AAAA"@ID blocks@does not state their policy and ids
.measurements[0].snp_id_block = "AAAA"@ID blocks@another digest, policy or id
del(.measurements[1].snp_id_block)@ID blocks@another digest, policy or id
.id_block.policy = "0x20000"@ID blocks@another digest, policy or id
.id_block.signed = false@ID blocks@"signed" says something else
del(.id_block.signed)@ID blocks@"signed" says something else
del(.measurements[1].snp_id_auth)@ID blocks@"signed" says something else
.inputs.kernel.size = 1@measurement@not what these files give: inputs.kernel.size
del(.inputs.initrd.size)@measurement@missing in the file: inputs.initrd.size
.measurements[0].digest = null@measurement@1 of 2 digests are not those
.cpu_signature += "" | .guest_features = "0x01"@measurement@not what these files give: guest_features
L
  jq '.measurements[0].rtmr1 = "00" | .policy_url = "x"' snp.json >more.json
  sign more.json
  good more.json "${files[@]}" -- "not checked  measurement   what kbuild does not write there, and nothing is known of: " "policy_url" "measurements[0].rtmr1"
}

# ---- provenance and reproduction ----

made_project() {
  export PROJECT=$PWD/project
  mkdir -p project/recipes
  cd project || return 1
  echo 'assets: {}' >versions.yaml
  make_recipe hello
  kb hello >/dev/null 2>&1
  kb provenance hello >/dev/null
  cp ../TEST-builder.pem ../builder.pub.pem .
  tarball=build/kata-static-hello.tar.xz
}

@test "provenance counts if it is about this content, and signed" {
  made_project
  sign "$tarball"
  bad provenance "nobody states what this file was made of" "$tarball" --require-provenance
  # Anybody may write one.
  bad provenance "nobody whom you trust signed it" "$tarball" --provenance build/hello-provenance.json
  run "$KBUILD" check --unsigned "$tarball" --provenance build/hello-provenance.json
  [ "$status" -eq 0 ]
  [[ "$output" == *"stated       provenance    about this content; nobody signed it (--unsigned), so anybody may have written it"* ]]
  sign "$tarball" --provenance build/hello-provenance.json
  [ "$(wc -l <"$tarball.intoto.jsonl")" -eq 2 ]
  sed -n 2p "$tarball.intoto.jsonl" | jq -j .payload | base64 -d | cmp - build/hello-provenance.json
  good "$tarball" --require-provenance -- "good         provenance    about this content, and signed by the key" "stated       provenance    target hello for x86_64"
  good "$tarball" --provenance build/hello-provenance.json -- "good         provenance    about this content, and signed"
  sed -n 2p "$tarball.intoto.jsonl" >only
  good "$tarball" --signature only --require-provenance -- "not checked  release       the signer states none"
  bad release "the signer states no release" "$tarball" --signature only --expect-release 3.20.0
  # A changed one, and one of another build.
  jq '.predicate.buildDefinition.externalParameters.target = "other"' build/hello-provenance.json >changed.json
  bad provenance "nobody whom you trust signed it" "$tarball" --provenance changed.json
  jq '.subject[0].digest.sha256 = "0"' build/hello-provenance.json >changed.json
  bad provenance "is not about this content" "$tarball" --provenance changed.json
  refused 1 "is not about $tarball" sign "$tarball" --provenance changed.json
  echo '{}' >changed.json
  bad provenance "changed.json has none about this content that a trusted key signed" "$tarball" --provenance changed.json
  refused 1 "is no in-toto statement with SLSA provenance" sign "$tarball" --provenance changed.json
  refused 1 "reading the provenance" check "$tarball" --provenance nowhere
}

@test "--reproduce builds the target here, and compares" {
  made_project
  cp "$tarball" ..
  sign ../kata-static-hello.tar.xz
  rm -rf build cache
  run kb check --trusted-keys builder.pub.pem ../kata-static-hello.tar.xz --reproduce hello
  [ "$status" -eq 0 ]
  [[ "$output" == *"good         reproduction  hello, built here, is the same, byte by byte"* ]]
  echo 'echo other >/out/hello/opt/hello' >>recipes/hello/build.sh
  run kb check --trusted-keys builder.pub.pem ../kata-static-hello.tar.xz --reproduce hello
  [ "$status" -eq 1 ]
  [[ "$output" == *$'\n'"bad          reproduction  this file is not what hello gives here"* ]]
  [[ "$output" == *"stated       reproduction  "*"opt/hello"* ]]
  refused 2 nowhere kb check --trusted-keys builder.pub.pem ../kata-static-hello.tar.xz --reproduce nowhere
  # What a build needs has no effect without one.
  refused 2 "does not accept --offline without --reproduce" check ../kata-static-hello.tar.xz --offline
}

@test "a file that changes while it is checked is noticed" {
  sign kata-static-one.tar.xz
  # The file is read first, which the first line of the report shows; then kbuild waits for the signature.
  for change in "cp builder.pub.pem other; mv other kata-static-one.tar.xz" "printf x >>kata-static-one.tar.xz" \
    "rm kata-static-one.tar.xz; mkfifo kata-static-one.tar.xz"; do
    cp kata-static-one.tar.xz whole
    : >out
    check kata-static-one.tar.xz --signature <(
      for _ in $(seq 600); do
        grep -q SHA-256 out && break
        sleep 0.1
      done
      eval "$change"
      cat kata-static-one.tar.xz.intoto.jsonl
    ) >out 2>&1 || status=$?
    [ "${status:-0}" -eq 1 ]
    grep -q '^bad  *file  *it was changed or replaced while it was checked' out || { cat out; return 1; }
    mv -f whole kata-static-one.tar.xz
  done
}

@test "files come from pipes, and a large one is streamed" {
  head -c 3000 /dev/urandom >some
  sign some
  good <(cat some) --signature some.intoto.jsonl --expect-name some --
  truncate -s 1G large
  sign large
  (ulimit -v 700000 && check large)
}

@test "a full place for temporary files is named, and not the cache" {
  unshare -m true 2>/dev/null || skip "needs root, to make a small disk"
  mkdir small
  # shellcheck disable=SC2016
  run unshare -m bash -euc 'mount -t tmpfs -o size=64k tmpfs small
    head -c 1000000 /dev/urandom | TMPDIR=$PWD/small "$1" check --unsigned /dev/stdin' bash "$KBUILD"
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"No space left on device"*"hint: there is no space left in $PWD/small"*TMPDIR* ]]
  [[ "$output" != *"cache gc"* ]]
}

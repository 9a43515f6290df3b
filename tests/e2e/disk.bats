#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The action `image`: a tree becomes a disk, with this machine's e2fsprogs, and is looked at with
# e2fsprogs, sfdisk and veritysetup.

bats_require_minimum_version 1.5.0

setup() {
  load project
  for tool in mke2fs debugfs e2fsck veritysetup sfdisk; do
    PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || skip "no $tool: tools/install-dependencies installs it"
  done
  PATH=$PATH:/usr/sbin:/sbin
  make_project
  cd "$PROJECT" || return 1
  # Names that debugfs, its parser, a shell or mke2fs could take for something else.
  make_recipe content "" 'cd "/out/content"
mkdir -p sbin "a dir/\"q\" <12>" etc
printf "#!/bin/sh\n" >sbin/init; chmod 755 sbin/init
echo quoted >"a dir/\"q\" <12>/it'"'"'s \$(id) \`id\` \"\" #"
echo dash >"a dir/-rf"; ln "a dir/-rf" "a dir/!again"
printf "latin \\351" >"$(printf "a dir/\\351")"
ln -s "to \"x\" -> y" "a dir/link"
ln -s "$(printf %0100d 7)" "a dir/long link"
head -c 300000 /dev/zero >etc/zeros; echo end >>etc/zeros
: >etc/empty'
  make_image
}

DEFAULT='  dax: yes
  verity:
    when: {variable: MEASURED_ROOTFS, is: "yes"}
    hash: opt/kata/share/root_hash.txt'

# $1: lines of `disk`
make_image() {
  mkdir -p recipes/image/overlay/etc
  echo from-overlay >recipes/image/overlay/etc/overlaid
  cat >recipes/image/recipe.yaml <<X
description: a disk
action: image
builder: {packages: [e2fsprogs], tools: [mke2fs, debugfs, e2fsck]}
needs: [content]
variables:
  MEASURED_ROOTFS: {type: yes-no, default: "no"}
disk:
  layers: [{overlay: overlay}, {artifact: content}]
  align: 16
  output: opt/kata/share/test.image
  link: opt/kata/share/test.img
${1:-$DEFAULT}
X
}

# The image of the last build, unpacked, and its parts: fs, hashes.
take_image() {
  rm -rf out fs hashes
  mkdir out
  tar -xf build/kata-static-image.tar.xz -C out
  image=out/opt/kata/share/test.image
  [ "$(readlink out/opt/kata/share/test.img)" = test.image ]
  sfdisk --json "$image" >table
}

# A partition's field. $1 index, $2 field
part() {
  python3 -c 'import json,sys; print(json.load(open("table"))["partitiontable"]["partitions"][int(sys.argv[1])][sys.argv[2]])' "$1" "$2"
}

cut() {
  dd if="$image" of="$1" bs=512 skip="$2" count="$3" conv=sparse status=none
}

list() {
  debugfs -R "ls -l \"$1\"" fs 2>/dev/null
}

@test "a tree becomes an ext4 file system with all that was in it" {
  kb image
  take_image
  cut fs "$(part 0 start)" "$(part 0 size)"
  e2fsck -fn fs
  [ "$(debugfs -R 'cat "/a dir/""q"" <12>/it'"'"'s $(id) `id` """" #"' fs 2>/dev/null)" = quoted ]
  [ "$(debugfs -R 'cat /etc/overlaid' fs 2>/dev/null)" = from-overlay ]
  [ "$(debugfs -R 'cat "/a dir/-rf"' fs 2>/dev/null)" = dash ]
  # Hard links are one file.
  list "/a dir" >listing
  [ "$(awk '/-rf|!again/ {print $1}' listing | sort -u | wc -l)" = 1 ]
  debugfs -R "cat \"/a dir/$(printf '\351')\"" fs 2>/dev/null >latin
  cmp latin <(printf 'latin \351')
  debugfs -R 'stat "/a dir/link"' fs 2>/dev/null | grep -F 'to "x" -> y'
  [ "$(debugfs -R 'cat /etc/zeros' fs 2>/dev/null | wc -c)" = 300004 ]
  list / | grep -E ' 40755 .* sbin$'
  list /sbin | grep -E ' 100755 .* init$'
  list /dev | grep -E ' 20600 .* console$'
  list / | grep -E ' 41777 .* tmp$'
}

@test "both partition tables are sfdisk's, and the NVDIMM header is between them" {
  MEASURED_ROOTFS=yes kb image
  take_image
  [ "$(($(stat -c %s "$image") % (16 << 20)))" = 0 ]
  [ "$(part 0 start)" = 6144 ]
  [ "$(part 0 type)" = 83 ]
  [ "$(part 0 bootable)" = True ]
  # What sfdisk writes from its own dump is what is there, byte by byte.
  for at in 0 4096; do
    dd if="$image" of=disk bs=512 skip=$at conv=sparse status=none
    sfdisk --dump disk >dump
    truncate -s 0 again
    truncate -s "$(stat -c %s disk)" again
    sfdisk --no-reread --no-tell-kernel again <dump >/dev/null
    cmp -n 512 disk again
    grep -o 'size=.*' dump >sizes.$at
  done
  cmp sizes.0 sizes.4096
  [ "$(dd if="$image" bs=1 skip=4096 count=15 status=none)" = NVDIMM_PFN_INFO ]
}

@test "without dax the disk begins with its one table" {
  make_image "  verity: {hash: opt/kata/share/root_hash.txt, format: line, salt: 00ff}"
  kb image
  take_image
  [ "$(part 0 start)" = 2048 ]
  cut fs "$(part 0 start)" "$(part 0 size)"
  cut hashes "$(part 1 start)" "$(part 1 size)"
  e2fsck -fn fs
  hash=$(sed -n 's/^root_hash=\([0-9a-f]*\),salt=00ff,data_blocks=[0-9]*,data_block_size=4096,hash_block_size=4096$/\1/p' \
    out/opt/kata/share/root_hash.txt)
  blocks=$(($(part 0 size) / 8))
  grep -q "data_blocks=$blocks," out/opt/kata/share/root_hash.txt
  veritysetup verify --no-superblock --salt=00ff --data-blocks=$blocks fs hashes "$hash"
  truncate -s "$(stat -c %s hashes)" again
  veritysetup format --no-superblock --salt=00ff fs again | grep -q "$hash"
  cmp hashes again
}

@test "veritysetup verifies the image, and nothing that was changed" {
  MEASURED_ROOTFS=yes kb image
  take_image
  cut fs "$(part 0 start)" "$(part 0 size)"
  cut hashes "$(part 1 start)" "$(part 1 size)"
  cmp out/opt/kata/share/root_hash.txt build/image-root_hash.txt
  hash=$(sed -n 's/^Root hash:[[:space:]]*//p' build/image-root_hash.txt)
  veritysetup verify fs hashes "$hash"
  # The same tree, from veritysetup itself.
  salt=$(sed -n 's/^Salt:[[:space:]]*//p' build/image-root_hash.txt)
  uuid=$(sed -n 's/^UUID:[[:space:]]*//p' build/image-root_hash.txt)
  truncate -s "$(stat -c %s hashes)" again
  veritysetup format --salt="$salt" --uuid="$uuid" fs again | tail -n +2 >text
  cmp hashes again
  diff text <(tail -n +2 build/image-root_hash.txt)
  printf X | dd of=fs bs=1 seek=1 conv=notrunc status=none
  run ! veritysetup verify fs hashes "$hash"
}

@test "two builds are the same, and a changed file is another image" {
  export MEASURED_ROOTFS=yes
  kb image
  cp build/kata-static-image.tar.xz first
  sleep 1.1 # a time of now would show
  "$KBUILD" --builder=host --cache "$PROJECT/other" -o other-build image
  cmp first other-build/kata-static-image.tar.xz
  echo changed >recipes/image/overlay/etc/overlaid
  kb image
  run ! cmp -s first build/kata-static-image.tar.xz
  run ! diff <(grep Salt build/image-root_hash.txt) <(grep Salt other-build/image-root_hash.txt)
}

@test "an image that is not measured has no root hash" {
  kb image
  take_image
  [ ! -e out/opt/kata/share/root_hash.txt ]
  [ ! -e build/image-root_hash.txt ]
  [ "$(python3 -c 'import json; print(len(json.load(open("table"))["partitiontable"]["partitions"]))')" = 1 ]
}

@test "a large tree gets a large image" {
  make_recipe content "" 'mkdir -p /out/content/sbin /out/content/d
cp /bin/true /out/content/sbin/init
yes "quickly packed" | head -c 40000000 >/out/content/d/large
cd /out/content/d; for i in $(seq 2000); do echo $i >"file number $i"; done'
  kb image
  take_image
  cut fs "$(part 0 start)" "$(part 0 size)"
  [ "$(stat -c %s "$image")" = $((64 << 20)) ]
  e2fsck -fn fs
  [ "$(debugfs -R 'cat /d/large' fs 2>/dev/null | wc -c)" = 40000000 ]
  [ "$(debugfs -R 'cat "/d/file number 1999"' fs 2>/dev/null)" = 1999 ]
}

@test "an image of little content has its journal, too" {
  for content in 1 2500000 3500000; do # a partition of 6, of 7 and of 8 MiB would do for the rest
    make_recipe content "" "mkdir -p /out/content/sbin /out/content/lost+found
printf '#!/bin/sh\n' >/out/content/sbin/init; chmod 755 /out/content/sbin/init
echo kept >/out/content/lost+found/file
yes text | head -c $content >/out/content/file"
    make_image
    sed -i 's/align: 16/align: 1/' recipes/image/recipe.yaml
    kb image
    run ! grep -q "too small" build/logs/image.log
    take_image
    cut fs "$(part 0 start)" "$(part 0 size)"
    e2fsck -fn fs
    dumpe2fs -h fs >super 2>/dev/null
    grep -q '^Filesystem features:.* *has_journal' super
    grep -q '^Total journal blocks: *1024$' super || grep -q '^Journal size: *4096k$' super
    [ "$(stat -c %s fs)" = $((9 << 20)) ]
    [ "$(debugfs -R 'cat /lost+found/file' fs 2>/dev/null)" = kept ]
  done
}

@test "what cannot be an image is refused" {
  for made in ': >lost+found' 'ln -s etc lost+found' ': >x; ln x lost+found'; do
    make_recipe content "" "mkdir -p /out/content/sbin; cp /bin/true /out/content/sbin/init
cd /out/content; $made"
    run -1 kb image
    [[ $output == *"lost+found: this is no directory"* ]]
  done
  make_recipe content "" 'mkdir -p /out/content/etc; echo x >/out/content/etc/x'
  run -1 kb image
  [[ $output == *"there is no /sbin/init in it"* ]]
  make_recipe content "" 'mkdir -p /out/content/sbin; cp /bin/true /out/content/sbin/init
echo x >"$(printf "/out/content/a\rb")"'
  run -1 kb image
  [[ $output == *"line break"*"debugfs"* ]]
  for bad in "filesystem: xfs" "align: 0" "align: many" "verity: {salt: 00}" "verity: {hash: /abs}" \
    "verity: {hash: a, salt: 0g}" "verity: {hash: a, when: {variable: NO, is: x}}" "sizes: 1"; do
    make_image "  $bad"
    run -1 kb plan image
    [[ $output == *"recipes/image/recipe.yaml:"* ]]
  done
}

@test "a file beside the tarball has a name of its own" {
  for name in sha256sum version builder-image-version provenance.json spdx.json; do
    make_image "  verity: {hash: opt/$name}"
    for verb in plan build; do
      run -1 kb $verb image
      [[ $output == *"recipes/image/recipe.yaml: two files of it would be called image-$name in"* ]]
      [[ $output == *"hint: give the file that it makes (disk.verity.hash) another name"* ]]
    done
  done
  # Of another target, where both are placed.
  make_image "  verity: {hash: opt/more-version}"
  mkdir -p recipes/image-more && cp recipes/content/* recipes/image-more
  printf 'outputs: [image-more]\n' >>recipes/image-more/recipe.yaml
  run -1 kb image image-more
  [[ $output == *"both leave a file build/image-more-version"* ]]
  make_recipe twin 'outputs: [content]' 'mkdir -p /out/content; echo x >/out/content/x'
  run -1 kb content twin
  [[ $output == *"both leave a file build/kata-static-content.tar.xz"* ]]
  kb image
}

@test "an image is like another recipe" {
  mkdir -p recipes/tree/overlay recipes/like/overlay
  cat >recipes/tree/recipe.yaml <<'X'
description: an initrd
action: initrd
needs: [content]
variables:
  MEASURED_ROOTFS: {type: yes-no, default: "no"}
initrd:
  layers: [{artifact: content}, {overlay: overlay}, {overlay: more}]
  output: opt/test.initrd
X
  mkdir recipes/tree/more
  echo more >recipes/tree/more/more
  echo tree >recipes/tree/overlay/which
  echo like >recipes/like/overlay/which
  cat >recipes/like/recipe.yaml <<'X'
description: a disk like it
action: image
like: tree
outputs: [image]
builder: {packages: [e2fsprogs], tools: [mke2fs, debugfs, e2fsck]}
disk:
  output: opt/kata/share/test.image
  link: opt/kata/share/test.img
X
  rm -r recipes/image
  kb like
  take_image
  cut fs "$(part 0 start)" "$(part 0 size)"
  [ "$(debugfs -R 'cat /which' fs 2>/dev/null)" = like ]
  [ "$(debugfs -R 'cat /more' fs 2>/dev/null)" = more ]
  # What it shares is in its key.
  echo other >recipes/tree/more/more
  kb like
  take_image
  cut fs "$(part 0 start)" "$(part 0 size)"
  [ "$(debugfs -R 'cat /more' fs 2>/dev/null)" = other ]
  sed -i 's/like: tree/like: nothing/' recipes/like/recipe.yaml
  run -1 kb plan like
  [[ $output == *"there is no other recipe 'nothing'"* ]]
  sed -i 's/like: nothing/like: content/' recipes/like/recipe.yaml
  run -1 kb plan like
  [[ $output == *"'content' has no layers"* ]]
}

# ---- kbuild boot ----

# A QEMU that plays a kernel with dm-verity: it checks the disk with veritysetup and reports, or says what
# Linux says. `mode` says what goes wrong.
make_qemu() {
  export FAKE="$PROJECT/fake"
  mkdir -p "$FAKE"
  echo "${1:-good}" >"$FAKE/mode"
  cat >"$FAKE/qemu" <<'Y'
#!/usr/bin/env python3
import json, os, re, subprocess, sys, time
fake, words = os.environ["FAKE"], sys.argv[1:]
if words == ["-accel", "help"]:
    print("Accelerators supported in QEMU binary:\ntcg")
    sys.exit()
mode = open(fake + "/mode").read().strip()
append = words[words.index("-append") + 1]
open(fake + "/argv", "a").write("\n".join(words) + "\n")
assert "-initrd" not in words and "virtio-blk,drive=disk" in words
image = re.fullmatch("if=none,id=disk,format=raw,readonly=on,file=(.*)", words[words.index("-drive") + 1]).group(1)
def say(line):
    print(line, flush=True)
def panic(why):
    say(why)
    say("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(254,0)")
    time.sleep(30)
parts = json.loads(subprocess.check_output(["sfdisk", "--json", image]))["partitiontable"]["partitions"]
table = re.search('dm-mod.create="root,,,ro,0 ([0-9]+) verity 1 /dev/vda1 /dev/vda2 4096 4096 ([0-9]+) 1 sha256 ([0-9a-f]{64}) [0-9a-f]*" root=/dev/dm-0', append)
if not table and "root=/dev/vda1" not in append:
    panic("no root")
if table:
    assert int(table[1]) == parts[0]["size"] == int(table[2]) * 8
    for name, p in zip(("data", "hashes"), parts):
        subprocess.run(["dd", "if=" + image, "of=" + fake + "/" + name, "bs=512", f"skip={p['start']}", f"count={p['size']}", "conv=sparse", "status=none"], check=True)
    good = subprocess.run(["veritysetup", "verify", fake + "/data", fake + "/hashes", table[3]], stderr=subprocess.DEVNULL).returncode == 0
    if mode == "never":
        good = False
    if not good and mode == "quiet":
        panic("no root")
    if not good and mode != "careless":
        panic("device-mapper: verity: 254:0: metadata block 0 is corrupted")
say(json.dumps({"smoke-init": 1, "release": "6.1", "machine": "x86_64", "cmdline": append}))
time.sleep(30)
Y
  chmod +x "$FAKE/qemu"
  make_recipe kernel "" 'install -D /recipe/vmlinuz /out/kernel/share/vmlinuz'
  echo kernel >recipes/kernel/vmlinuz
  cat >>recipes/image/recipe.yaml <<'Y'
with: [kernel]
boot:
  kernel: kernel:share/vmlinuz
  disk: image:opt/kata/share/test.img
  append: panic=1 ro {root}
Y
}

boot() {
  [ "$(uname -m)" = x86_64 ] || skip "the machine that is played is an x86_64"
  MEASURED_ROOTFS=${MEASURED-yes} kb boot image --qemu "$FAKE/qemu" --timeout 60
}

@test "a measured disk boots, and nothing that was changed does" {
  make_qemu
  run -0 boot
  [[ $output == *"proven: kernel, disk: /init reached"* ]]
  [[ $output == *"proven: with one digit of the root hash changed it does not start"* ]]
  [[ $output == *"proven: with one byte of the disk changed it does not start"* ]]
  [ "$(grep -c '^-append$' "$FAKE/argv")" = 3 ]
}

@test "a guest that starts from a changed disk is an error" {
  make_qemu careless
  run -3 boot
  [[ $output == *"with one digit of the root hash changed the guest must not start: the guest started: init was reached"* ]]
  # A panic for another reason proves nothing.
  echo quiet >"$FAKE/mode"
  run -3 boot
  [[ $output == *"did not show 'is corrupted'"* ]]
  echo never >"$FAKE/mode"
  run -3 boot
  [[ $output == *"the kernel panicked"* ]]
  # Nor do words of its own command line.
  echo quiet >"$FAKE/mode"
  sed -i 's/^say(json/say("Kernel command line: " + append)\n&/' "$FAKE/qemu"
  sed -i 's/append: panic=1 ro {root}/append: panic=1 ro {root} note="this is corrupted"/' recipes/image/recipe.yaml
  run -1 boot
  [[ $output == *"the text 'is corrupted' that is expected on the console is also in the machine's command line"* && $output != *"does not start"* ]]
}

@test "a disk that is not measured boots from its partition, and that is said" {
  make_qemu
  MEASURED=no run -0 boot
  [[ $output == *"proven: kernel, disk: /init reached"* ]]
  [[ $output == *"not proven: that a changed disk does not start: the disk is not measured"* ]]
  grep -q 'root=/dev/vda1' "$FAKE/argv"
}

@test "the launch digest of a guest with a disk is that of the command line that boot gives it" {
  make_qemu
  python3 "$REPOSITORY/tests/support/make_firmware.py" "$FAKE"
  cp "$FAKE/vmlinuz" recipes/kernel/vmlinuz
  make_recipe firmware "" 'install -D /recipe/OVMF.fd /out/firmware/share/OVMF.fd'
  cp "$FAKE/OVMF.fd" recipes/firmware
  sed -i 's/^with: .*/with: [kernel, firmware]/' recipes/image/recipe.yaml
  cat >>recipes/image/recipe.yaml <<'Y'
  confidential: {snp: {firmware: firmware:share/OVMF.fd, cpu: EPYC-v4}}
Y
  for MEASURED in yes no; do
    MEASURED_ROOTFS=$MEASURED kb measure snp image --arch=x86_64 --build --vcpus 1 >digest
    rm -f "$FAKE/argv"
    run -0 boot # of which the first start has the command line
    append=$(sed -n '/^-append$/{n;p;q}' "$FAKE/argv")
    [[ "$append" == *"panic=1 ro "*"root=/dev/"* ]]
    [[ $MEASURED == no || "$append" == *'dm-mod.create="root,,,ro,0 '* ]]
    "$KBUILD" measure snp --ovmf "$FAKE/OVMF.fd" --kernel "$FAKE/vmlinuz" --append "$append" --vcpus 1 --vcpu-type EPYC-v4 >expected
    cmp digest expected
  done
  # Nothing is taken from a disk that is not there.
  rm -rf cache
  MEASURED_ROOTFS=yes run kb measure snp image --arch=x86_64
  [ "$status" -eq 1 ]
  [[ "$output" == *"not built: "*image* ]]
}

@test "a variable says which form the root hash has" {
  make_image "  verity: {hash: opt/kata/share/root_hash.txt, format: {variable: FORM}}"
  sed -i 's/^variables:/&\n  FORM: {default: veritysetup}/' recipes/image/recipe.yaml
  kb image
  grep -q '^Root hash:' build/image-root_hash.txt
  FORM=line kb image
  grep -q '^root_hash=' build/image-root_hash.txt
  FORM=other run -1 kb plan image
  [[ $output == *"FORM is 'other', and has to be veritysetup or line"* ]]
  sed -i '/FORM: {/d' recipes/image/recipe.yaml
  run -1 kb plan image
  [[ $output == *"FORM is not in 'variables'"* ]]
}

@test "the guest is booted from an initrd or a disk" {
  make_qemu
  echo '  initrd: image:opt/kata/share/test.img' >>recipes/image/recipe.yaml
  run -1 kb plan image
  [[ $output == *"boot: it needs only one of 'initrd' and 'disk'"* ]]
  sed -i 's/  disk: image:.*//; s/  initrd: image:.*//' recipes/image/recipe.yaml
  run -1 kb plan image
  [[ $output == *"boot: it needs one of 'initrd' and 'disk'"* ]]
}

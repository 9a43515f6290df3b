#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild doctor and kbuild config as users meet them.

bats_require_minimum_version 1.5.0

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
}

configuration() { # a runtime's configuration as it is installed, with the lines of the guides
  cat <<'X'
# Runtime configuration of a test
[hypervisor.qemu]
path = "/opt/kata/bin/qemu-system-s390x"
kernel = "/opt/kata/share/kata-containers/vmlinux.container"
image = "/opt/kata/share/kata-containers/kata-containers.img"
# Default false
# confidential_guest = true
shared_fs = "virtio-fs"   # trailing  

[agent.kata]
dial_timeout = 45
X
}

json() { # expression over j
  python3 -c "import json,sys; j=json.load(sys.stdin); sys.exit(0 if ($1) else 1)"
}

@test "doctor says what it saw, and what it collects says the same elsewhere" {
  "$KBUILD" --json doctor build --collect data >live || true
  "$KBUILD" --json doctor build --root data >elsewhere || true
  cmp live elsewhere
  json "j['checks'] and sum(j['summary'].values()) == len(j['checks'])" <live
  json "all(c['seen'] and (c['fix'] or c['state'] == 'ok') for c in j['checks'])" <live
  [ -s data/commands/programs.txt ]
  run "$KBUILD" doctor build --collect data
  [ "$status" -eq 1 ]
  [[ "$output" == *"not empty"* ]]
}

@test "doctor's exit status says whether something fails" {
  mkdir nothing
  run "$KBUILD" doctor --root nothing
  [ "$status" -eq 1 ]
  [[ "$output" == *"fail  bubblewrap: it is not installed"*"fix: apt install bubblewrap"* ]]
  [[ "$output" != *$'\033'* ]]
  mkdir -p snp/proc snp/sys/module/kvm_amd/parameters
  run "$KBUILD" doctor snp --root snp
  [ "$status" -eq 1 ]
  [[ "$output" == *"Hosting AMD SEV-SNP guests"* ]]
  run "$KBUILD" doctor tdx
  [ "$status" -eq 2 ]
  [[ "$output" == *"build, se or snp"* ]]
  run "$KBUILD" doctor se --root missing
  [ "$status" -eq 1 ]
  [[ "$output" == *"missing"* ]]
}

# A processor and a module that could, and a log that says that they did not.
@test "doctor snp believes the log, not the presence of things" {
  mkdir -p host/proc host/sys/module/kvm_amd/parameters host/sys/fs/cgroup host/commands
  printf 'vendor_id : AuthenticAMD\ncpu family : 25\nflags : sev sev_es sev_snp\n' >host/proc/cpuinfo
  for p in sev sev_es sev_snp; do echo Y >host/sys/module/kvm_amd/parameters/$p; done
  printf 'sev 410\nsev_es 99\n' >host/sys/fs/cgroup/misc.capacity
  echo misc >host/sys/fs/cgroup/cgroup.controllers
  echo 'Linux 6.12.1 x86_64' >host/commands/uname.txt
  printf '/dev/kvm usable\n/dev/sev usable\n' >host/commands/devices.txt
  echo 'ran a guest' >host/commands/kvm-guest.txt
  echo 'QEMU emulator version 10.0.3' >host/commands/qemu-x86_64-version.txt
  echo '  sev-snp-guest' >host/commands/qemu-x86_64-objects.txt
  log() { printf '%s\n' '[ 1.1] SEV-SNP: RMP table physical range [0x1 - 0x2]' '[ 2.2] AMD-Vi: IOMMU SNP support enabled.' "$@" >host/commands/dmesg.txt; }
  log '[ 3.3] ccp 0000:22:00.1: SEV-SNP API:1.55 build:21'
  "$KBUILD" doctor snp --root host
  log '[ 3.2] ccp 0000:22:00.1: SEV-SNP: failed to INIT rc -5, error 0x3' '[ 3.3] ccp 0000:22:00.1: SEV API:1.55 build:21'
  run "$KBUILD" doctor snp --root host
  [ "$status" -eq 1 ]
  [[ "$output" == *"fail  SNP's initialisation:"*"failed to INIT rc -5"* ]]
  # Set up for SNP: without a name the group applies, too.
  "$KBUILD" --json doctor --root host >report || true
  json "any(c['id'] == 'snp-init' and c['state'] == 'fail' for c in j['checks'])" <report
  json "[a['group'] for a in j['does_not_apply']] == ['se']" <report
  # SNP is off: a machine to build on, and nothing of it is a failure.
  echo N >host/sys/module/kvm_amd/parameters/sev_snp
  "$KBUILD" --json doctor --root host >report || true
  json "not any(c['group'] == 'snp' for c in j['checks'])" <report
  json "any(a['group'] == 'snp' and 'kvm_amd' in a['why'] for a in j['does_not_apply'])" <report
}

@test "doctor says that KVM works only after it ran a guest" {
  "$KBUILD" --json doctor build --collect data >live || true
  case $(cat data/commands/kvm-guest.txt 2>/dev/null) in
    "ran a guest"* | "made a guest"*) wanted=ok ;;
    *) wanted=warn ;;
  esac
  json "[c['state'] for c in j['checks'] if c['id'] == 'build-kvm'] == ['$wanted']" <live
  rm -f data/commands/kvm-guest.txt
  echo '/dev/kvm usable' >data/commands/devices.txt
  "$KBUILD" --json doctor build --root data >elsewhere || true
  json "[c['state'] for c in j['checks'] if c['id'] == 'build-kvm'] == ['skip']" <elsewhere
}

@test "doctor finds a fit Secure Execution host in collected files" {
  mkdir -p host/{proc,commands,sys/firmware/uv}
  echo 'prot_virt=1' >host/proc/cmdline
  printf 'facilities : 0 158\nprocessor 0: version = 00,  machine = 3931\n' >host/proc/cpuinfo
  echo 1 >host/sys/firmware/uv/prot_virt_host
  echo 'Linux 6.8.0 s390x' >host/commands/uname.txt
  echo '/dev/kvm usable' >host/commands/devices.txt
  echo 'QEMU emulator version 9.1.2' >host/commands/qemu-s390x-version.txt
  echo 's390-pv-guest' >host/commands/qemu-s390x-objects.txt
  "$KBUILD" doctor se --root host
  echo 'quiet' >host/proc/cmdline
  run "$KBUILD" doctor se --root host
  [ "$status" -eq 1 ]
  [[ "$output" == *"fail  kernel parameter prot_virt"*"prot_virt=1"* ]]
}

@test "config se makes the guide's edits, shows them, and keeps the original" {
  configuration >c.toml
  cp c.toml before
  "$KBUILD" config se c.toml >diff
  cmp before c.toml.old
  cp before again
  patch -s again diff
  cmp again c.toml
  diff before c.toml >changes || true
  cat >expected <<'X'
4,5c4,5
< kernel = "/opt/kata/share/kata-containers/vmlinux.container"
< image = "/opt/kata/share/kata-containers/kata-containers.img"
---
> kernel = "/opt/kata/share/kata-containers/kata-containers-se.img"
> # image = "/opt/kata/share/kata-containers/kata-containers.img"
7c7
< # confidential_guest = true
---
> confidential_guest = true
11c11
< dial_timeout = 45
---
> dial_timeout = 90
X
  diff expected changes
  stat -c '%i %Y' c.toml c.toml.old >then
  run "$KBUILD" config se c.toml
  [ "$status" -eq 0 ]
  [[ "$output" == *"needs no change for IBM Secure Execution"* ]]
  stat -c '%i %Y' c.toml c.toml.old | cmp - then
}

@test "config snp sets what the guide lists, and takes other values" {
  configuration >c.toml
  run "$KBUILD" config snp c.toml --set hypervisor.clh.kernel=/x
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"'hypervisor.clh' would be a second section beside hypervisor.qemu"* ]]
  "$KBUILD" config snp c.toml --prefix /usr --set shared_fs=none --set hypervisor.qemu.default_vcpus=2 >/dev/null
  python3 - <<'X'
import tomllib
q = tomllib.load(open("c.toml", "rb"))["hypervisor"]["qemu"]
assert q == {
    "path": "/usr/bin/qemu-system-x86_64-snp-experimental",
    "kernel": "/usr/share/kata-containers/vmlinuz-confidential.container",
    "initrd": "/usr/share/kata-containers/kata-containers-initrd-confidential.img",
    "firmware": "/usr/share/ovmf/AMDSEV.fd", "shared_fs": "none", "disable_image_nvdimm": True,
    "file_mem_backend": "", "confidential_guest": True, "sev_snp_guest": True, "default_vcpus": 2,
}, q
X
}

@test "config --dry-run writes nothing" {
  configuration >c.toml
  run "$KBUILD" config se c.toml --dry-run
  [ "$status" -eq 0 ]
  [[ "$output" == *"+confidential_guest = true"*"nothing was written"* ]]
  configuration | cmp - c.toml
  [ ! -e c.toml.old ]
}

@test "config refuses what it can't read, and says where" {
  configuration >c.toml
  echo 'kernel = oops' >>c.toml
  cp c.toml before
  run "$KBUILD" config se c.toml
  [ "$status" -eq 1 ]
  [[ "$output" == *"reading c.toml: line 12, column 10: "* ]]
  cmp before c.toml
  [ ! -e c.toml.old ]
  run "$KBUILD" config tdx c.toml
  [ "$status" -eq 2 ]
  run "$KBUILD" config se missing.toml
  [ "$status" -eq 1 ]
  [[ "$output" == *"mkdir -p . && cp /opt/kata/share/defaults/kata-containers/configuration-qemu-se.toml missing.toml"* ]]
  run "$KBUILD" config snp etc/kata-containers/configuration.toml --prefix /usr
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"reading etc/kata-containers/configuration.toml"* ]]
  [[ "$output" == *"mkdir -p etc/kata-containers/ && cp /usr/share/defaults/kata-containers/configuration-qemu-snp.toml etc/kata-containers/configuration.toml"* ]]
  run "$KBUILD" config containerd missing.toml
  [ "$status" -eq 1 ]
  [[ "$output" == *"containerd config default >missing.toml"* ]]
  # What is there and cannot be read is another matter.
  mkdir folder.toml
  run "$KBUILD" config snp folder.toml
  [ "$status" -eq 1 ]
  [[ "$output" != *"mkdir -p"* ]]
  printf '[hypervisor.clh]\nkernel = "x"\n' >clh.toml
  run "$KBUILD" config se clh.toml
  [ "$status" -eq 1 ]
  [[ "$output" == *"hypervisor 'clh', not of qemu"* ]]
}

@test "config refuses a file that is no configuration of a Kata runtime" {
  for kind in se snp; do
    for text in '' '[plugins."io.containerd.grpc.v1.cri"]' '[agent.kata]'; do
      printf '%s\n' "$text" >other.toml
      run "$KBUILD" config "$kind" other.toml
      [ "$status" -eq 1 ]
      [[ "$output" == *"not a configuration of a Kata runtime"* ]]
      [ "$(cat other.toml)" = "$text" ]
      [ ! -e other.toml.old ]
    done
  done
}

@test "config edits a file through one's own links, and never through somebody else's" {
  [ "$(id -u)" -eq 0 ] || skip "needs root, to make what another user made"
  unset SUDO_UID
  mkdir theirs
  configuration >c.toml
  cp c.toml before
  ln -s ../c.toml theirs/link
  ln -s theirs/link mine
  chown -h 1234 theirs theirs/link
  for file in theirs/link mine; do
    run "$KBUILD" config se "$file"
    [ "$status" -eq 1 ]
    [[ "$output" == *"is a link that user 1234 made"* ]]
    cmp before c.toml
  done
  chown -h 0 theirs/link
  "$KBUILD" config se mine
  [ -L mine ]
  run cmp -s before c.toml
  [ "$status" -eq 1 ]
}

@test "config follows the release that the file is of, and leaves what is right" {
  share=/opt/kata/share/kata-containers
  cat >snp.toml <<X
[hypervisor.qemu]
path = "/opt/kata/bin/qemu-system-x86_64"
kernel = "$share/vmlinuz.container"
image = "$share/kata-containers-confidential.img"
kernel_verity_params = "root_hash=12,salt=34"
confidential_guest = true
sev_snp_guest = true
firmware = "/opt/kata/share/ovmf/AMDSEV.fd"
shared_fs = "none"
disable_image_nvdimm = true
[agent.kata]
dial_timeout = 90
[runtime]
emptydir_mode = "block-encrypted"
X
  cp snp.toml before
  "$KBUILD" config snp snp.toml
  cmp snp.toml before
  run "$KBUILD" config snp snp.toml --release 3.12.0
  [ "$status" -eq 1 ]
  [[ "$output" == *"its keys are those of another release of Kata's runtime in Go than 3.12.0"* ]]
  sed -i 's/-confidential.img/.img/' snp.toml
  cp snp.toml before
  run "$KBUILD" config snp snp.toml
  [ "$status" -eq 1 ]
  [[ "$output" == *"start from Kata's own configuration-qemu-snp.toml"* ]]
  cmp snp.toml before
  # runtime-rs: another sealed image, and nothing that makes it refuse the file.
  cat >rs.toml <<X
[hypervisor.qemu]
kernel = "$share/vmlinuz.container"
confidential_guest = true
[agent.kata]
dial_timeout_ms = 100
reconnect_timeout_ms = 45000
[[hypervisor.qemu.guest_extension_images]]
name = "coco"
X
  "$KBUILD" config se rs.toml
  grep -qF "kernel = \"$share/kata-containers-se-runtime-rs.img\"" rs.toml
  [[ "$(cat rs.toml)" != *"dial_timeout ="* ]]
  # Kata's reader takes Image for image, and passes over a byte order mark.
  printf '\xef\xbb\xbf[hypervisor.qemu]\nImage = "/i"\nkernel = "/k"\n' >case.toml
  "$KBUILD" config se case.toml
  grep -q '^# Image = ' case.toml
  [ "$(head -c 3 case.toml)" = $'\xef\xbb\xbf' ]
}

@test "config refuses another runtime's class, keys beside the class and paths that are not whole" {
  cat >c.toml <<'X'
version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
X
  configuration >kata.toml
  cp c.toml c.before
  cp kata.toml kata.before
  run -1 "$KBUILD" config containerd c.toml --class runc --configuration /x
  [[ "$output" == *'the class runc exists with the runtime_type "io.containerd.runc.v2"'* ]]
  [[ "$output" == *"hint: name another class"* ]]
  run -2 "$KBUILD" config containerd c.toml --set kata.options.ConfigPath=/x
  [[ "$output" == *"'kata.options.ConfigPath' is not a key of the class kata"*"options.KEY"* ]]
  for words in "containerd c.toml" "se kata.toml" "snp missing.toml"; do
    # shellcheck disable=SC2086
    run -2 "$KBUILD" config $words --prefix relative
    [[ "$output" == *"--prefix relative: the runtime needs an absolute path"* ]]
    [[ "$output" != *"relative/share"* ]]
  done
  cmp c.toml c.before
  cmp kata.toml kata.before
  "$KBUILD" config containerd c.toml --set options.ConfigPath=/x
  [ "$(grep -c 'ConfigPath = "/x"' c.toml)" = 1 ]
  [ "$(grep -c ConfigPath c.toml)" = 1 ]
}

@test "config containerd adds a runtime class, once, and says what is missing" {
  printf 'version = 2\n\n[plugins."io.containerd.grpc.v1.cri".cni]\n  bin_dir = "/usr/lib/cni"\n' >c.toml
  cp c.toml before
  mkdir -p prefix/bin prefix/share/defaults/kata-containers
  run "$KBUILD" config containerd c.toml --class kata-qemu-se --prefix "$PWD/prefix"
  [ "$status" -eq 0 ]
  [[ "$output" == *"containerd-shim-kata-v2 is not on this machine"* ]]
  cmp before c.toml.old
  touch prefix/bin/containerd-shim-kata-v2 prefix/share/defaults/kata-containers/configuration-qemu-se.toml
  run "$KBUILD" config containerd c.toml --class kata-qemu-se --prefix "$PWD/prefix"
  [[ "$output" == *"needs no change for the runtime class" ]]
  python3 - "$PWD/prefix" <<'X'
import sys, tomllib
prefix = sys.argv[1]
plugin = tomllib.load(open("c.toml", "rb"))["plugins"]["io.containerd.grpc.v1.cri"]
assert plugin["cni"] == {"bin_dir": "/usr/lib/cni"}
assert plugin["containerd"]["runtimes"] == {"runc": {"runtime_type": "io.containerd.runc.v2"}, "kata-qemu-se": {
    "runtime_type": "io.containerd.kata-qemu-se.v2",
    "runtime_path": prefix + "/bin/containerd-shim-kata-v2",
    "privileged_without_host_devices": True,
    "pod_annotations": ["io.katacontainers.*"],
    "container_annotations": ["io.katacontainers.*"],
    "options": {"ConfigPath": prefix + "/share/defaults/kata-containers/configuration-qemu-se.toml"}}}
X
  # Options of the other kinds of file, and files that are something else.
  for words in "se before --class kata" "snp before --configuration /c" "containerd c.toml --release 3.20.0" "containerd c.toml --class A"; do
    # shellcheck disable=SC2086 # words
    run "$KBUILD" config $words
    [ "$status" -eq 2 ]
  done
  configuration >kata.toml
  printf '{{ template "base" . }}\n' >k3s.toml
  printf 'version = 2\ndisabled_plugins = ["cri"]\n' >docker.toml
  for file in kata k3s docker; do
    cp $file.toml copy
    run "$KBUILD" config containerd $file.toml
    [ "$status" -eq 1 ]
    cmp $file.toml copy
  done
}

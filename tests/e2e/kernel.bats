#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The kernel recipes' own rules, over a tree that has a kernel's make targets and compiles nothing.

load project

COMMON=$REPOSITORY/recipes/kernel-common

# What a guest of AMD SEV-SNP and one of Intel TDX must have (Kata's fragments of both).
SNP="AMD_MEM_ENCRYPT=y SEV_GUEST=y VIRT_DRIVERS=y EFI=y EFI_STUB=y EFI_SECRET=m MODULES=y MODULE_SIG=y"
TDX="INTEL_TDX_GUEST=y TDX_GUEST_DRIVER=y INTEL_IOMMU_SVM=y X86_5LEVEL=y X86_INTEL_MEMORY_PROTECTION_KEYS=y
  X86_PLATFORM_DEVICES=y OF=y"

selected() { # version: the options that the confidential x86_64 kernel asks for
  awk -v version="$1" -v architecture=x86_64 -f "$COMMON/select-options.awk" "$COMMON"/configs/common/*.conf \
    "$COMMON"/configs/x86_64/*.conf "$COMMON"/configs/common/confidential/*.conf "$COMMON"/configs/x86_64/confidential/*.conf
}

setup() {
  make_project
}

@test "a confidential x86_64 kernel asks for everything that SNP and TDX guests need" {
  for version in 6.7 6.12.22; do
    selected "$version" | cut -f1 >wanted
    for option in $SNP $TDX; do
      grep -qx "CONFIG_$option" wanted || { echo "$version: no $option"; return 1; }
    done
  done
}

@test "a configuration that lacks one of them is refused, and says which line asked" {
  selected 6.7 >wanted
  cut -f1 wanted >config
  awk -f "$COMMON/check-config.awk" wanted config
  for option in $SNP $TDX; do
    grep -vx "CONFIG_$option" config >less
    run awk -f "$COMMON/check-config.awk" wanted less
    [ "$status" -ne 0 ]
    [[ "$output" == *"CONFIG_${option%%=*} asks for ${option##*=}"* ]]
  done
  sed 's/^CONFIG_EFI_SECRET=m/CONFIG_EFI_SECRET=y/' config >other
  run awk -f "$COMMON/check-config.awk" wanted other
  [ "$status" -ne 0 ]
  [[ "$output" == *"CONFIG_EFI_SECRET asks for m"* ]]
}

# A repository with a kernel's make targets: an image is its configuration. $1: makes the options
# worse on their way into .config ("cat", or a sed command).
make_kernel() {
  mkdir -p git/linux
  cat >git/linux/Makefile <<X
kernelversion: ; @echo 6.7.0
allnoconfig: ; @$1 \$(KCONFIG_ALLCONFIG) >\$(O)/.config
olddefconfig: ; @grep -q . \$(O)/.config && touch \$(O)/made-whole
bzImage: ; @mkdir -p \$(O)/arch/x86/boot && cp \$(O)/.config \$(O)/arch/x86/boot/bzImage && cp \$(O)/.config \$(O)/vmlinux
modules: ; @echo module >\$(O)/one.ko
modules_install:
	@mkdir -p \$(INSTALL_MOD_PATH)/lib/modules/6.7.0/kernel
	@cp \$(O)/one.ko \$(INSTALL_MOD_PATH)/lib/modules/6.7.0/kernel/
	@ln -s \$(O) \$(INSTALL_MOD_PATH)/lib/modules/6.7.0/build
X
  git_here init -q git/linux
  git_here -C git/linux add .
  git_here -C git/linux commit -q -m Linux
  git_here -C git/linux tag -a -m v6.7 v6.7
  cp -R "$REPOSITORY/recipes/kernel-common" "$REPOSITORY/recipes/kernel-confidential" recipes/
  chmod -R u+w recipes
  python3 - <<'X'
import re
path = "recipes/kernel-confidential/recipe.yaml"
text = open(path).read()
text = re.sub(r"(?s)sources:\n.*?\nshared:",
              'sources: {linux: {version: assets.kernel, git: "{url}", ref: "{version}"}}\nshared:', text)
text = re.sub(r"(?s)  packages:\n.*?\n  cross:", "  packages: [bash]\n  cross:", text)
text = re.sub(r"tools: \[.*\]", "tools: [bash, make, awk, sed]", text)
open(path, "w").write(text)
X
  serve_repositories linux # not in kernel(): `run` would lose its number
}

kernel() { # words
  printf 'assets: {kernel: {url: "git://127.0.0.1:%s/linux", version: v6.7}}\n' "$GIT_PORT" >versions.yaml
  kb --arch=x86_64 "$@"
}

# On other machines the recipe asks for a cross compiler's tools.
only_on_x86_64() {
  [ "$(uname -m)" = x86_64 ] || skip "needs an x86_64 host"
}

teardown() {
  [ -z "${GIT_PID:-}" ] || kill "$GIT_PID"
}

@test "a kernel's phases give upstream's names, and the installed tree the guide's" {
  only_on_x86_64
  make_kernel cat
  kernel install kernel-confidential --prefix /usr --root root
  share=root/usr/share/kata-containers
  [ "$(readlink $share/vmlinuz-snp.container)" = vmlinuz-confidential.container ]
  [[ "$(readlink $share/vmlinuz-confidential.container)" == vmlinuz-6.7-*-confidential ]]
  grep -qx CONFIG_SEV_GUEST=y $share/vmlinuz-snp.container
  cmp $share/config-6.7-*-confidential $share/vmlinux-confidential.container
  [ "$(content_of build/kata-static-kernel-confidential-modules.tar.xz kernel/one.ko)" = module ]
  run tar -tf build/kata-static-kernel-confidential-modules.tar.xz
  [[ "$output" != *build* ]]
}

@test "a kernel's configuration can be changed between setup and build" {
  only_on_x86_64
  make_kernel cat
  kernel kernel-confidential --until=setup
  config=build/kernel-confidential/builddir/obj/.config
  grep -qx CONFIG_XFS_FS=y $config
  sed -i 's/^CONFIG_XFS_FS=y/# CONFIG_XFS_FS is not set/' $config
  kernel kernel-confidential --continue
  tar -xOf build/kata-static-kernel-confidential.tar.xz --wildcards '*/config-6.7-*' >final
  grep -qx '# CONFIG_XFS_FS is not set' final
  run kernel log kernel-confidential
  [[ "$output" == *"CONFIG_XFS_FS asks for y"*"it is built as it is"* ]]
}

@test "setup fails if the kernel does not take an option that SNP needs" {
  only_on_x86_64
  make_kernel "sed /CONFIG_SEV_GUEST/d"
  run kernel kernel-confidential --until=setup
  [ "$status" -eq 3 ]
  [[ "$output" == *"snp.conf"*"CONFIG_SEV_GUEST asks for y"* ]]
}

@test "what config snp names is what install leaves below the same prefix" {
  # Stand-ins under the real recipes' names; make check-e2e has the real ones.
  share=opt/kata/share/kata-containers
  for made in kernel-confidential:$share/vmlinuz-confidential.container \
    rootfs-initrd-confidential:$share/kata-containers-initrd-confidential.img \
    ovmf-sev:opt/kata/share/ovmf/AMDSEV.fd qemu-snp-experimental:opt/kata/bin/qemu-system-x86_64-snp-experimental; do
    make_recipe "${made%%:*}" "" "mkdir -p /out/${made%%:*}/$(dirname "${made#*:}"); echo x >/out/${made%%:*}/${made#*:}"
  done
  kb install kernel-confidential rootfs-initrd-confidential ovmf-sev qemu-snp-experimental --prefix /usr --root root
  cat >c.toml <<'X'
[hypervisor.qemu]
path = "/usr/bin/qemu-system-x86_64"
kernel = "/usr/share/kata-containers/vmlinux.container"
image = "/usr/share/kata-containers/kata-containers.img"
# initrd = "/usr/share/kata-containers/kata-containers-initrd.img"
# confidential_guest = true
# sev_snp_guest = true
firmware = ""
shared_fs = "virtio-fs"
virtio_fs_daemon = "/usr/libexec/virtiofsd"
#disable_image_nvdimm = true
#file_mem_backend = ""
X
  "$KBUILD" config snp c.toml --prefix /usr >/dev/null
  python3 - <<'X'
import os, tomllib
q = tomllib.load(open("c.toml", "rb"))["hypervisor"]["qemu"]
for key in "path", "kernel", "initrd", "firmware":
    assert os.path.isfile("root" + q.pop(key)), key
assert q == {"shared_fs": "virtio-9p", "disable_image_nvdimm": True, "file_mem_backend": "",
             "confidential_guest": True, "sev_snp_guest": True}, q
X
}

@test "with a certificate the kernel loads signed modules only, and the modules are signed" {
  only_on_x86_64
  make_kernel cat
  kernel kernel-confidential
  tar -xOf build/kata-static-kernel-confidential.tar.xz --wildcards '*/config-6.7-*' >unsigned
  ! grep -q -e MODULE_SIG_FORCE -e SYSTEM_TRUSTED_KEYS unsigned || false
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=TEST modules" -keyout TEST.pem -out TEST.crt 2>/dev/null
  chmod 600 TEST.pem
  export MODULE_SIGNING_CERT=TEST.crt MODULE_SIGNING_KEY=TEST.pem
  kernel kernel-confidential --until=setup
  cmp TEST.crt build/kernel-confidential/builddir/obj/certs/module-signing.pem
  rm -r build/kernel-confidential
  kernel kernel-confidential
  tar -xOf build/kata-static-kernel-confidential.tar.xz --wildcards '*/config-6.7-*' >config
  for line in CONFIG_MODULE_SIG=y CONFIG_MODULE_SIG_FORCE=y '# CONFIG_MODULE_SIG_ALL is not set' CONFIG_MODULE_SIG_SHA512=y \
    'CONFIG_MODULE_SIG_KEY=""' 'CONFIG_SYSTEM_TRUSTED_KEYS="certs/module-signing.pem"'; do
    grep -qxF -e "$line" config || { echo "no $line"; return 1; }
  done
  [ "$(tar -xOf build/kata-static-kernel-confidential-modules.tar.xz ./kernel/one.ko | tail -c 28)" = "~Module signature appended~" ]
}

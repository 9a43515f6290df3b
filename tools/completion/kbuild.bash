# SPDX-License-Identifier: Apache-2.0
# bash completion for kbuild: source it, or install it as
# /usr/share/bash-completion/completions/kbuild. Made by `make docs` from cmd/kbuild/verbs.c.

_kbuild_verbs='build list plan run spread why explain new fetch update lock log shell boot install verify merge pack unpack se hkd doctor config measure payload provenance sign check report settings cache versions help version'

_kbuild_below() { # a verb: the verbs below it
  case $1 in
    se) echo 'seal open info verify reference test-key' ;;
    hkd) echo 'verify' ;;
    payload) echo 'push index image' ;;
    cache) echo 'info verify gc' ;;
    versions) echo 'get' ;;
  esac
}

_kbuild_options() { # a verb
  case $1 in
    'build') echo ' --trace= --until= --output= --arch= --jobs= --sources= --source= --offline --remote= --continue --prebuilt= --locked --keep-going --builder= --cache= --versions= --recipes= --settings= --json --quiet' ;;
    'list') echo ' --arch= --sources= --source= --versions= --recipes= --settings= --json' ;;
    'plan') echo ' --remote --grain= --format= --push --output= --arch= --sources= --source= --offline --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings= --json' ;;
    'run') echo ' --plan= --grain= --output= --jobs= --sources= --source= --offline --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings= --json --quiet' ;;
    'spread') echo ' --with= --grain= --output= --arch= --jobs= --sources= --source= --prebuilt= --locked --keep-going --builder= --cache= --versions= --recipes= --settings= --json --quiet' ;;
    'why') echo ' --output= --arch= --sources= --source= --offline --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings= --json' ;;
    'explain') echo ' --output= --arch= --sources= --source= --offline --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings=' ;;
    'new') echo ' --like= --recipes= --settings= --quiet' ;;
    'fetch') echo ' --trace= --output= --arch= --jobs= --sources= --source= --offline --remote= --prebuilt= --locked --keep-going --builder= --cache= --versions= --recipes= --settings= --json --quiet' ;;
    'update') echo ' --arch= --sources= --source= --prebuilt= --builder= --cache= --versions= --recipes= --settings=' ;;
    'lock') echo ' --arch= --sources= --source= --offline --prebuilt= --builder= --cache= --versions= --recipes= --settings=' ;;
    'log') echo ' --remote --plan= --output= --arch= --sources= --source= --prebuilt= --builder= --cache= --versions= --recipes= --settings=' ;;
    'shell') echo ' --output= --arch= --jobs= --sources= --source= --offline --remote= --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings= --quiet' ;;
    'boot') echo ' --host-key= --image= --qemu= --plain --root= --timeout= --verbose --output= --arch= --jobs= --sources= --source= --offline --remote= --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings= --quiet' ;;
    'install') echo ' --prefix= --root= --dry-run --output= --arch= --jobs= --sources= --source= --offline --remote= --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings= --quiet' ;;
    'verify') echo ' --against= --trust-cache --all --scratch= --keep-processors --keep-clock --no-diffoscope --output= --arch= --jobs= --sources= --source= --offline --remote= --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings= --quiet' ;;
    'merge') echo ' --output= --format= --target= --components= --rehash --arch= --jobs= --sources= --source= --cache= --versions= --recipes= --settings= --quiet' ;;
    'pack') echo ' --format= --jobs= --quiet' ;;
    'unpack') echo ' --quiet' ;;
    'se seal') echo '' ;;
    'se open') echo ' --host-key= --output=' ;;
    'se info') echo ' --format= --hdr-key= --key= --show-secrets --print-schema= --host-key-document= --host-key-documents= --json' ;;
    'se verify') echo ' --host-key= --hdr-key= --seal-record= --seal-secret= --image= --ramdisk= --parmfile= --kernel-tarball= --initrd-tarball=' ;;
    'se reference') echo ' --output= --header= --host-key= --hdr-key= --seal-record= --seal-secret= --image= --ramdisk= --parmfile= --kernel-tarball= --initrd-tarball=' ;;
    'se test-key') echo ' --quiet' ;;
    'hkd verify') echo ' --host-key-document= --cert= --crl= --root-ca= --online --offline --json' ;;
    'doctor') echo ' --root= --collect= --cache= --settings= --json --quiet' ;;
    'config') echo ' --class= --configuration= --prefix= --release= --set= --dry-run --quiet' ;;
    'measure') echo ' --ovmf= --kernel= --initrd= --append= --vcpus= --vcpu-type= --vcpu-sig= --guest-features= --vmm-type= --qemu-version= --memory= --edk2= --two-pass --legacy-vm-type --build --policy= --family-id= --image-id= --guest-svn= --id-key= --author-key= --output= --arch= --jobs= --sources= --source= --offline --remote= --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings= --json --quiet' ;;
    'payload push') echo ' --base= --any-base --keep-base-files --layout= --compression= --output= --commit= --shim-components= --plain-http --arch= --jobs= --source= --cache= --versions= --recipes= --settings= --quiet' ;;
    'payload index') echo ' --plain-http --cache= --settings=' ;;
    'payload image') echo ' --output= --base= --entrypoint= --label= --plain-http --arch= --jobs= --cache= --settings= --quiet' ;;
    'provenance') echo ' --spdx --output= --arch= --sources= --source= --offline --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings=' ;;
    'sign') echo ' --signing-key= --release= --provenance= --output= --quiet' ;;
    'check') echo ' --signature= --trusted-keys= --unsigned --provenance= --require-provenance --expect-name= --expect-release= --host-key-document= --host-key= --hdr-key= --seal-record= --seal-secret= --kernel= --initrd= --parmfile= --kernel-tarball= --initrd-tarball= --ovmf= --reproduce= --trust-cache --output= --arch= --jobs= --sources= --source= --offline --remote= --prebuilt= --locked --builder= --cache= --versions= --recipes= --settings= --json --quiet' ;;
    'report') echo ' --output= --arch= --cache= --settings= --quiet' ;;
    'settings') echo ' --output= --arch= --jobs= --sources= --source= --remote= --prebuilt= --builder= --cache= --versions= --recipes= --settings= --json' ;;
    'cache info') echo ' --cache= --settings= --json' ;;
    'cache verify') echo ' --cache= --settings=' ;;
    'cache gc') echo ' --max-size= --cache= --settings=' ;;
    'versions get') echo ' --versions= --settings=' ;;
    'help') echo ' --manual --completion=' ;;
    'version') echo '' ;;
  esac
}

_kbuild_operands() { # a verb and a place: what can be there
  case $1 in
    'build '*) echo '@targets' ;;
    'plan '*) echo '@targets' ;;
    'run 1') echo '@nothing' ;;
    'spread '*) echo '@targets' ;;
    'why '*) echo '@targets' ;;
    'explain 1') echo '@targets' ;;
    'new 1') echo '@nothing' ;;
    'fetch '*) echo '@targets' ;;
    'update '*) echo '@targets' ;;
    'lock '*) echo '@targets' ;;
    'log 1') echo '@logs' ;;
    'shell 1') echo '@targets' ;;
    'boot 1') echo '@targets' ;;
    'install '*) echo '@targets' ;;
    'verify 1') echo '@targets' ;;
    'merge 1') echo '@folders' ;;
    'merge 2') echo '@files' ;;
    'pack 1') echo '@folders' ;;
    'pack 2') echo '@files' ;;
    'unpack 1') echo '@files' ;;
    'unpack 2') echo '@folders' ;;
    'se seal '*) echo '@files' ;;
    'se open 1') echo '@files' ;;
    'se info 1') echo '@files' ;;
    'se verify 1') echo '@files' ;;
    'se reference 1') echo '@files' ;;
    'se test-key 1') echo '@folders' ;;
    'hkd verify '*) echo '@files' ;;
    'doctor 1') echo 'build se snp' ;;
    'config 1') echo 'se snp containerd' ;;
    'config 2') echo '@files' ;;
    'measure 1') echo 'snp sev-es sev tdx' ;;
    'measure 2') echo '@targets' ;;
    'payload push 1') echo '@files' ;;
    'payload push 2') echo '@nothing' ;;
    'payload push 3') echo '@nothing' ;;
    'payload index 1') echo '@nothing' ;;
    'payload index '*) echo '@nothing' ;;
    'payload image '*) echo '@files' ;;
    'provenance 1') echo '@targets' ;;
    'sign '*) echo '@files' ;;
    'check 1') echo '@files' ;;
    'report '*) echo '@targets' ;;
    'versions get 1') echo '@nothing' ;;
    'help '*) echo '@verbs' ;;
  esac
}

_kbuild_values() { # a verb, its option: what the value can be
  case "$1 $2" in
    'build --trace') echo '@files' ;;
    'build --until') echo '@nothing' ;;
    'build --output'|'build -o') echo '@folders' ;;
    'build --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'build --jobs'|'build -j') echo '@nothing' ;;
    'build --sources') echo 'upstream debian' ;;
    'build --source') echo '@nothing' ;;
    'build --remote') echo 'auto off require' ;;
    'build --prebuilt') echo '@targets' ;;
    'build --builder') echo 'image host' ;;
    'build --cache') echo '@folders' ;;
    'build --versions') echo '@files' ;;
    'build --recipes') echo '@folders' ;;
    'build --settings') echo '@files' ;;
    'list --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'list --sources') echo 'upstream debian' ;;
    'list --source') echo '@nothing' ;;
    'list --versions') echo '@files' ;;
    'list --recipes') echo '@folders' ;;
    'list --settings') echo '@files' ;;
    'plan --grain') echo 'node artifact' ;;
    'plan --format') echo 'json slurm github gitlab make' ;;
    'plan --output'|'plan -o') echo '@folders' ;;
    'plan --arch') echo 'x86_64 s390x aarch64 ppc64le all' ;;
    'plan --sources') echo 'upstream debian' ;;
    'plan --source') echo '@nothing' ;;
    'plan --prebuilt') echo '@targets' ;;
    'plan --builder') echo 'image host' ;;
    'plan --cache') echo '@folders' ;;
    'plan --versions') echo '@files' ;;
    'plan --recipes') echo '@folders' ;;
    'plan --settings') echo '@files' ;;
    'run --plan') echo '@files' ;;
    'run --grain') echo 'node artifact' ;;
    'run --output'|'run -o') echo '@folders' ;;
    'run --jobs'|'run -j') echo '@nothing' ;;
    'run --sources') echo 'upstream debian' ;;
    'run --source') echo '@nothing' ;;
    'run --prebuilt') echo '@targets' ;;
    'run --builder') echo 'image host' ;;
    'run --cache') echo '@folders' ;;
    'run --versions') echo '@files' ;;
    'run --recipes') echo '@folders' ;;
    'run --settings') echo '@files' ;;
    'spread --with') echo 'slurm' ;;
    'spread --grain') echo 'node artifact' ;;
    'spread --output'|'spread -o') echo '@folders' ;;
    'spread --arch') echo 'x86_64 s390x aarch64 ppc64le all' ;;
    'spread --jobs'|'spread -j') echo '@nothing' ;;
    'spread --sources') echo 'upstream debian' ;;
    'spread --source') echo '@nothing' ;;
    'spread --prebuilt') echo '@targets' ;;
    'spread --builder') echo 'image host' ;;
    'spread --cache') echo '@folders' ;;
    'spread --versions') echo '@files' ;;
    'spread --recipes') echo '@folders' ;;
    'spread --settings') echo '@files' ;;
    'why --output'|'why -o') echo '@folders' ;;
    'why --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'why --sources') echo 'upstream debian' ;;
    'why --source') echo '@nothing' ;;
    'why --prebuilt') echo '@targets' ;;
    'why --builder') echo 'image host' ;;
    'why --cache') echo '@folders' ;;
    'why --versions') echo '@files' ;;
    'why --recipes') echo '@folders' ;;
    'why --settings') echo '@files' ;;
    'explain --output'|'explain -o') echo '@folders' ;;
    'explain --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'explain --sources') echo 'upstream debian' ;;
    'explain --source') echo '@nothing' ;;
    'explain --prebuilt') echo '@targets' ;;
    'explain --builder') echo 'image host' ;;
    'explain --cache') echo '@folders' ;;
    'explain --versions') echo '@files' ;;
    'explain --recipes') echo '@folders' ;;
    'explain --settings') echo '@files' ;;
    'new --like') echo '@targets' ;;
    'new --recipes') echo '@folders' ;;
    'new --settings') echo '@files' ;;
    'fetch --trace') echo '@files' ;;
    'fetch --output'|'fetch -o') echo '@folders' ;;
    'fetch --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'fetch --jobs'|'fetch -j') echo '@nothing' ;;
    'fetch --sources') echo 'upstream debian' ;;
    'fetch --source') echo '@nothing' ;;
    'fetch --remote') echo 'auto off require' ;;
    'fetch --prebuilt') echo '@targets' ;;
    'fetch --builder') echo 'image host' ;;
    'fetch --cache') echo '@folders' ;;
    'fetch --versions') echo '@files' ;;
    'fetch --recipes') echo '@folders' ;;
    'fetch --settings') echo '@files' ;;
    'update --arch') echo 'x86_64 s390x aarch64 ppc64le all' ;;
    'update --sources') echo 'upstream debian' ;;
    'update --source') echo '@nothing' ;;
    'update --prebuilt') echo '@targets' ;;
    'update --builder') echo 'image host' ;;
    'update --cache') echo '@folders' ;;
    'update --versions') echo '@files' ;;
    'update --recipes') echo '@folders' ;;
    'update --settings') echo '@files' ;;
    'lock --arch') echo 'x86_64 s390x aarch64 ppc64le all' ;;
    'lock --sources') echo 'upstream debian' ;;
    'lock --source') echo '@nothing' ;;
    'lock --prebuilt') echo '@targets' ;;
    'lock --builder') echo 'image host' ;;
    'lock --cache') echo '@folders' ;;
    'lock --versions') echo '@files' ;;
    'lock --recipes') echo '@folders' ;;
    'lock --settings') echo '@files' ;;
    'log --plan') echo '@files' ;;
    'log --output'|'log -o') echo '@folders' ;;
    'log --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'log --sources') echo 'upstream debian' ;;
    'log --source') echo '@nothing' ;;
    'log --prebuilt') echo '@targets' ;;
    'log --builder') echo 'image host' ;;
    'log --cache') echo '@folders' ;;
    'log --versions') echo '@files' ;;
    'log --recipes') echo '@folders' ;;
    'log --settings') echo '@files' ;;
    'shell --output'|'shell -o') echo '@folders' ;;
    'shell --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'shell --jobs'|'shell -j') echo '@nothing' ;;
    'shell --sources') echo 'upstream debian' ;;
    'shell --source') echo '@nothing' ;;
    'shell --remote') echo 'auto off require' ;;
    'shell --prebuilt') echo '@targets' ;;
    'shell --builder') echo 'image host' ;;
    'shell --cache') echo '@folders' ;;
    'shell --versions') echo '@files' ;;
    'shell --recipes') echo '@folders' ;;
    'shell --settings') echo '@files' ;;
    'boot --host-key') echo '@files' ;;
    'boot --image') echo '@files' ;;
    'boot --qemu') echo '@files' ;;
    'boot --root') echo '@folders' ;;
    'boot --timeout') echo '@nothing' ;;
    'boot --output'|'boot -o') echo '@folders' ;;
    'boot --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'boot --jobs'|'boot -j') echo '@nothing' ;;
    'boot --sources') echo 'upstream debian' ;;
    'boot --source') echo '@nothing' ;;
    'boot --remote') echo 'auto off require' ;;
    'boot --prebuilt') echo '@targets' ;;
    'boot --builder') echo 'image host' ;;
    'boot --cache') echo '@folders' ;;
    'boot --versions') echo '@files' ;;
    'boot --recipes') echo '@folders' ;;
    'boot --settings') echo '@files' ;;
    'install --prefix') echo '@folders' ;;
    'install --root') echo '@folders' ;;
    'install --output'|'install -o') echo '@folders' ;;
    'install --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'install --jobs'|'install -j') echo '@nothing' ;;
    'install --sources') echo 'upstream debian' ;;
    'install --source') echo '@nothing' ;;
    'install --remote') echo 'auto off require' ;;
    'install --prebuilt') echo '@targets' ;;
    'install --builder') echo 'image host' ;;
    'install --cache') echo '@folders' ;;
    'install --versions') echo '@files' ;;
    'install --recipes') echo '@folders' ;;
    'install --settings') echo '@files' ;;
    'verify --against') echo '@files' ;;
    'verify --scratch') echo '@folders' ;;
    'verify --output'|'verify -o') echo '@folders' ;;
    'verify --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'verify --jobs'|'verify -j') echo '@nothing' ;;
    'verify --sources') echo 'upstream debian' ;;
    'verify --source') echo '@nothing' ;;
    'verify --remote') echo 'auto off require' ;;
    'verify --prebuilt') echo '@targets' ;;
    'verify --builder') echo 'image host' ;;
    'verify --cache') echo '@folders' ;;
    'verify --versions') echo '@files' ;;
    'verify --recipes') echo '@folders' ;;
    'verify --settings') echo '@files' ;;
    'merge --output'|'merge -o') echo '@files' ;;
    'merge --format') echo 'tar.xz tar.zst' ;;
    'merge --target') echo '@targets' ;;
    'merge --components') echo '@nothing' ;;
    'merge --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'merge --jobs'|'merge -j') echo '@nothing' ;;
    'merge --sources') echo 'upstream debian' ;;
    'merge --source') echo '@nothing' ;;
    'merge --cache') echo '@folders' ;;
    'merge --versions') echo '@files' ;;
    'merge --recipes') echo '@folders' ;;
    'merge --settings') echo '@files' ;;
    'pack --format') echo 'tar.xz tar.zst' ;;
    'pack --jobs'|'pack -j') echo '@nothing' ;;
    'se open --host-key') echo '@files' ;;
    'se open --output'|'se open -o') echo '@folders' ;;
    'se info --format') echo '@nothing' ;;
    'se info --hdr-key') echo '@files' ;;
    'se info --key') echo '@files' ;;
    'se info --print-schema') echo '@nothing' ;;
    'se info --host-key-document'|'se info -k') echo '@files' ;;
    'se info --host-key-documents') echo '@folders' ;;
    'se verify --host-key') echo '@files' ;;
    'se verify --hdr-key') echo '@files' ;;
    'se verify --seal-record') echo '@files' ;;
    'se verify --seal-secret') echo '@files' ;;
    'se verify --image'|'se verify -i') echo '@files' ;;
    'se verify --ramdisk'|'se verify -r') echo '@files' ;;
    'se verify --parmfile'|'se verify -p') echo '@files' ;;
    'se verify --kernel-tarball') echo '@files' ;;
    'se verify --initrd-tarball') echo '@files' ;;
    'se reference --output'|'se reference -o') echo '@files' ;;
    'se reference --header') echo '@files' ;;
    'se reference --host-key') echo '@files' ;;
    'se reference --hdr-key') echo '@files' ;;
    'se reference --seal-record') echo '@files' ;;
    'se reference --seal-secret') echo '@files' ;;
    'se reference --image'|'se reference -i') echo '@files' ;;
    'se reference --ramdisk'|'se reference -r') echo '@files' ;;
    'se reference --parmfile'|'se reference -p') echo '@files' ;;
    'se reference --kernel-tarball') echo '@files' ;;
    'se reference --initrd-tarball') echo '@files' ;;
    'hkd verify --host-key-document'|'hkd verify -k') echo '@files' ;;
    'hkd verify --cert'|'hkd verify -C') echo '@files' ;;
    'hkd verify --crl') echo '@files' ;;
    'hkd verify --root-ca') echo '@files' ;;
    'doctor --root') echo '@folders' ;;
    'doctor --collect') echo '@folders' ;;
    'doctor --cache') echo '@folders' ;;
    'doctor --settings') echo '@files' ;;
    'config --class') echo '@nothing' ;;
    'config --configuration') echo '@files' ;;
    'config --prefix') echo '@folders' ;;
    'config --release') echo '@nothing' ;;
    'config --set') echo '@nothing' ;;
    'measure --ovmf') echo '@files' ;;
    'measure --kernel') echo '@files' ;;
    'measure --initrd') echo '@files' ;;
    'measure --append') echo '@nothing' ;;
    'measure --vcpus') echo '@nothing' ;;
    'measure --vcpu-type') echo '@nothing' ;;
    'measure --vcpu-sig') echo '@nothing' ;;
    'measure --guest-features') echo '@nothing' ;;
    'measure --vmm-type') echo 'qemu ec2 gce' ;;
    'measure --qemu-version') echo '@nothing' ;;
    'measure --memory') echo '@nothing' ;;
    'measure --edk2') echo '@nothing' ;;
    'measure --policy') echo '@nothing' ;;
    'measure --family-id') echo '@nothing' ;;
    'measure --image-id') echo '@nothing' ;;
    'measure --guest-svn') echo '@nothing' ;;
    'measure --id-key') echo '@files' ;;
    'measure --author-key') echo '@files' ;;
    'measure --output'|'measure -o') echo '@files' ;;
    'measure --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'measure --jobs'|'measure -j') echo '@nothing' ;;
    'measure --sources') echo 'upstream debian' ;;
    'measure --source') echo '@nothing' ;;
    'measure --remote') echo 'auto off require' ;;
    'measure --prebuilt') echo '@targets' ;;
    'measure --builder') echo 'image host' ;;
    'measure --cache') echo '@folders' ;;
    'measure --versions') echo '@files' ;;
    'measure --recipes') echo '@folders' ;;
    'measure --settings') echo '@files' ;;
    'payload push --base') echo '@nothing' ;;
    'payload push --layout') echo 'unpacked components' ;;
    'payload push --compression') echo 'gzip zstd' ;;
    'payload push --output'|'payload push -o') echo '@nothing' ;;
    'payload push --commit') echo '@nothing' ;;
    'payload push --shim-components') echo '@files' ;;
    'payload push --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'payload push --jobs'|'payload push -j') echo '@nothing' ;;
    'payload push --source') echo '@nothing' ;;
    'payload push --cache') echo '@folders' ;;
    'payload push --versions') echo '@files' ;;
    'payload push --recipes') echo '@folders' ;;
    'payload push --settings') echo '@files' ;;
    'payload index --cache') echo '@folders' ;;
    'payload index --settings') echo '@files' ;;
    'payload image --output'|'payload image -o') echo '@nothing' ;;
    'payload image --base') echo '@nothing' ;;
    'payload image --entrypoint') echo '@nothing' ;;
    'payload image --label') echo '@nothing' ;;
    'payload image --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'payload image --jobs'|'payload image -j') echo '@nothing' ;;
    'payload image --cache') echo '@folders' ;;
    'payload image --settings') echo '@files' ;;
    'provenance --output'|'provenance -o') echo '@files' ;;
    'provenance --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'provenance --sources') echo 'upstream debian' ;;
    'provenance --source') echo '@nothing' ;;
    'provenance --prebuilt') echo '@targets' ;;
    'provenance --builder') echo 'image host' ;;
    'provenance --cache') echo '@folders' ;;
    'provenance --versions') echo '@files' ;;
    'provenance --recipes') echo '@folders' ;;
    'provenance --settings') echo '@files' ;;
    'sign --signing-key') echo '@files' ;;
    'sign --release') echo '@nothing' ;;
    'sign --provenance') echo '@files' ;;
    'sign --output'|'sign -o') echo '@files' ;;
    'check --signature') echo '@files' ;;
    'check --trusted-keys') echo '@files' ;;
    'check --provenance') echo '@files' ;;
    'check --expect-name') echo '@nothing' ;;
    'check --expect-release') echo '@nothing' ;;
    'check --host-key-document'|'check -k') echo '@files' ;;
    'check --host-key') echo '@files' ;;
    'check --hdr-key') echo '@files' ;;
    'check --seal-record') echo '@files' ;;
    'check --seal-secret') echo '@files' ;;
    'check --kernel') echo '@files' ;;
    'check --initrd') echo '@files' ;;
    'check --parmfile'|'check -p') echo '@files' ;;
    'check --kernel-tarball') echo '@files' ;;
    'check --initrd-tarball') echo '@files' ;;
    'check --ovmf') echo '@files' ;;
    'check --reproduce') echo '@targets' ;;
    'check --output'|'check -o') echo '@folders' ;;
    'check --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'check --jobs'|'check -j') echo '@nothing' ;;
    'check --sources') echo 'upstream debian' ;;
    'check --source') echo '@nothing' ;;
    'check --remote') echo 'auto off require' ;;
    'check --prebuilt') echo '@targets' ;;
    'check --builder') echo 'image host' ;;
    'check --cache') echo '@folders' ;;
    'check --versions') echo '@files' ;;
    'check --recipes') echo '@folders' ;;
    'check --settings') echo '@files' ;;
    'report --output'|'report -o') echo '@files' ;;
    'report --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'report --cache') echo '@folders' ;;
    'report --settings') echo '@files' ;;
    'settings --output'|'settings -o') echo '@folders' ;;
    'settings --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    'settings --jobs'|'settings -j') echo '@nothing' ;;
    'settings --sources') echo 'upstream debian' ;;
    'settings --source') echo '@nothing' ;;
    'settings --remote') echo 'auto off require' ;;
    'settings --prebuilt') echo '@targets' ;;
    'settings --builder') echo 'image host' ;;
    'settings --cache') echo '@folders' ;;
    'settings --versions') echo '@files' ;;
    'settings --recipes') echo '@folders' ;;
    'settings --settings') echo '@files' ;;
    'cache info --cache') echo '@folders' ;;
    'cache info --settings') echo '@files' ;;
    'cache verify --cache') echo '@folders' ;;
    'cache verify --settings') echo '@files' ;;
    'cache gc --max-size') echo '@nothing' ;;
    'cache gc --cache') echo '@folders' ;;
    'cache gc --settings') echo '@files' ;;
    'versions get --versions') echo '@files' ;;
    'versions get --settings') echo '@files' ;;
    'help --completion') echo 'bash zsh fish' ;;
  esac
}

# A word as the shell will read it, into `plain`, and into `quote` the quote that is still open in it.
# Nothing is expanded but ~/.
_kbuild_unquote() { # word
  local c i=0
  plain='' quote=''
  [[ $1 != \~/* ]] || plain=$HOME i=1
  for ((; i < ${#1}; i++)); do
    c=${1:i:1}
    if [ -n "$quote" ] && [ "$c" = "$quote" ]; then
      quote=''
    elif [ -z "$quote" ] && [[ $c == [\'\"] ]]; then
      quote=$c
    elif [ "$c" = \\ ] && { [ -z "$quote" ] || [[ $quote${1:i+1:1} == \"[\"\$\`\\] ]]; }; then
      i=$((i + 1)) plain+=${1:i:1}
    else
      plain+=$c
    fi
  done
}

# Offers those of the texts that begin with the word, quoted: a text may be the name of any file. No
# list of words is given to compgen -W, which expands what is in it.
_kbuild_offer() { # word, text...
  local plain quote text
  _kbuild_unquote "$1"
  for text in "${@:2}"; do
    [[ $text == "$plain"* ]] || continue
    case $quote in
      '') printf -v text %q "$text" ;;
      \') text=${text//\'/\'\\\'\'} ;;
      *) text=${text//\\/\\\\} text=${text//\"/\\\"} text=${text//\$/\\\$} text=${text//\`/\\\`} ;;
    esac
    COMPREPLY+=("$text")
  done
}

# The options of sealing, from the help of the program itself.
_kbuild_seal() { # word, command...
  local options=() all=() option plain quote
  _kbuild_unquote "$2"
  mapfile -t options < <("$plain" "${@:3}" --help-all 2>/dev/null | sed -nE 's/^ +(-., )?--([^ =]+)(=?).*/--\2\3/p')
  for option in "${options[@]}"; do
    all+=("${option/--(en|dis)able-/--enable-}")
    [[ $option != *'(en|dis)able'* ]] || all+=("${option/--(en|dis)able-/--disable-}")
  done
  _kbuild_offer "$1" "${all[@]}"
  [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null
}

# The words before the one that is typed which say what the project is.
_kbuild_project() { # sets settings and output
  local i w n plain quote
  settings=() output=build
  for ((i = 1; i < COMP_CWORD; i++)); do
    w=${COMP_WORDS[i]} n=${COMP_WORDS[i + 1]}
    [ "$n" != = ] || n=${COMP_WORDS[i + 2]:-}
    _kbuild_unquote "$n"
    case $w in
      --recipes | --versions | --sources | --settings) settings+=("$w=$plain") ;;
      -o | --output) output=$plain ;;
    esac
  done
  [[ $output != -* ]] || output=./$output
}

_kbuild_words() { # word, what: words, or a kind
  local IFS=$' \t\n' words=() found=() settings output plain quote
  case $2 in
    @nothing) return ;;
    # Readline itself completes and quotes the names of files.
    @files) compopt -o default; return ;;
    @folders) compopt -o dirnames; return ;;
    @verbs) read -ra words <<<"$_kbuild_verbs" ;;
    @logs)
      _kbuild_project
      mapfile -d '' -t found < <(find "$output/logs" -maxdepth 1 -name '*.log' -printf '%f\0' 2>/dev/null | sort -z)
      words=("${found[@]%.log}") ;;
    *)
      read -ra words <<<"${2//@targets/}"
      if [[ $2 == *@targets* ]]; then
        _kbuild_project
        _kbuild_unquote "${COMP_WORDS[0]}"
        mapfile -t found < <("$plain" "${settings[@]}" list 2>/dev/null)
        words+=("${found[@]%% *}")
      fi ;;
  esac
  _kbuild_offer "$1" "${words[@]}"
}

_kbuild() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb='' place=1 w i values
  for ((i = 1; i < COMP_CWORD; i++)); do
    w=${COMP_WORDS[i]}
    if [ "$w" = = ]; then
      i=$((i + 1)) # its value
    elif [[ $w == -* ]]; then
      [ "${COMP_WORDS[i + 1]}" = = ] || [ -z "$(_kbuild_values "${verb:-build}" "$w")" ] || i=$((i + 1))
    elif [ -z "$verb" ] && [[ " $_kbuild_verbs " == *" $w "* ]]; then
      verb=$w
    elif [ "$place" -eq 1 ] && [[ " $(_kbuild_below "$verb") " == *" $w "* ]]; then
      verb+=" $w"
    else
      verb=${verb:-build} place=$((place + 1))
    fi
  done
  if [ "$verb" = "se seal" ] && [[ $word == -* ]]; then
    _kbuild_seal "$word" "${COMP_WORDS[0]}" se seal
    return
  fi
  # bash splits words at '='
  if [ "$word" = = ]; then
    word=''
  elif [ "$before" = = ] && [ "$COMP_CWORD" -gt 2 ]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  values=$(_kbuild_values "${verb:-build}" "$before")
  if [ -n "$values" ]; then
    _kbuild_words "$word" "$values"
  elif [[ $word == -* ]]; then
    _kbuild_words "$word" "$(_kbuild_options "${verb:-build}") --help"
    [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null
  elif [ "$verb" = help ] && [ "$before" != help ]; then
    _kbuild_words "$word" "$(_kbuild_below "$before")"
  elif [ -n "$(_kbuild_below "$verb")" ]; then
    _kbuild_words "$word" "$(_kbuild_below "$verb")"
  elif [ -z "$verb" ]; then
    _kbuild_words "$word" "$_kbuild_verbs @targets"
  else
    _kbuild_words "$word" "$(_kbuild_operands "$verb $place")"
  fi
}
complete -F _kbuild kbuild ./kbuild

_kbuild_genprotimg() {
  local word=${COMP_WORDS[COMP_CWORD]}
  case $word in
    -*) _kbuild_seal "$word" "${COMP_WORDS[0]}" ;;
    *) _kbuild_words "$word" @files ;;
  esac
}
# Not where s390-tools has its own.
complete -p genprotimg >/dev/null 2>&1 || complete -F _kbuild_genprotimg genprotimg

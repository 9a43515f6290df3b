# SPDX-License-Identifier: Apache-2.0
# fish completion for kbuild: install it in a folder of $fish_complete_path. Made by `make docs` from cmd/kbuild/verbs.c.

set -g __kbuild_verbs build list plan run spread explain fetch update lock log shell boot install verify merge pack unpack se hkd doctor config measure payload provenance cache versions help version
set -g __kbuild_below 'se seal' 'se open' 'se info' 'se verify' 'se reference' 'se test-key' 'hkd verify' 'payload push' 'payload index' 'cache info' 'cache verify' 'cache gc' 'versions get'
set -g __kbuild_valued --until --output -o --arch --jobs -j --sources --source --prebuilt --builder --cache --versions --recipes --grain --format --plan --with --host-key --image --qemu --root --timeout --prefix --against --scratch --target --components --hdr-key --key --print-schema --host-key-document -k --host-key-documents --seal-record --seal-secret -i --ramdisk -r --parmfile -p --kernel-tarball --initrd-tarball --header --cert -C --crl --root-ca --collect --class --configuration --release --set --ovmf --kernel --initrd --append --vcpus --vcpu-type --vcpu-sig --guest-features --vmm-type --qemu-version --memory --edk2 --policy --family-id --image-id --guest-svn --id-key --author-key --base --layout --compression --commit --shim-components --max-size --completion

function __kbuild_parse # the verb, and how many operands follow it, before the word that is typed
  set -l verb ''
  set -l place 0
  set -l value ''
  for word in (commandline -opc)[2..]
    if test -n "$value"
      set value ''
    else if string match -q -- '-*' $word
      if not string match -q -- '*=*' $word; and contains -- $word $__kbuild_valued
        set value $word
      end
    else if test -z "$verb"; and contains -- $word $__kbuild_verbs
      set verb $word
    else if test $place -eq 0; and contains -- "$verb $word" $__kbuild_below
      set verb "$verb $word"
    else
      test -n "$verb"; or set verb build
      set place (math $place + 1)
    end
  end
  echo $verb
  echo $place
end

function __kbuild_in # a verb: is it this one?
  set -l here (__kbuild_parse)
  test "$here[1]" = "$argv[1]"; or begin
    test -z "$here[1]"; and test "$argv[1]" = build; and string match -q -- '-*' (commandline -ct)
  end
end

function __kbuild_at # a verb, a place: is it this one, or, with more, behind it?
  set -l here (__kbuild_parse)
  set -l place (math $here[2] + 1)
  test "$here[1]" = "$argv[1]"; and begin
    test $place -eq $argv[2]; or test -n "$argv[3]" -a $place -gt $argv[2]
  end
end

function __kbuild_given # options: the values of those that were typed
  set -l words (commandline -opc)
  for i in (seq 2 (count $words))
    for option in $argv
      if test "$words[$i]" = $option; and test $i -lt (count $words)
        echo -- $words[(math $i + 1)]
      else if string match -q -- "$option=*" $words[$i]
        string replace -- "$option=" '' $words[$i]
      end
    end
  end
end

function __kbuild_targets
  set -l program (commandline -opc)[1]
  set -l settings
  for option in --recipes --versions --sources
    for value in (__kbuild_given $option)
      set -a settings $option=$value
    end
  end
  $program $settings list 2>/dev/null | string replace -r ' +' \t | string replace -ra ' +' ' '
end

function __kbuild_logs
  set -l output (__kbuild_given -o --output)[-1]
  test -n "$output"; or set output build
  for log in $output/logs/*.log
    string replace -r '.*/(.*)\.log$' '$1' -- $log
  end
end

function __kbuild_help_words
  set -l last (commandline -opc)[-1]
  set -l below (string replace -f -- "$last " '' $__kbuild_below)
  if test -n "$below"
    printf '%s\n' $below
  else
    printf '%s\n' $__kbuild_verbs
  end
end

# The options of sealing, from the help of the program itself.
function __kbuild_seal
  set -l options (eval (commandline -opc)[1] se seal --help-all 2>/dev/null | string replace -rf '^ +(?:-., )?--([^ =]+=?).*' -- '--$1')
  string replace -- '(en|dis)able' enable $options
  string replace -f -- '(en|dis)able' disable $options
end

complete -c kbuild -f
complete -c kbuild -s h -l help -d 'help on the verb'
complete -c kbuild -n '__kbuild_in ""' -l version -d 'the version'
complete -c kbuild -n '__kbuild_in "se seal"' -f -a '(__kbuild_seal)'
complete -c kbuild -n '__kbuild_in ""' -f -a build -d 'build targets (the verb may be left out)'
complete -c kbuild -n '__kbuild_in ""' -f -a list -d 'list the targets, their architectures and descriptions'
complete -c kbuild -n '__kbuild_in ""' -f -a plan -d 'show what would be built, in order, and what is cached'
complete -c kbuild -n '__kbuild_in ""' -f -a run -d 'make exactly one node of a plan, for an engine'
complete -c kbuild -n '__kbuild_in ""' -f -a spread -d 'build targets on the machines of a scheduler'
complete -c kbuild -n '__kbuild_in ""' -f -a explain -d 'show everything that determines a target\'s bytes, and what changed since the last build'
complete -c kbuild -n '__kbuild_in ""' -f -a fetch -d 'do everything that needs the network'
complete -c kbuild -n '__kbuild_in ""' -f -a update -d 'use today\'s packages of the distribution from now on'
complete -c kbuild -n '__kbuild_in ""' -f -a lock -d 'write all inputs of targets to versions.lock, packages included'
complete -c kbuild -n '__kbuild_in ""' -f -a log -d 'print the log of a target\'s last build'
complete -c kbuild -n '__kbuild_in ""' -f -a shell -d 'start a shell in the sandbox of a target\'s step'
complete -c kbuild -n '__kbuild_in ""' -f -a boot -d 'start a result under QEMU and check that it boots'
complete -c kbuild -n '__kbuild_in ""' -f -a install -d 'install the results on this host'
complete -c kbuild -n '__kbuild_in ""' -f -a verify -d 'build a target again in another environment, and compare'
complete -c kbuild -n '__kbuild_in ""' -f -a merge -d 'merge DIR/kata-static-*.tar.xz into kata-static.tar.xz'
complete -c kbuild -n '__kbuild_in ""' -f -a pack -d 'pack a tree in the same way as an artifact'
complete -c kbuild -n '__kbuild_in ""' -f -a unpack -d 'unpack an archive into a new folder'
complete -c kbuild -n '__kbuild_in ""' -f -a se -d 'seal, open, info, verify, reference, test-key'
complete -c kbuild -n '__kbuild_in ""' -f -a hkd -d 'verify'
complete -c kbuild -n '__kbuild_in ""' -f -a doctor -d 'can this machine build, and host confidential guests?'
complete -c kbuild -n '__kbuild_in ""' -f -a config -d 'edit a Kata runtime\'s configuration.toml for confidential guests, or containerd\'s for Kata'
complete -c kbuild -n '__kbuild_in ""' -f -a measure -d 'compute the launch digest that a confidential x86 host will report'
complete -c kbuild -n '__kbuild_in ""' -f -a payload -d 'push, index'
complete -c kbuild -n '__kbuild_in ""' -f -a provenance -d 'write what a result was made of: SLSA provenance and an SPDX list'
complete -c kbuild -n '__kbuild_in ""' -f -a cache -d 'info, verify, gc'
complete -c kbuild -n '__kbuild_in ""' -f -a versions -d 'get'
complete -c kbuild -n '__kbuild_in ""' -f -a help -d 'show the verbs, or the options of one'
complete -c kbuild -n '__kbuild_in ""' -f -a version -d 'print the version of kbuild'
complete -c kbuild -n '__kbuild_in ""' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_in "se"' -f -a seal -d 'seal an image by hand'
complete -c kbuild -n '__kbuild_in "se"' -f -a open -d 'extract the parts of an image with a TEST key'
complete -c kbuild -n '__kbuild_in "se"' -f -a info -d 'show what is in an image'
complete -c kbuild -n '__kbuild_in "se"' -f -a verify -d 'prove that an image is intact, and what it was made of'
complete -c kbuild -n '__kbuild_in "se"' -f -a reference -d 'print reference values of an image for attestation'
complete -c kbuild -n '__kbuild_in "se"' -f -a test-key -d 'make a TEST host key and its document'
complete -c kbuild -n '__kbuild_in "hkd"' -f -a verify -d 'are host key documents genuine, valid, and not revoked?'
complete -c kbuild -n '__kbuild_in "payload"' -f -a push -d 'push the image that kata-deploy installs from'
complete -c kbuild -n '__kbuild_in "payload"' -f -a index -d 'join images of several architectures into one index'
complete -c kbuild -n '__kbuild_in "cache"' -f -a info -d 'show what is in the cache'
complete -c kbuild -n '__kbuild_in "cache"' -f -a verify -d 'read the whole cache, and move damaged entries to its folder damaged'
complete -c kbuild -n '__kbuild_in "cache"' -f -a gc -d 'remove garbage, and what is beyond a size'
complete -c kbuild -n '__kbuild_in "versions"' -f -a get -d 'print the value of a dotted key of versions.yaml'
complete -c kbuild -n '__kbuild_at "build" 1 more' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "plan" 1 more' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "spread" 1 more' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "explain" 1' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "fetch" 1 more' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "update" 1 more' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "lock" 1 more' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "log" 1' -f -a '(__kbuild_logs)'
complete -c kbuild -n '__kbuild_at "shell" 1' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "boot" 1' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "install" 1 more' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "verify" 1' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "merge" 1' -f -a '(__fish_complete_directories (commandline -ct))'
complete -c kbuild -n '__kbuild_at "merge" 2' -F
complete -c kbuild -n '__kbuild_at "pack" 1' -f -a '(__fish_complete_directories (commandline -ct))'
complete -c kbuild -n '__kbuild_at "pack" 2' -F
complete -c kbuild -n '__kbuild_at "unpack" 1' -F
complete -c kbuild -n '__kbuild_at "unpack" 2' -f -a '(__fish_complete_directories (commandline -ct))'
complete -c kbuild -n '__kbuild_at "se open" 1' -F
complete -c kbuild -n '__kbuild_at "se info" 1' -F
complete -c kbuild -n '__kbuild_at "se verify" 1' -F
complete -c kbuild -n '__kbuild_at "se reference" 1' -F
complete -c kbuild -n '__kbuild_at "se test-key" 1' -f -a '(__fish_complete_directories (commandline -ct))'
complete -c kbuild -n '__kbuild_at "hkd verify" 1 more' -F
complete -c kbuild -n '__kbuild_at "doctor" 1' -f -a 'build se snp'
complete -c kbuild -n '__kbuild_at "config" 1' -f -a 'se snp containerd'
complete -c kbuild -n '__kbuild_at "config" 2' -F
complete -c kbuild -n '__kbuild_at "measure" 1' -f -a 'snp sev-es sev tdx'
complete -c kbuild -n '__kbuild_at "measure" 2' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "payload push" 1' -F
complete -c kbuild -n '__kbuild_at "provenance" 1' -f -a '(__kbuild_targets)'
complete -c kbuild -n '__kbuild_at "help" 1 more' -f -a '(__kbuild_help_words)'
complete -c kbuild -n '__kbuild_in "build"' -l until -r -f -d 'stop the step of one target after this phase, and keep its files in build/TARGET/builddir'
complete -c kbuild -n '__kbuild_in "build"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "build"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "build"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "build"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "build"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "build"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "build"' -l remote -r -f -a 'auto off require' -d 'the shared cache that ARTEFACT_REGISTRY and BUILDER_REGISTRY name: use it while it works (auto), do not use it, or fail if it cannot be used'
complete -c kbuild -n '__kbuild_in "build"' -l continue -d 'resume from the files that --until left, with your changes; the result has its own key and is not shared'
complete -c kbuild -n '__kbuild_in "build"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "build"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "build"' -l keep-going -s k -d 'after a failure, continue with what does not depend on it'
complete -c kbuild -n '__kbuild_in "build"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "build"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "build"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "build"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "build"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "build"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "list"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "list"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "list"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "list"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "list"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "list"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "plan"' -l remote -d 'ask the registry, and show what is left to do for any machine'
complete -c kbuild -n '__kbuild_in "plan"' -l grain -r -f -a 'node artifact' -d 'what one job makes: a node, or an artifact with its sources and builders (node)'
complete -c kbuild -n '__kbuild_in "plan"' -l format -r -f -a 'json slurm github gitlab make' -d 'print it for this engine (docs/spread.md)'
complete -c kbuild -n '__kbuild_in "plan"' -l push -d 'push the project that the jobs need, too, and name it in their commands'
complete -c kbuild -n '__kbuild_in "plan"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "plan"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le all' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "plan"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "plan"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "plan"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "plan"' -l continue -d 'resume from the files that --until left, with your changes; the result has its own key and is not shared'
complete -c kbuild -n '__kbuild_in "plan"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "plan"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "plan"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "plan"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "plan"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "plan"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "plan"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "run"' -l plan -r -F -d 'the plan that the node is of'
complete -c kbuild -n '__kbuild_in "run"' -l grain -r -f -a 'node artifact' -d 'what one job makes: a node, or an artifact with its sources and builders (node)'
complete -c kbuild -n '__kbuild_in "run"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "run"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "run"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "run"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "run"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "run"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "run"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "run"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "run"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "run"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "run"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "run"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "run"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "spread"' -l with -r -f -a 'slurm' -d 'the engine that runs the jobs'
complete -c kbuild -n '__kbuild_in "spread"' -l grain -r -f -a 'node artifact' -d 'what one job makes: a node, or an artifact with its sources and builders (node)'
complete -c kbuild -n '__kbuild_in "spread"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "spread"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le all' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "spread"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "spread"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "spread"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "spread"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "spread"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "spread"' -l keep-going -s k -d 'after a failure, continue with what does not depend on it'
complete -c kbuild -n '__kbuild_in "spread"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "spread"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "spread"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "spread"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "spread"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "spread"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "explain"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "explain"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "explain"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "explain"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "explain"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "explain"' -l continue -d 'resume from the files that --until left, with your changes; the result has its own key and is not shared'
complete -c kbuild -n '__kbuild_in "explain"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "explain"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "explain"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "explain"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "explain"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "explain"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "fetch"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "fetch"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "fetch"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "fetch"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "fetch"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "fetch"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "fetch"' -l remote -r -f -a 'auto off require' -d 'the shared cache that ARTEFACT_REGISTRY and BUILDER_REGISTRY name: use it while it works (auto), do not use it, or fail if it cannot be used'
complete -c kbuild -n '__kbuild_in "fetch"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "fetch"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "fetch"' -l keep-going -s k -d 'after a failure, continue with what does not depend on it'
complete -c kbuild -n '__kbuild_in "fetch"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "fetch"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "fetch"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "fetch"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "fetch"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "fetch"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "update"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "update"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "update"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "update"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "update"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "update"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "update"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "update"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "lock"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "lock"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "lock"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "lock"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "lock"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "lock"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "lock"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "lock"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "lock"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "log"' -l remote -d 'of a node, the log that `kbuild run` pushed to the registry'
complete -c kbuild -n '__kbuild_in "log"' -l plan -r -F -d 'the plan that the node is of'
complete -c kbuild -n '__kbuild_in "log"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "log"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "shell"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "shell"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "shell"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "shell"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "shell"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "shell"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "shell"' -l remote -r -f -a 'auto off require' -d 'the shared cache that ARTEFACT_REGISTRY and BUILDER_REGISTRY name: use it while it works (auto), do not use it, or fail if it cannot be used'
complete -c kbuild -n '__kbuild_in "shell"' -l continue -d 'resume from the files that --until left, with your changes; the result has its own key and is not shared'
complete -c kbuild -n '__kbuild_in "shell"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "shell"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "shell"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "shell"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "shell"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "shell"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "shell"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "boot"' -l host-key -r -F -d 'private TEST key that opens a sealed image (searched in HKD_PATH)'
complete -c kbuild -n '__kbuild_in "boot"' -l image -r -F -d 'start this sealed image, or the one in this tarball, instead of the target\'s'
complete -c kbuild -n '__kbuild_in "boot"' -l qemu -r -F -d 'use this machine\'s QEMU, or the one at PATH, instead of the recipe\'s'
complete -c kbuild -n '__kbuild_in "boot"' -l plain -d 'start no confidential guest, even if this machine supports it'
complete -c kbuild -n '__kbuild_in "boot"' -l root -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'read this tree instead of this machine, as doctor does'
complete -c kbuild -n '__kbuild_in "boot"' -l timeout -r -f -d 'time limit of each start (120)'
complete -c kbuild -n '__kbuild_in "boot"' -l verbose -d 'show the console'
complete -c kbuild -n '__kbuild_in "boot"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "boot"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "boot"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "boot"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "boot"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "boot"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "boot"' -l remote -r -f -a 'auto off require' -d 'the shared cache that ARTEFACT_REGISTRY and BUILDER_REGISTRY name: use it while it works (auto), do not use it, or fail if it cannot be used'
complete -c kbuild -n '__kbuild_in "boot"' -l continue -d 'resume from the files that --until left, with your changes; the result has its own key and is not shared'
complete -c kbuild -n '__kbuild_in "boot"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "boot"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "boot"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "boot"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "boot"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "boot"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "boot"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "install"' -l prefix -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'instead of /opt/kata'
complete -c kbuild -n '__kbuild_in "install"' -l root -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the root of the tree to install into (/)'
complete -c kbuild -n '__kbuild_in "install"' -l dry-run -d 'list the files, write nothing'
complete -c kbuild -n '__kbuild_in "install"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "install"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "install"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "install"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "install"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "install"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "install"' -l remote -r -f -a 'auto off require' -d 'the shared cache that ARTEFACT_REGISTRY and BUILDER_REGISTRY name: use it while it works (auto), do not use it, or fail if it cannot be used'
complete -c kbuild -n '__kbuild_in "install"' -l continue -d 'resume from the files that --until left, with your changes; the result has its own key and is not shared'
complete -c kbuild -n '__kbuild_in "install"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "install"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "install"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "install"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "install"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "install"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "install"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "verify"' -l against -r -F -d 'compare with this tarball instead of building again'
complete -c kbuild -n '__kbuild_in "verify"' -l all -d 'also verify the artifacts that it is made of'
complete -c kbuild -n '__kbuild_in "verify"' -l scratch -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'directory of the second build, best on another file system'
complete -c kbuild -n '__kbuild_in "verify"' -l keep-processors -d 'use the same number of processors in the second build'
complete -c kbuild -n '__kbuild_in "verify"' -l keep-clock -d 'use the same clock in the second build'
complete -c kbuild -n '__kbuild_in "verify"' -l no-diffoscope -d 'do not run diffoscope on files that differ'
complete -c kbuild -n '__kbuild_in "verify"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where results and logs go (build); {arch} stands for the architecture'
complete -c kbuild -n '__kbuild_in "verify"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "verify"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "verify"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "verify"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "verify"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "verify"' -l remote -r -f -a 'auto off require' -d 'the shared cache that ARTEFACT_REGISTRY and BUILDER_REGISTRY name: use it while it works (auto), do not use it, or fail if it cannot be used'
complete -c kbuild -n '__kbuild_in "verify"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "verify"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "verify"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "verify"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "verify"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "verify"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "verify"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "merge"' -l output -s o -r -F -d 'the merged tarball (kata-static.tar.xz)'
complete -c kbuild -n '__kbuild_in "merge"' -l format -r -f -a 'tar.xz tar.zst' -d 'format of the output (known from its name)'
complete -c kbuild -n '__kbuild_in "merge"' -l target -r -f -a '(__kbuild_targets)' -d 'require exactly the components of this target or group'
complete -c kbuild -n '__kbuild_in "merge"' -l components -r -f -d 'require exactly these components'
complete -c kbuild -n '__kbuild_in "merge"' -l rehash -d 'also read files whose digest the cache knows'
complete -c kbuild -n '__kbuild_in "merge"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "merge"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "merge"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "merge"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "merge"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "merge"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "merge"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "merge"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "pack"' -l format -r -f -a 'tar.xz tar.zst' -d 'format of the file (known from its name)'
complete -c kbuild -n '__kbuild_in "pack"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "pack"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "unpack"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "se open"' -l host-key -r -F -d 'private key of the TEST host key document'
complete -c kbuild -n '__kbuild_in "se open"' -l output -s o -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'directory of the parts (IMAGE.parts)'
complete -c kbuild -n '__kbuild_in "se info"' -l format -r -f -d 'text, text:full, json, json:pretty or json:minify'
complete -c kbuild -n '__kbuild_in "se info"' -l hdr-key -r -F -d 'key of the header'
complete -c kbuild -n '__kbuild_in "se info"' -l key -r -F -d 'the same as --hdr-key'
complete -c kbuild -n '__kbuild_in "se info"' -l show-secrets -d 'print the keys in the header, too; needs --hdr-key'
complete -c kbuild -n '__kbuild_in "se info"' -l print-schema -r -f -d 'json: print the schema of the output instead of reading an image'
complete -c kbuild -n '__kbuild_in "se info"' -l host-key-document -s k -r -F -d 'show which key slot belongs to this document'
complete -c kbuild -n '__kbuild_in "se info"' -l host-key-documents -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the same for all documents in a folder'
complete -c kbuild -n '__kbuild_in "se info"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "se verify"' -l host-key -r -F -d 'private key of a TEST host key document'
complete -c kbuild -n '__kbuild_in "se verify"' -l hdr-key -r -F -d 'key of the header'
complete -c kbuild -n '__kbuild_in "se verify"' -l seal-record -r -F -d 'record that sealing wrote'
complete -c kbuild -n '__kbuild_in "se verify"' -l seal-secret -r -F -d 'secret that the random values were derived from'
complete -c kbuild -n '__kbuild_in "se verify"' -l image -s i -r -F -d 'compare with this kernel'
complete -c kbuild -n '__kbuild_in "se verify"' -l ramdisk -s r -r -F -d 'compare with this initrd'
complete -c kbuild -n '__kbuild_in "se verify"' -l parmfile -s p -r -F -d 'compare with this command line'
complete -c kbuild -n '__kbuild_in "se verify"' -l kernel-tarball -r -F -d 'compare with the kernel in this tarball'
complete -c kbuild -n '__kbuild_in "se verify"' -l initrd-tarball -r -F -d 'compare with the initrd in this tarball'
complete -c kbuild -n '__kbuild_in "se reference"' -l output -s o -r -F -d 'instead of standard output'
complete -c kbuild -n '__kbuild_in "se reference"' -l header -r -F -d 'write the header there (hdr.bin)'
complete -c kbuild -n '__kbuild_in "se reference"' -l host-key -r -F -d 'private key of a TEST host key document'
complete -c kbuild -n '__kbuild_in "se reference"' -l hdr-key -r -F -d 'key of the header'
complete -c kbuild -n '__kbuild_in "se reference"' -l seal-record -r -F -d 'record that sealing wrote'
complete -c kbuild -n '__kbuild_in "se reference"' -l seal-secret -r -F -d 'secret that the random values were derived from'
complete -c kbuild -n '__kbuild_in "se reference"' -l image -s i -r -F -d 'compare with this kernel'
complete -c kbuild -n '__kbuild_in "se reference"' -l ramdisk -s r -r -F -d 'compare with this initrd'
complete -c kbuild -n '__kbuild_in "se reference"' -l parmfile -s p -r -F -d 'compare with this command line'
complete -c kbuild -n '__kbuild_in "se reference"' -l kernel-tarball -r -F -d 'compare with the kernel in this tarball'
complete -c kbuild -n '__kbuild_in "se reference"' -l initrd-tarball -r -F -d 'compare with the initrd in this tarball'
complete -c kbuild -n '__kbuild_in "se test-key"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "hkd verify"' -l host-key-document -s k -r -F -d 'a document, the same as an operand'
complete -c kbuild -n '__kbuild_in "hkd verify"' -l cert -s C -r -F -d 'a signing key or an intermediate CA'
complete -c kbuild -n '__kbuild_in "hkd verify"' -l crl -r -F -d 'a revocation list'
complete -c kbuild -n '__kbuild_in "hkd verify"' -l root-ca -r -F -d 'the only root CA to trust, instead of this machine\'s store'
complete -c kbuild -n '__kbuild_in "hkd verify"' -l online -d 'fetch all revocation lists, not only those that are missing'
complete -c kbuild -n '__kbuild_in "hkd verify"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "hkd verify"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "doctor"' -l root -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'read a collected directory instead of this machine'
complete -c kbuild -n '__kbuild_in "doctor"' -l collect -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'copy what the checks read to this new directory'
complete -c kbuild -n '__kbuild_in "doctor"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "doctor"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "doctor"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "config"' -l class -r -f -d 'containerd: the runtime class, for example kata-qemu-se (kata)'
complete -c kbuild -n '__kbuild_in "config"' -l configuration -r -F -d 'containerd: the runtime\'s configuration (Kata\'s file for the class)'
complete -c kbuild -n '__kbuild_in "config"' -l prefix -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'where Kata is installed (/opt/kata)'
complete -c kbuild -n '__kbuild_in "config"' -l release -r -f -d 'the release of Kata that the file belongs to (known from its keys)'
complete -c kbuild -n '__kbuild_in "config"' -l set -r -f -d 'an additional edit'
complete -c kbuild -n '__kbuild_in "config"' -l dry-run -d 'print the difference, write nothing'
complete -c kbuild -n '__kbuild_in "config"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "measure"' -l ovmf -r -F -d 'the firmware'
complete -c kbuild -n '__kbuild_in "measure"' -l kernel -r -F -d 'the kernel, if it is measured'
complete -c kbuild -n '__kbuild_in "measure"' -l initrd -r -F -d 'the initrd'
complete -c kbuild -n '__kbuild_in "measure"' -l append -r -f -d 'the kernel command line'
complete -c kbuild -n '__kbuild_in "measure"' -l vcpus -r -f -d 'number of vCPUs, or a range'
complete -c kbuild -n '__kbuild_in "measure"' -l vcpu-type -r -f -d 'QEMU\'s name of the CPU: EPYC-v4'
complete -c kbuild -n '__kbuild_in "measure"' -l vcpu-sig -r -f -d 'signature of the CPU (CPUID 1, EAX) instead of its name'
complete -c kbuild -n '__kbuild_in "measure"' -l guest-features -r -f -d 'SEV features of an SNP guest (0x1)'
complete -c kbuild -n '__kbuild_in "measure"' -l vmm-type -r -f -a 'qemu ec2 gce' -d 'what starts the guest (qemu)'
complete -c kbuild -n '__kbuild_in "measure"' -l qemu-version -r -f -d 'version of QEMU, for a trust domain with a kernel'
complete -c kbuild -n '__kbuild_in "measure"' -l memory -r -f -d 'memory of a trust domain with a kernel'
complete -c kbuild -n '__kbuild_in "measure"' -l edk2 -r -f -d 'the release of edk2 that the firmware was built from, if it does not show it: edk2-stable202411'
complete -c kbuild -n '__kbuild_in "measure"' -l two-pass -d 'the host adds all pages of a section before it measures them, as before Linux 6.16'
complete -c kbuild -n '__kbuild_in "measure"' -l legacy-vm-type -d 'SEV-ES on a host with Linux before 6.10, QEMU before 9.1, or legacy-vm-type=on'
complete -c kbuild -n '__kbuild_in "measure"' -l build -d 'build the target if the cache does not have it'
complete -c kbuild -n '__kbuild_in "measure"' -l policy -r -f -d 'guest policy of the ID block'
complete -c kbuild -n '__kbuild_in "measure"' -l family-id -r -f -d 'of the ID block, 32 digits'
complete -c kbuild -n '__kbuild_in "measure"' -l image-id -r -f -d 'of the ID block, 32 digits'
complete -c kbuild -n '__kbuild_in "measure"' -l guest-svn -r -f -d 'of the ID block'
complete -c kbuild -n '__kbuild_in "measure"' -l id-key -r -F -d 'signs the ID block (P-384, PEM)'
complete -c kbuild -n '__kbuild_in "measure"' -l author-key -r -F -d 'signs the ID key'
complete -c kbuild -n '__kbuild_in "measure"' -l output -s o -r -F -d 'write reference values to this file or directory'
complete -c kbuild -n '__kbuild_in "measure"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "measure"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "measure"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "measure"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "measure"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "measure"' -l remote -r -f -a 'auto off require' -d 'the shared cache that ARTEFACT_REGISTRY and BUILDER_REGISTRY name: use it while it works (auto), do not use it, or fail if it cannot be used'
complete -c kbuild -n '__kbuild_in "measure"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "measure"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "measure"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "measure"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "measure"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "measure"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "measure"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "measure"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "payload push"' -l base -r -f -d 'the base image'
complete -c kbuild -n '__kbuild_in "payload push"' -l layout -r -f -a 'unpacked components' -d 'unpacked files, or the tarballs as they are (unpacked)'
complete -c kbuild -n '__kbuild_in "payload push"' -l compression -r -f -a 'gzip zstd' -d 'of the layers (gzip)'
complete -c kbuild -n '__kbuild_in "payload push"' -l output -s o -r -f -d 'write the image there instead of to a registry'
complete -c kbuild -n '__kbuild_in "payload push"' -l commit -r -f -d 'the commit in upstream\'s tag (HEAD of versions.yaml\'s repository)'
complete -c kbuild -n '__kbuild_in "payload push"' -l shim-components -r -F -d 'shim-components.json beside the tarballs'
complete -c kbuild -n '__kbuild_in "payload push"' -l plain-http -d 'use http even for a registry that is not on this machine'
complete -c kbuild -n '__kbuild_in "payload push"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "payload push"' -l jobs -s j -r -f -d 'at most N jobs at once, including those of make inside of steps (number of processors)'
complete -c kbuild -n '__kbuild_in "payload push"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "payload push"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "payload push"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "payload push"' -l quiet -s q -d 'print less'
complete -c kbuild -n '__kbuild_in "payload index"' -l plain-http -d 'use http even for a registry that is not on this machine'
complete -c kbuild -n '__kbuild_in "payload index"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "provenance"' -l spdx -d 'only the SPDX list'
complete -c kbuild -n '__kbuild_in "provenance"' -l output -s o -r -F -d 'write one document to this file; - is standard output'
complete -c kbuild -n '__kbuild_in "provenance"' -l arch -r -f -a 'x86_64 s390x aarch64 ppc64le' -d 'architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine\'s, or the only one that a target supports)'
complete -c kbuild -n '__kbuild_in "provenance"' -l sources -r -f -a 'upstream debian' -d 'where sources come from; debian: packages of this distribution (upstream, or KBUILD_SOURCES)'
complete -c kbuild -n '__kbuild_in "provenance"' -l source -r -f -d 'where the source of this name comes from, instead of what --sources says: a folder of yours, upstream, or the distribution (KBUILD_SOURCE)'
complete -c kbuild -n '__kbuild_in "provenance"' -l offline -d 'use no network'
complete -c kbuild -n '__kbuild_in "provenance"' -l continue -d 'resume from the files that --until left, with your changes; the result has its own key and is not shared'
complete -c kbuild -n '__kbuild_in "provenance"' -l prebuilt -r -f -a '(__kbuild_targets)' -d 'take these artifacts from a registry instead of building them (KBUILD_PREBUILT)'
complete -c kbuild -n '__kbuild_in "provenance"' -l locked -d 'use only what versions.lock names'
complete -c kbuild -n '__kbuild_in "provenance"' -l builder -r -f -a 'image host' -d 'run steps in a builder image, or with the tools of this machine (image)'
complete -c kbuild -n '__kbuild_in "provenance"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "provenance"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "provenance"' -l recipes -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the recipes'
complete -c kbuild -n '__kbuild_in "cache info"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "cache info"' -l json -d 'JSON on standard output, one object per line'
complete -c kbuild -n '__kbuild_in "cache verify"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "cache gc"' -l max-size -r -f -d 'remove the least recently used entries beyond it (K, M, G, T)'
complete -c kbuild -n '__kbuild_in "cache gc"' -l cache -r -f -a '(__fish_complete_directories (commandline -ct))' -d 'the cache (KBUILD_CACHE)'
complete -c kbuild -n '__kbuild_in "versions get"' -l versions -r -F -d 'versions.yaml'
complete -c kbuild -n '__kbuild_in "help"' -l manual -d 'print kbuild(1), as man reads it'
complete -c kbuild -n '__kbuild_in "help"' -l completion -r -f -a 'bash zsh fish' -d 'print the completion of this shell'

# SPDX-License-Identifier: Apache-2.0
# bash completion for kbuild: source it, or install it as
# /usr/share/bash-completion/completions/kbuild. Made by `make docs` from cmd/kbuild/verbs.c.

_kbuild_verbs='build list plan run spread why explain new fetch update lock log shell boot install verify merge pack unpack se hkd doctor config measure payload provenance report cache versions help version'

_kbuild_below() { # a verb: the verbs below it
  case $1 in
    se) echo 'seal open info verify reference test-key' ;;
    hkd) echo 'verify' ;;
    payload) echo 'push index' ;;
    cache) echo 'info verify gc' ;;
    versions) echo 'get' ;;
  esac
}

_kbuild_options() { # a verb
  case $1 in
    'build') echo ' --trace= --until= --output= --arch= --jobs= --sources= --source= --offline --remote= --continue --prebuilt= --locked --keep-going --builder= --cache= --versions= --recipes= --json --quiet' ;;
    'list') echo ' --arch= --sources= --source= --versions= --recipes= --json' ;;
    'plan') echo ' --remote --grain= --format= --push --output= --arch= --sources= --source= --offline --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --json' ;;
    'run') echo ' --plan= --grain= --output= --jobs= --sources= --source= --offline --prebuilt= --locked --builder= --cache= --versions= --recipes= --json --quiet' ;;
    'spread') echo ' --with= --grain= --output= --arch= --jobs= --sources= --source= --prebuilt= --locked --keep-going --builder= --cache= --versions= --recipes= --json --quiet' ;;
    'why') echo ' --output= --arch= --sources= --source= --offline --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --json' ;;
    'explain') echo ' --output= --arch= --sources= --source= --offline --continue --prebuilt= --locked --builder= --cache= --versions= --recipes=' ;;
    'new') echo ' --like= --recipes= --quiet' ;;
    'fetch') echo ' --trace= --output= --arch= --jobs= --sources= --source= --offline --remote= --prebuilt= --locked --keep-going --builder= --cache= --versions= --recipes= --json --quiet' ;;
    'update') echo ' --arch= --sources= --source= --prebuilt= --builder= --cache= --versions= --recipes=' ;;
    'lock') echo ' --arch= --sources= --source= --offline --prebuilt= --builder= --cache= --versions= --recipes=' ;;
    'log') echo ' --remote --plan= --output= --arch=' ;;
    'shell') echo ' --output= --arch= --jobs= --sources= --source= --offline --remote= --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --quiet' ;;
    'boot') echo ' --host-key= --image= --qemu= --plain --root= --timeout= --verbose --output= --arch= --jobs= --sources= --source= --offline --remote= --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --quiet' ;;
    'install') echo ' --prefix= --root= --dry-run --output= --arch= --jobs= --sources= --source= --offline --remote= --continue --prebuilt= --locked --builder= --cache= --versions= --recipes= --quiet' ;;
    'verify') echo ' --against= --all --scratch= --keep-processors --keep-clock --no-diffoscope --output= --arch= --jobs= --sources= --source= --offline --remote= --prebuilt= --locked --builder= --cache= --versions= --recipes= --quiet' ;;
    'merge') echo ' --output= --format= --target= --components= --rehash --arch= --jobs= --sources= --source= --cache= --versions= --recipes= --quiet' ;;
    'pack') echo ' --format= --jobs= --quiet' ;;
    'unpack') echo ' --quiet' ;;
    'se seal') echo '' ;;
    'se open') echo ' --host-key= --output=' ;;
    'se info') echo ' --format= --hdr-key= --key= --show-secrets --print-schema= --host-key-document= --host-key-documents= --json' ;;
    'se verify') echo ' --host-key= --hdr-key= --seal-record= --seal-secret= --image= --ramdisk= --parmfile= --kernel-tarball= --initrd-tarball=' ;;
    'se reference') echo ' --output= --header= --host-key= --hdr-key= --seal-record= --seal-secret= --image= --ramdisk= --parmfile= --kernel-tarball= --initrd-tarball=' ;;
    'se test-key') echo ' --quiet' ;;
    'hkd verify') echo ' --host-key-document= --cert= --crl= --root-ca= --online --offline --json' ;;
    'doctor') echo ' --root= --collect= --cache= --json --quiet' ;;
    'config') echo ' --class= --configuration= --prefix= --release= --set= --dry-run --quiet' ;;
    'measure') echo ' --ovmf= --kernel= --initrd= --append= --vcpus= --vcpu-type= --vcpu-sig= --guest-features= --vmm-type= --qemu-version= --memory= --edk2= --two-pass --legacy-vm-type --build --policy= --family-id= --image-id= --guest-svn= --id-key= --author-key= --output= --arch= --jobs= --sources= --source= --offline --remote= --prebuilt= --locked --builder= --cache= --versions= --recipes= --json --quiet' ;;
    'payload push') echo ' --base= --layout= --compression= --output= --commit= --shim-components= --plain-http --arch= --jobs= --cache= --versions= --recipes= --quiet' ;;
    'payload index') echo ' --plain-http --cache=' ;;
    'provenance') echo ' --spdx --output= --arch= --sources= --source= --offline --continue --prebuilt= --locked --builder= --cache= --versions= --recipes=' ;;
    'report') echo ' --output= --arch= --cache= --quiet' ;;
    'cache info') echo ' --cache= --json' ;;
    'cache verify') echo ' --cache=' ;;
    'cache gc') echo ' --max-size= --cache=' ;;
    'versions get') echo ' --versions=' ;;
    'help') echo ' --manual --completion=' ;;
    'version') echo '' ;;
  esac
}

_kbuild_operands() { # a verb: what can follow it
  case $1 in
    'build') echo '@targets' ;;
    'list') echo '' ;;
    'plan') echo '@targets' ;;
    'run') echo '@files' ;;
    'spread') echo '@targets' ;;
    'why') echo '@targets' ;;
    'explain') echo '@targets' ;;
    'new') echo '@files' ;;
    'fetch') echo '@targets' ;;
    'update') echo '@targets' ;;
    'lock') echo '@targets' ;;
    'log') echo '@targets' ;;
    'shell') echo '@targets' ;;
    'boot') echo '@targets' ;;
    'install') echo '@targets' ;;
    'verify') echo '@targets' ;;
    'merge') echo '@files' ;;
    'pack') echo '@files' ;;
    'unpack') echo '@files' ;;
    'se seal') echo '@files' ;;
    'se open') echo '@files' ;;
    'se info') echo '@files' ;;
    'se verify') echo '@files' ;;
    'se reference') echo '@files' ;;
    'se test-key') echo '@files' ;;
    'hkd verify') echo '@files' ;;
    'doctor') echo ' build se snp ' ;;
    'config') echo 'se snp containerd' ;;
    'measure') echo 'snp sev-es sev tdx' ;;
    'payload push') echo '@files' ;;
    'payload index') echo '@files' ;;
    'provenance') echo '@targets' ;;
    'report') echo '@files' ;;
    'cache info') echo '' ;;
    'cache verify') echo '' ;;
    'cache gc') echo '' ;;
    'versions get') echo '@files' ;;
    'help') echo '@verbs' ;;
    'version') echo '' ;;
  esac
}

_kbuild_values() { # a verb, its option: what the value can be
  case "$1 $2" in
    'plan --remote') ;;
    'plan --grain') echo 'node artifact' ;;
    'plan --format') echo 'json slurm github gitlab make' ;;
    'run --grain') echo 'node artifact' ;;
    'spread --with') echo 'slurm' ;;
    'spread --grain') echo 'node artifact' ;;
    'new --like') echo '@targets' ;;
    'log --remote') ;;
    'merge --output') ;;
    'merge --format') echo 'tar.xz tar.zst' ;;
    'merge --target') echo '@targets' ;;
    'pack --format') echo 'tar.xz tar.zst' ;;
    'se open --output') ;;
    'se reference --output') ;;
    'measure --vmm-type') echo 'qemu ec2 gce' ;;
    'measure --output') ;;
    'payload push --layout') echo 'unpacked components' ;;
    'payload push --compression') echo 'gzip zstd' ;;
    'payload push --output') ;;
    'provenance --output') ;;
    'report --output') ;;
    'help --completion') echo 'bash' ;;
    *' --arch') echo 'x86_64 s390x aarch64 ppc64le' ;;
    *' --sources') echo 'upstream debian' ;;
    *' --remote') echo 'auto off require' ;;
    *' --builder') echo 'image host' ;;
  esac
}

# The options of sealing, from the help of the program itself.
_kbuild_seal() { # word, command...
  local options
  options=$("${@:2}" --help-all 2>/dev/null | sed -nE 's/^ +(-., )?--([^ =]+)(=?).*/--\2\3/p')
  options+=" ${options//--(en|dis)able-/--disable-}"
  options=${options//--(en|dis)able-/--enable-}
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$1" | sort -u)
  [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null
}

_kbuild_words() { # word, what: words, @files, @targets
  local words=$2
  case $words in
    *@files*) mapfile -t COMPREPLY < <(compgen -f -- "$1"); return ;;
    @verbs) words=$_kbuild_verbs ;;
    *@targets*) words+=" $("${COMP_WORDS[0]}" list 2>/dev/null | cut -d ' ' -f 1)" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "${words//@targets/}" -- "$1")
}

_kbuild() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb='' w i values
  for ((i = 1; i < COMP_CWORD; i++)); do
    w=${COMP_WORDS[i]}
    if [ -z "$verb" ] && [[ " $_kbuild_verbs " == *" $w "* ]]; then
      verb=$w
    elif [ -n "$(_kbuild_below "$verb")" ] && [[ " $(_kbuild_below "$verb") " == *" $w "* ]]; then
      verb+=" $w"
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
  values=$(_kbuild_values "$verb" "$before")
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
  elif [[ $before == -* ]] && [[ " $(_kbuild_options "$verb") " == *" $before= "* ]]; then
    _kbuild_words "$word" @files
  else
    _kbuild_words "$word" "$(_kbuild_operands "$verb")"
  fi
}
complete -F _kbuild kbuild ./kbuild

_kbuild_genprotimg() {
  local word=${COMP_WORDS[COMP_CWORD]}
  case $word in
    -*) _kbuild_seal "$word" "${COMP_WORDS[0]}" ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
  esac
}
complete -F _kbuild_genprotimg genprotimg

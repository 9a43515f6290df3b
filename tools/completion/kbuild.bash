# SPDX-License-Identifier: Apache-2.0
# bash completion for kbuild: source it, or install it as
# /usr/share/bash-completion/completions/kbuild.

# The options of sealing, from the help of the program itself.
_kbuild_seal() { # word, command...
  local options
  options=$("${@:2}" --help-all 2>/dev/null | sed -nE 's/^ +(-., )?--([^ =]+)(=?).*/--\2\3/p')
  options+=" ${options//--(en|dis)able-/--disable-}"
  options=${options//--(en|dis)able-/--enable-}
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$1" | sort -u)
  [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null
}

_kbuild() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]}
  local verbs="build list plan explain fetch log shell boot install verify merge pack unpack se hkd doctor config measure payload provenance cache versions"
  local options="--output= --arch= --jobs= --sources= --offline --locked --until= --continue --keep-going --builder=host
    --cache= --versions= --recipes= --json --quiet --help --version"
  if [ "${COMP_WORDS[*]:1:2}" = "se seal" ] && [[ $word == -* ]]; then
    _kbuild_seal "$word" "$program" se seal
    return
  fi
  if [ "${COMP_WORDS[1]}" = measure ] && [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "--ovmf --kernel --initrd --append --vcpus --vcpu-type --vcpu-sig --guest-features
      --vmm-type --policy --family-id --image-id --guest-svn --id-key --author-key --output --json" -- "$word")
    return
  fi
  if [ "${COMP_WORDS[1]}" = boot ] && [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "--host-key --image --plain --qemu --root --timeout --verbose" -- "$word")
    return
  fi
  if [ "${COMP_WORDS[1]}" = merge ] && [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "--output --format= --target= --components= --rehash --arch=" -- "$word")
    return
  fi
  case $before in
    se) mapfile -t COMPREPLY < <(compgen -W "seal open info verify reference test-key" -- "$word"); return ;;
    doctor) mapfile -t COMPREPLY < <(compgen -W "build se snp --root --collect --json" -- "$word"); return ;;
    measure) mapfile -t COMPREPLY < <(compgen -W "snp sev-es sev tdx" -- "$word"); return ;;
    --ovmf | --kernel | --initrd | --id-key | --author-key) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    config) mapfile -t COMPREPLY < <(compgen -W "se snp" -- "$word"); return ;;
    payload) mapfile -t COMPREPLY < <(compgen -W "push index" -- "$word"); return ;;
    push) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    cache) mapfile -t COMPREPLY < <(compgen -W "info verify gc" -- "$word"); return ;;
    versions) mapfile -t COMPREPLY < <(compgen -W "get" -- "$word"); return ;;
    merge | pack | unpack | --against | --scratch | -o | --host-key | --image) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
  esac
  case $word in
    --arch=*) mapfile -t COMPREPLY < <(compgen -W "x86_64 s390x aarch64 ppc64le" -- "${word#*=}") ;;
    --sources=*) mapfile -t COMPREPLY < <(compgen -W "upstream debian" -- "${word#*=}") ;;
    -*) compopt -o nospace 2>/dev/null; mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
    *)
      local targets
      targets=$("$program" list 2>/dev/null | cut -d ' ' -f 1)
      [ "$COMP_CWORD" -gt 1 ] && verbs=""
      mapfile -t COMPREPLY < <(compgen -W "$verbs $targets" -- "$word")
      ;;
  esac
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

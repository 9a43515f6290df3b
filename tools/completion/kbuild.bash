# SPDX-License-Identifier: Apache-2.0
# bash completion for kbuild: source it, or install it as
# /usr/share/bash-completion/completions/kbuild.

_kbuild() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]}
  local verbs="build list plan explain fetch log shell boot merge se cache versions"
  local options="--output= --arch= --jobs= --sources= --offline --locked --keep-going --builder=host
    --cache= --versions= --recipes= --json --quiet --help --version"
  case $before in
    se) mapfile -t COMPREPLY < <(compgen -W "seal open test-key" -- "$word"); return ;;
    cache) mapfile -t COMPREPLY < <(compgen -W "info verify gc" -- "$word"); return ;;
    versions) mapfile -t COMPREPLY < <(compgen -W "get" -- "$word"); return ;;
    merge | -o | --host-key | --image) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
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

#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The command line: verbs, options, help, the manual and the completion come from one table, and no
# option is ignored.

load project

bats_require_minimum_version 1.5.0

setup() {
  make_project
  make_recipe t
  cd "$PROJECT" || exit 1
}

wrong() { # what the output must hold, words...
  local text=$1
  shift
  run kb "$@"
  [ "$status" -eq 2 ] && [[ "$output" == *"error: "*"$text"* ]] || { echo "$*: status $status: $output"; return 1; }
}

verbs() {
  "$KBUILD" help | sed -n '/^  [a-z]/p' | sed -nE 's/^  ([a-z-]+( [a-z-]+)?) .*/\1/p'
}

@test "help is of everything, of a verb, and of verbs below one" {
  [ "$(verbs | wc -l)" -gt 30 ]
  while read -r verb; do
    # shellcheck disable=SC2086 # two words
    for words in "help $verb" "$verb --help"; do
      run -0 kb $words
      [[ "$output" == "usage: kbuild $verb"* ]] || { echo "$words: $output"; return 1; }
    done
  done < <(verbs)
  run -0 kb help cache
  [[ "$output" == *"cache gc"* ]]
  run -0 kb cache --help
  [[ "$output" == *"cache gc"* ]]
  run -0 kb t --help
  [[ "$output" == *--until=PHASE* ]]
  run -0 kb --help
  [[ "$output" == "usage: kbuild [OPTION...] TARGET..."* ]]
  for words in version --version; do
    run -0 kb "$words"
    [ "$output" = "kbuild $(cat "$REPOSITORY/VERSION")" ]
  done
  wrong "no verb 'mrege'" help mrege
  [[ "$output" == *"did you mean \`kbuild help merge\`"* ]]
  wrong "no verb 'cache gcc'" help cache gcc
}

@test "help names each option that a verb takes, and each is taken" {
  while read -r verb; do
    [ "$verb" != "se seal" ] || continue
    # shellcheck disable=SC2086
    options=$("$KBUILD" help $verb | sed -nE 's/^  (-.[^-]*, )?(--[a-z0-9-]+)(=?).*/\2\3/p')
    for o in $options --no-such-option; do
      # A value is missing at the end of the line, and a flag has none.
      # shellcheck disable=SC2086
      case $o in
        --no-such-option) run -2 kb $verb $o; [[ "$output" == *"unknown option $o"* ]] ;;
        *=) run -2 kb $verb "${o%=}"; [[ "$output" == *"${o%=} needs a value"* ]] ;;
        *) run -2 kb $verb "$o=x"; [[ "$output" == *"$o takes no value"* ]] ;;
      esac
    done
  done < <(verbs)
}

@test "a common option that a verb has no use for is an error, wherever it stands" {
  common=$("$KBUILD" help | sed -n '/^Common options/,$p' | sed -nE 's/^ +(-.[^-]*, )?(--[a-z-]+)(=?)(([a-z]+)?).*/\2\3\5/p' |
    grep -vE -- '--(help|version)$')
  [ "$(wc -l <<<"$common")" -eq 18 ]
  refusals=0
  while read -r verb; do
    [ "$verb" != "se seal" ] || continue
    # shellcheck disable=SC2086
    taken=$("$KBUILD" help $verb)
    for o in $common; do
      name=${o%%=*} value=
      [[ "$taken" != *"$name"* ]] || continue
      [[ $o != *= ]] || value=1
      # shellcheck disable=SC2086
      run -2 kb $verb "$o$value"
      [[ "$output" == *"$verb does not accept $name"* ]] || { echo "$verb $o: $output"; return 1; }
      refusals=$((refusals + 1))
      [ "$verb" = versions\ get ] || continue
      case $name in
        --cache | --builder) ;; # given already
        --source) kb --source=linux=upstream versions get externals ;;
        --sources | --recipes) kb "$o${value/1/debian}" versions get externals ;; # what the project is
        *) run -2 kb "$o$value" versions get externals
          [[ "$output" == *"does not accept $name"* ]] ;;
      esac
    done
  done < <(verbs)
  [ "$refusals" -gt 100 ]
}

@test "options that count in one way of a verb only are refused in the others" {
  wrong "merge does not accept --arch without --target" merge build --arch=s390x
  wrong "measure does not accept --offline without a target" measure snp --ovmf x --offline
  wrong "--until works for one target" t t --until=x
  wrong "give only one of --online and --offline" hkd verify --online --offline x
  wrong "--plain-http is not used: no registry" payload push build --base=scratch --output=oci:x --plain-http
  wrong "--all is not used for comparing with a file" verify t --against=x --all
  wrong "--scratch is not used for comparing with a file" verify t --against=x --scratch=x
  wrong "--key and --hdr-key" se info x --key a --hdr-key b
  wrong "nknown option --json" se seal --json
  wrong "se seal does not accept --offline" --offline se seal
}

@test "a wrong command line has status 2 and says what was meant" {
  wrong "unknown verb or target 'pln'" pln t
  [[ "$output" == *"did you mean plan?"* ]]
  for name in t-tarball kata-static-t.tar.xz build/kata-static-t.tar.zst ./build/kata-static-t.tar.xz; do
    wrong "unknown verb or target '$name'" "$name"
    [[ "$output" == *"did you mean t?"* ]]
    wrong "unknown target '$name'" plan "$name"
    [[ "$output" == *"did you mean t?"* ]]
  done
  for verb in build plan explain fetch shell boot install verify provenance; do
    wrong "unknown target 'nosuch'" "$verb" nosuch
    wrong "expected: TARGET" "$verb"
  done
  wrong "unknown target 'nosuch'" measure snp nosuch
  wrong "unknown target 'nosuch'" merge . --target=nosuch
  wrong "no log of 'nosuch'" log nosuch
  wrong "nothing to do"
  wrong "nothing to do" --recipes=x
  wrong "an argument is empty" ""
  wrong "unknown verb 'gcc'" cache gcc
  [[ "$output" == *"did you mean \`kbuild cache gc\`"* ]]
  wrong "one of these must follow: info, verify, gc" cache
  wrong "accepts no arguments" list t
  wrong "too many arguments" log t t
  wrong "too few arguments" pack x
  wrong "unknown option --unitl" build --unitl=x t
  [[ "$output" == *"did you mean --until?"* ]]
  wrong "unknown option --max-size" list --max-size=3
  [[ "$output" == *"an option of \`kbuild cache gc\`"* ]]
  wrong "--jobs is given twice" t -j1 --jobs=2
  wrong "--cache is given twice" --cache=a cache info --cache=b
  wrong "needs a value: PHASE" t --until
  wrong "the value of --recipes is empty" list --recipes=
  wrong "--offline takes no value" t --offline=yes
  wrong "--help takes no value" t --help=plan
  wrong "unknown target 'plan'" t plan
  [[ "$output" == *"write a verb before the targets: kbuild plan"* ]]
  wrong "build: the option --trace stands before the verb" --trace build t
  [[ "$output" == *"kbuild build --trace"* && "$output" != *"did you mean"* ]]
  wrong "unknown verb or target 'build'" --trace x build t
  [[ "$output" == *"write a verb before the targets: kbuild build"* ]]
  wrong "unknown verb or target 'virtiofsd'" virtiofsd # nothing is near it
  [[ "$output" != *"did you mean"* ]]
  wrong "--prefix must be an absolute path" install t --prefix=usr
  wrong "unknown option -kq" t -kq
  wrong "--remote is 'of'" t --remote=of
  wrong "unknown architecture 'vax'" plan t --arch=vax
  for n in 0 -1 +1 4097 1x ''; do
    wrong "" t --jobs="$n"
  done
  for n in 0 -5 1.5 86401 x; do
    wrong "--timeout must be a number of seconds" boot t --timeout="$n"
  done
  wrong "is not a size" cache gc --max-size=-1
}

@test "words after -- are operands, and options may stand anywhere" {
  run -0 kb plan -- t
  run -2 kb plan -- --json
  [[ "$output" == *"unknown target '--json'"* ]]
  kb --json plan t | jq -e .node
  kb plan t --json | jq -e .node
  kb cache --json info | jq -e .blobs
}

@test "list takes --arch" {
  make_recipe only "" ""
  sed -i 's/^architectures.*/architectures: [s390x]/' recipes/only/recipe.yaml
  [ "$(kb list --arch=s390x | cut -d ' ' -f 1 | xargs)" = "only t" ]
  [ "$(kb list --arch=x86_64 | cut -d ' ' -f 1 | xargs)" = "t" ]
  [ "$(kb --json list --arch=x86_64 | jq -r .target)" = "t" ]
  # What is in versions.yaml matters to it only where a source may be lacking.
  run -2 kb list --versions versions.yaml
  [[ "$output" == *"list does not accept --versions without --sources=debian or --source"* ]]
  kb list --sources=debian --versions versions.yaml
}

@test "a variable that is yes or no can be nothing else" {
  kb t 2>/dev/null
  while read -r name yes no words; do
    for value in maybe YES true1 1 ' '; do
      # shellcheck disable=SC2086
      run -1 env "$name=$value" "$KBUILD" --builder=host --cache cache $words
      [[ "$output" == *"$name is '$value'"*"it can be $yes or $no"* ]] || { echo "$name=$value $words: $output"; return 1; }
    done
    # shellcheck disable=SC2086
    for value in "$yes" "$no" ''; do
      run env "$name=$value" "$KBUILD" --builder=host --cache cache $words
      [[ "$output" != *"$name is"* ]]
    done
  done <<'X'
USE_CACHE yes no plan t
CROSS_BUILD true false plan t
RELEASE yes no t
RELEASE yes no merge build
PUSH_TO_REGISTRY yes no t
X
}

@test "the manual and the completion that are committed are what the table gives" {
  "$KBUILD" help --manual | cmp - "$REPOSITORY/docs/man/kbuild.1"
  "$KBUILD" help --completion=bash | cmp - "$REPOSITORY/tools/completion/kbuild.bash"
  "$KBUILD" help --completion=zsh | cmp - "$REPOSITORY/tools/completion/_kbuild"
  "$KBUILD" help --completion=fish | cmp - "$REPOSITORY/tools/completion/kbuild.fish"
  wrong "one at a time" help --manual list
  wrong "--completion is 'tcsh'" help --completion=tcsh
}

complete_words() { # words...; the last one is being typed
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=() ASKED=''
  _kbuild
  echo "${COMPREPLY[*]}$ASKED"
}

@test "bash completes verbs, targets, options and values" {
  # shellcheck disable=SC1091
  source "$REPOSITORY/tools/completion/kbuild.bash"
  compopt() { [ "$2" = nospace ] || ASKED="<$2>"; } # <default>: names of files, by readline
  k=$KBUILD
  [ "$(complete_words "$k" mer)" = merge ]
  [ "$(complete_words "$k" cache v)" = verify ]
  [ "$(complete_words "$k" plan '')" = t ]
  [[ "$(complete_words "$k" '')" == *build*t* ]]
  [ "$(complete_words "$k" cache gc --m)" = --max-size= ]
  [ "$(complete_words "$k" boot --ti)" = --timeout= ]
  [ "$(complete_words "$k" t --sources = d)" = debian ]
  [ "$(complete_words "$k" t --arch = s)" = s390x ]
  [ "$(complete_words "$k" merge --target = '')" = t ]
  [ "$(complete_words "$k" payload push --layout '')" = "unpacked components" ]
  [ "$(complete_words "$k" se ver)" = verify ]
  [[ "$(complete_words "$k" se seal --x-)" == *--x-pcf* ]]
  mkdir -p build/logs other/logs
  touch build/logs/{t,source-linux}.log other/logs/x.log
  [ "$(complete_words "$k" log '')" = "source-linux t" ]
  [ "$(complete_words "$k" log -o other '')" = x ]
  [ "$(complete_words "$k" config '')" = "se snp containerd" ]
  [ "$(complete_words "$k" config se --class x ver)" = "<default>" ]
  [ "$(complete_words "$k" measure snp '')" = t ]
  [[ "$(complete_words "$k" plan --arch a)" == "aarch64 all" ]]
  [ "$(complete_words "$k" log --arch a)" = aarch64 ]
  [ "$(complete_words "$k" help merg)" = merge ]
  [ "$(complete_words "$k" help cache ver)" = verify ]
  [ "$(complete_words "$k" pack --format '')" = "tar.xz tar.zst" ]
  [ "$(complete_words "$k" merge '')" = "<dirnames>" ]
  [ "$(complete_words "$k" unpack file)" = "<default>" ]
  [ "$(complete_words "$k" sign file)" = "<default>" ]
  [ "$(complete_words "$k" payload image file.tar.xz file)" = "<default>" ]
}

@test "hints and messages name only verbs and options that there are" {
  # shellcheck disable=SC2013,SC2086
  while read -r verb; do
    "$KBUILD" help $verb | sed -nE "s/^  (-.[^-]*, )?(--[a-z0-9-]+).*/\2/p"
  done < <(verbs) | sort -u >known
  "$KBUILD" se seal --help-all | grep -oE -- '--[a-z][a-z0-9-]+' | sort -u >>known
  # Options of other programs, in messages about them.
  printf -- '--%s\n' help version help-all privileged security-opt cap-add unshallow init fetch export only-section >>known
  grep -hoE '(error_hint|log_note|log_warning|usage_error)\([^;]*;' -z "$REPOSITORY"/{cmd,lib}/*/*.c | tr '\0' '\n' |
    grep -oE -- '(^|[ "`(])--[a-z][a-z0-9-]+' | grep -oE -- '--.*' | sort -u >named
  [ "$(wc -l <named)" -gt 10 ]
  run grep -vxF -f known named
  [ -z "$output" ] || { echo "no such options: $output"; return 1; }
  verbs | cut -d ' ' -f 1 | sort -u >words
  { printf '%s\n' TARGET VERB '%s'; ls "$REPOSITORY/recipes"; } >>words
  grep -hoE '`kbuild [a-zA-Z%][^` ]*' "$REPOSITORY"/{cmd,lib}/*/*.c | sed 's/`kbuild //' | sort -u >called
  [ "$(wc -l <called)" -gt 5 ]
  run grep -vxF -f words called
  [ -z "$output" ] || { echo "no such verbs: $output"; return 1; }
}

@test "the pages name all verbs, targets and variables, and docs/README.md leads to each page" {
  cd "$REPOSITORY/docs"
  while read -r verb; do # "cache verify" is in a line with "kbuild cache"
    [[ "$verb" == build || "$verb" == version ]] && continue
    grep "kbuild ${verb% *}" commands.md | grep -qw -- "${verb#* }" || { echo "commands.md lacks $verb"; return 1; }
  done < <(verbs)
  # All that a user can ask for; parts that are built for others only need no line.
  for recipe in ../recipes/*/recipe.yaml; do
    grep -q '^release: no' "$recipe" && ! grep -q '^boot:' "$recipe" && continue
    name=$(basename "$(dirname "$recipe")")
    grep -qE "^\|( |.*, )\`$name\`" targets.md || { echo "targets.md lacks $name"; return 1; }
  done
  # Those of a terminal, and of the tests' genprotimg.
  printf '%s\n' TERM STY XTERM_VERSION KBUILD_TEST_RANDOM KBUILD_TEST_CUSTOMER >"$PROJECT/known"
  cat ../README.md ./*.md | grep -oE '[A-Z][A-Z0-9_]+' | sort -u >>"$PROJECT/known"
  grep -ohE '(getenv|environment[a-z_]*)\("[A-Z0-9_]+"' -r ../cmd ../lib | cut -d '"' -f 2 | sort -u >"$PROJECT/asked"
  [ "$(wc -l <"$PROJECT/asked")" -gt 20 ]
  run grep -vxF -f "$PROJECT/known" "$PROJECT/asked"
  [ -z "$output" ] || { echo "no page names: $output"; return 1; }
  for page in *.md; do
    [[ "$page" == README.md ]] || grep -qF "($page)" README.md || { echo "docs/README.md does not list $page"; return 1; }
  done
}

@test "links between pages lead somewhere, and so do their anchors" {
  cd "$REPOSITORY"
  tests/check-links README.md docs/*.md cache/README.md
  # What the check finds.
  cd "$PROJECT"
  cat >page.md <<'X'
# A `name`, and (more)!
[ok](page.md#a-name-and-more) [ok](#twice-1) ![no](none.svg) `[no link](nowhere.md)`
## Twice
## Twice
[no](#twice-2) [no](../gone.md#x) [elsewhere](https://localhost/x)

    [code](nowhere.md)

```
# no heading
[code](nowhere.md)
```
[no](page.md#no-heading)
X
  run "$REPOSITORY/tests/check-links" page.md
  echo "$output"
  [ "$status" -eq 1 ]
  [ "$(cut -d ' ' -f 1-2 <<<"$output")" = "page.md:2: none.svg:
page.md:5: #twice-2:
page.md:5: ../gone.md#x:
page.md:13: page.md#no-heading:" ]
}

# ---- what comes from outside ----

ESC=$'\e' CSI=$'\xc2\x9b' RLO=$'\xe2\x80\xae' LS=$'\xe2\x80\xa8' DEL=$'\x7f'
HOSTILE="$ESC[2J$ESC]0;x$CSI""31m$RLO$LS$DEL"$'\xff\r'

harmless() { # of $output: nothing that a terminal would obey, and nothing that is not UTF-8
  ! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]' <<<"$output" &&
    iconv -f UTF-8 -t UTF-8 <<<"$output" >/dev/null || { cat -v <<<"$output"; return 1; }
}

@test "names of the user and of recipes cannot steer the terminal" {
  for words in "build x" "help" "cache" "plan" "log" "se info" "versions get" "unpack" "merge" "payload index"; do
    # shellcheck disable=SC2086
    run kb $words "name$HOSTILE" --output="$HOSTILE"
    [ "$status" -ne 0 ]
    harmless
  done
  run kb "--opt$HOSTILE"
  harmless
  [[ "$output" == *'\x1b[2J'*'\u009b31m\u202e\u2028\x7f\xff\x0d'* ]]
  run kb "t
kbuild: hint: run this"
  [ "$(grep -c '^kbuild: hint: ' <<<"$output")" -eq 1 ]
  sed -i 's/^description.*/description: "a\\u009b\\u202Eb"/' recipes/t/recipe.yaml
  run kb list
  harmless
  [ "${#lines[@]}" -eq 1 ]
  [[ "$output" == *'a\u009b\u202eb' ]]
  run kb --json list
  harmless
  [ "$(jq -r .description <<<"$output")" = "a$CSI${RLO}b" ]
  printf 'a: "x\\e[2J\\u009by"\nexternals: {}\n' >versions.yaml
  run -0 kb versions get a
  harmless
}

@test "what a step says cannot steer the terminal" {
  make_recipe bad "" "printf '%s\\n' \"\$(printf '\\033[2J\\302\\233\\342\\200\\256\\377')\"; printf 'no newline'; exit 1"
  run kb bad
  [ "$status" -eq 3 ]
  harmless
  [[ "$output" == *'\x1b[2J\u009b\u202e\xff'* ]]
  grep -qx -- ---- <<<"$output" # behind a last line without a newline
  run kb --json bad
  harmless
  while read -r line; do
    [[ $line != {* ]] || jq -e .event <<<"$line"
  done <<<"$output"
  # Into a pipe the log is what it is; on a terminal it is harmless.
  kb log bad >log
  grep -q "$ESC" log
  output=$(script -qec "$KBUILD log bad" /dev/null </dev/null | tr -d '\r')
  [[ "$output" == *'\x1b[2J\u009b'* ]]
  harmless
  make_recipe good "" "printf 'a\\033[2J\\302\\233b' >/build/summary; mkdir -p /out/good/opt; echo x >/out/good/opt/x"
  run -0 kb good
  harmless
}

@test "what a git repository or a registry says cannot steer the terminal" {
  git_here init -q source
  (cd source && echo x >file && printf '[submodule "s"]\n\tpath = s\n\turl = "nosuch://%s"\n' "a$ESC[2J$CSI$RLO" >.gitmodules &&
    git_here add . && git_here update-index --add --cacheinfo "160000,$(printf '1%.0s' {1..40}),s" && git_here commit -qm x)
  make_recipe src "sources:
  s: {version: externals.s, git: \"$PROJECT/source\", ref: \"{version}\"}"
  printf 'externals: {s: {version: main}}\n' >versions.yaml
  run kb src
  [ "$status" -ne 0 ] || { echo "$output"; return 1; }
  harmless
  [[ "$output" == *'\x1b[2J'* ]]
  cat >server.py <<'X'
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"errors":[{"code":"DENIED\\u001b[2J","message":"\\u009b31m\\u202e"}]}'
        self.send_response(403, "no\x1b[2J")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_HEAD = do_POST = do_PUT = do_GET
    def log_message(self, *a): pass
s = http.server.HTTPServer(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()
X
  coproc timeout 60 python3 server.py
  read -r port <&"${COPROC[0]}"
  ARTEFACT_REGISTRY=127.0.0.1:$port ARTEFACT_REPOSITORY=x PUSH_TO_REGISTRY=yes run kb --remote=require t
  [ "$status" -ne 0 ]
  harmless
  run kb payload index "127.0.0.1:$port/x:tag" one
  [ "$status" -ne 0 ]
  harmless
  kill "$COPROC_PID"
}

@test "an empty log is said to be empty" {
  make_recipe silent
  kb silent
  run -0 --separate-stderr kb log silent
  [ -z "$output" ]
  [[ "$stderr" == *"it is empty: nothing was printed"* ]]
}

# ---- the live view ----

@test "on a terminal what was made stays counted after its only user was made" {
  make_recipe low "release: no"
  make_recipe middle "release: no
needs: [low]"
  make_recipe high "needs: [middle]"
  script -qec "$KBUILD --builder=host --cache cache high" /dev/null </dev/null >live
  cat -v live
  grep -q "1 running, 0 cached, 2 made, 0 to go" live
}

@test "on a terminal a long name is whole, and a narrow one shows the time" {
  long=a-component-with-a-name-that-is-longer-than-most
  make_recipe $long "" "sleep 2; mkdir -p /out/$long; echo >/out/$long/x"
  for columns in 100 40; do
    rm -rf cache
    script -qec "stty cols $columns rows 20; $KBUILD --builder=host --cache cache $long" /dev/null </dev/null >live
    cat -v live
    if [ $columns = 100 ]; then
      grep -qE "  $long +[0-9.]+ s" live
    else
      grep -qE "  ${long:0:15}[a-z-]* +[0-9.]+ s" live
      ! grep -q "  $long" live || false
    fi
  done
}

# ---- the end of a run ----

@test "a run ends with what was made, pulled and cached, and how long it took" {
  make_recipe low
  make_recipe high "needs: [low]"
  run -0 kb high
  [[ "$output" == *"kbuild: made: "*"low "*" s"* ]]
  grep -qE '^kbuild: 2 made, in [0-9.]+ s$' <<<"$output"
  run -0 kb high
  [[ "$output" == *"kbuild: cached: low, high"* ]]
  grep -qE '^kbuild: 0 made, 2 cached, in ' <<<"$output"
  run -0 kb -q high
  [ -z "$output" ]
  make_recipe bad "" "exit 1"
  make_recipe above "needs: [bad]"
  run -3 kb -k above high t
  grep -qE '^kbuild: failed: bad ' <<<"$output"
  grep -qE '^kbuild: skipped: above$' <<<"$output"
  grep -qE '^kbuild: 1 made, 2 cached, 1 failed, 1 skipped, in ' <<<"$output"
  USE_CACHE=no kb --json high 2>/dev/null | tail -1 >summary
  jq -e '.event == "summary" and ([.made[].label] | sort) == ["high", "low"] and (.made[0].ms | type) == "number"
    and .pulled == [] and .failed == [] and .results[1].path == "build/kata-static-high.tar.xz"' summary
}

# No file of kbuild's has text in it that was for a stream.
files_are_clean() {
  [ ! -s cache/lock ]
  [ -z "$(find cache/locks cache/tmp cache/actions cache/verified -type f -exec grep -lE 'kbuild:|"event"' {} +)" ]
}

@test "a standard stream that is closed is not a file of kbuild's, and output that is lost is an error" {
  make_recipe one "" 'mkdir -p /out/one/opt; echo said | tee /out/one/opt/one'
  kb list >/dev/null
  status=0
  kb --json one >&- || status=$?
  [ "$status" -eq 1 ]
  files_are_clean
  run kb --json one
  [ "$(jq -rs 'last.outcome' <<<"$output")" = done ]
  for way in "plan one" list "why one" "cache info" "log one" settings help version "verify one" "provenance -o - one"; do
    echo "$way"
    # shellcheck disable=SC2086 # words
    (kb $way >/dev/null) # what is right with a stream
    status=0
    # shellcheck disable=SC2086
    kb $way >&- 2>err || status=$?
    [ "$status" -eq 1 ]
    grep -qE "writing to standard output failed|standard output: Bad file descriptor" err
    files_are_clean
  done
  # Messages that nobody wants are lost, and the run is what it was; a build's lines are such.
  kb one 2>&-
  kb one >&- 2>&- <&-
  files_are_clean
  status=0
  kb nosuch >&- 2>&- <&- || status=$?
  [ "$status" -eq 2 ]
  # What is read from a closed stream is an error, and not the end of an empty file.
  status=0
  kb check - --unsigned <&- || status=$?
  [ "$status" -ne 0 ]
  status=0
  kb check /dev/stdin --unsigned <&- 2>err || status=$?
  [ "$status" -eq 1 ]
  # A step has streams as always.
  make_recipe two "" 'mkdir -p /out/two/opt; readlink /proc/self/fd/0 >/out/two/opt/two; cat; echo said; echo wrong >&2'
  kb two <&- >&- 2>&-
  [ "$(content_of build/kata-static-two.tar.xz opt/two)" = /dev/null ]
  grep -q said build/logs/two.log
  grep -q wrong build/logs/two.log
  # The other names of the program.
  ln -s "$KBUILD" genprotimg
  ln -s "$KBUILD" pvimg
  status=0
  ./genprotimg --help >&- 2>&- || status=$?
  [ "$status" -eq 1 ]
  status=0
  ./pvimg --version >&- || status=$?
  [ "$status" -eq 1 ]
}

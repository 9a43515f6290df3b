// SPDX-License-Identifier: Apache-2.0
// Prints completions for bash, zsh and fish from the table of verbs. Each script has the table in
// its own language; targets and logs are looked up when the user asks.
#include "kbuild.h"

#include <string.h>

// ---- what can be in a place: words, or a kind of thing ----
// A kind is @targets, @logs, @verbs, @files, @folders or @nothing; else the text is words.

static bool is_any_of(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(word, words[i]))
            return true;
    return false;
}

// Words between bars, to words between blanks; to be freed.
static char *words_of(const char *alternatives)
{
    char *words = xstrdup(alternatives);
    for (char *p = words; (p = strpbrk(p, "[]|"));)
        *p = ' ';
    size_t start = strspn(words, " "), n = strlen(words);
    while (n > start && words[n - 1] == ' ')
        n--;
    cleanup_free char *all = words;
    return xstrndup(all + start, n - start);
}

static char *architectures(bool several)
{
    return xstrdup(several ? "x86_64 s390x aarch64 ppc64le all" : "x86_64 s390x aarch64 ppc64le");
}

// The kind of a placeholder in help: "FILE", "DIR", "gzip|zstd".
static char *kind_of(const char *placeholder)
{
    static const char *const files[] = {
        "FILE",     "IMAGE",    "IMAGE|-",  "HKD",           "HKD...", "KEY",
        "INITRD",   "PARMFILE", "FILE|DIR", "VERSIONS_YAML", "KERNEL", "FILE|oci:REFERENCE",
        "host|PATH"};
    static const char *const targets[] = {"TARGET", "TARGET...", "TARGET[=REFERENCE],..."};
    if (is_any_of(placeholder, files, ARRAY_LEN(files)))
        return xstrdup("@files");
    if (is_any_of(placeholder, targets, ARRAY_LEN(targets)))
        return xstrdup("@targets");
    if (!strcmp(placeholder, "DIR"))
        return xstrdup("@folders");
    if (strpbrk(placeholder, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        return xstrdup("@nothing");
    return words_of(placeholder);
}

// What the value of an option can be; to be freed. NULL: it has none.
static char *value_kind(const struct verb *v, const struct option *o)
{
    if (!o->value)
        return NULL;
    if (!strcmp(o->value, "ARCH"))
        return architectures(v->flags & SEVERAL_ARCHITECTURES);
    return kind_of(o->value);
}

// The kinds of a verb's operands, one a place; the last one repeats if the operand does.
struct operands {
    struct strlist kinds;
    bool repeated;
};

static void operands_free(struct operands *o)
{
    strlist_free(&o->kinds);
}
#define cleanup_operands __attribute__((cleanup(operands_free)))

static void operands_read(const struct verb *v, struct operands *out)
{
    static const struct {
        const char *verb, *kind;
    } special[] = {{"log", "@logs"}, {"help", "@verbs"}, {"versions get", "@nothing"}};
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, v->flags & OWN_PARSER ? "FILE..." : v->operands, " ");
    for (size_t i = 0; i < words.n; i++) {
        char *word = words.items[i];
        out->repeated = strstr(word, "...") != NULL;
        // "[TAG]" and "[build|se|snp]": what is optional is offered, too.
        cleanup_free char *bare = *word == '[' ? words_of(word) : xstrdup(word);
        cleanup_free char *kind = *word == '[' && strchr(word, '|') ? steal(bare) : kind_of(bare);
        for (size_t k = 0; k < ARRAY_LEN(special); k++)
            if (!strcmp(special[k].verb, v->name)) {
                free(kind);
                kind = xstrdup(special[k].kind);
            }
        strlist_add(&out->kinds, kind);
    }
    if (v->flags & OWN_PARSER)
        out->repeated = true;
}

// "se info, se verify" -> se: each first word once.
static void first_words(struct strlist *out)
{
    for (size_t i = 0; i < verb_count; i++) {
        cleanup_free char *first = xstrndup(verbs[i].name, strcspn(verbs[i].name, " "));
        if (!strlist_has(out, first))
            strlist_add(out, first);
    }
}

// Calls `each` for each option of each verb.
struct option_walk {
    const struct verb *verb;
    struct buf *out;
};

static void walk_options(void (*each)(const struct option *o, void *walk), struct buf *out)
{
    for (size_t i = 0; i < verb_count; i++) {
        struct option_walk w = {&verbs[i], out};
        verb_each_option(&verbs[i], each, &w);
    }
}

// Writes the text with a backslash before each of `special`.
static void put_escaped(struct buf *out, const char *text, const char *special)
{
    for (const char *p = text; *p; p++) {
        if (strchr(special, *p))
            buf_puts(out, "\\");
        buf_add(out, p, 1);
    }
}

static void put_group_help(struct buf *out, const char *group, const char *special)
{
    cleanup_free char *words = verb_group_words(group, ", ");
    cleanup_free char *help = xasprintf("%s: %s", group, words);
    put_escaped(out, help, special);
}

#define MADE_BY "Made by `make docs` from cmd/kbuild/verbs.c."

// ---- bash ----

static void bash_value(const struct option *o, void *context)
{
    const struct option_walk *w = context;
    cleanup_free char *kind = value_kind(w->verb, o);
    if (!kind)
        return;
    buf_printf(w->out, "    '%s %s'", w->verb->name, o->name);
    if (o->letter)
        buf_printf(w->out, "|'%s -%c'", w->verb->name, o->letter);
    buf_printf(w->out, ") echo '%s' ;;\n", kind);
}

static void bash_option(const struct option *o, void *context)
{
    buf_printf(context, " %s%s", o->name, o->value ? "=" : "");
}

static void bash_operands(const struct verb *v, struct buf *out)
{
    cleanup_operands struct operands o = {0};
    operands_read(v, &o);
    for (size_t i = 0; i < o.kinds.n; i++) {
        bool last = i + 1 == o.kinds.n && o.repeated;
        cleanup_free char *place = last ? xstrdup("'*") : xasprintf("%zu'", i + 1);
        buf_printf(out, "    '%s %s) echo '%s' ;;\n", v->name, place, o.kinds.items[i]);
    }
}

static const char bash_begin[] = "# SPDX-License-Identifier: Apache-2.0\n"
                                 "# bash completion for kbuild: source it, or install it as\n"
                                 "# /usr/share/bash-completion/completions/kbuild. " MADE_BY "\n\n";

static const char bash_end[] =
    "# The options of sealing, from the help of the program itself.\n"
    "_kbuild_seal() { # word, command...\n"
    "  local options\n"
    "  options=$(\"${@:2}\" --help-all 2>/dev/null | sed -nE 's/^ +(-., )?--([^ "
    "=]+)(=?).*/--\\2\\3/p')\n"
    "  options+=\" ${options//--(en|dis)able-/--disable-}\"\n"
    "  options=${options//--(en|dis)able-/--enable-}\n"
    "  mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$1\" | sort -u)\n"
    "  [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null\n"
    "}\n\n"
    "# The words before the one that is typed which say what the project is.\n"
    "_kbuild_project() { # sets settings and output\n"
    "  local i w n\n"
    "  settings=() output=build\n"
    "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "    w=${COMP_WORDS[i]} n=${COMP_WORDS[i + 1]}\n"
    "    [ \"$n\" != = ] || n=${COMP_WORDS[i + 2]:-}\n"
    "    case $w in\n"
    "      --recipes | --versions | --sources) settings+=(\"$w=$n\") ;;\n"
    "      -o | --output) output=$n ;;\n"
    "    esac\n"
    "  done\n"
    "}\n\n"
    "_kbuild_words() { # word, what: words, or a kind\n"
    "  local words=$2 settings output\n"
    "  case $words in\n"
    "    @nothing) return ;;\n"
    "    @files | @folders)\n"
    "      compopt -o filenames 2>/dev/null\n"
    "      [ \"$words\" = @files ] && words=-f || words=-d\n"
    "      mapfile -t COMPREPLY < <(compgen \"$words\" -- \"$1\")\n"
    "      return ;;\n"
    "    @verbs) words=$_kbuild_verbs ;;\n"
    "    @logs)\n"
    "      _kbuild_project\n"
    "      words=$(cd \"$output/logs\" 2>/dev/null && printf '%s\\n' *.log | sed -n "
    "'s/\\.log$//p' | grep -v '^\\*') ;;\n"
    "    *@targets*)\n"
    "      _kbuild_project\n"
    "      words+=\" $(\"${COMP_WORDS[0]}\" \"${settings[@]}\" list 2>/dev/null | cut -d ' ' -f "
    "1)\" ;;\n"
    "  esac\n"
    "  mapfile -t COMPREPLY < <(compgen -W \"${words//@targets/}\" -- \"$1\")\n"
    "}\n\n"
    "_kbuild() {\n"
    "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb='' place=1 w "
    "i values\n"
    "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "    w=${COMP_WORDS[i]}\n"
    "    if [ \"$w\" = = ]; then\n"
    "      i=$((i + 1)) # its value\n"
    "    elif [[ $w == -* ]]; then\n"
    "      [ \"${COMP_WORDS[i + 1]}\" = = ] || [ -z \"$(_kbuild_values \"${verb:-build}\" "
    "\"$w\")\" ] "
    "|| i=$((i + 1))\n"
    "    elif [ -z \"$verb\" ] && [[ \" $_kbuild_verbs \" == *\" $w \"* ]]; then\n"
    "      verb=$w\n"
    "    elif [ \"$place\" -eq 1 ] && [[ \" $(_kbuild_below \"$verb\") \" == *\" $w \"* ]]; then\n"
    "      verb+=\" $w\"\n"
    "    else\n"
    "      verb=${verb:-build} place=$((place + 1))\n"
    "    fi\n"
    "  done\n"
    "  if [ \"$verb\" = \"se seal\" ] && [[ $word == -* ]]; then\n"
    "    _kbuild_seal \"$word\" \"${COMP_WORDS[0]}\" se seal\n"
    "    return\n"
    "  fi\n"
    "  # bash splits words at '='\n"
    "  if [ \"$word\" = = ]; then\n"
    "    word=''\n"
    "  elif [ \"$before\" = = ] && [ \"$COMP_CWORD\" -gt 2 ]; then\n"
    "    before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "  fi\n"
    "  values=$(_kbuild_values \"${verb:-build}\" \"$before\")\n"
    "  if [ -n \"$values\" ]; then\n"
    "    _kbuild_words \"$word\" \"$values\"\n"
    "  elif [[ $word == -* ]]; then\n"
    "    _kbuild_words \"$word\" \"$(_kbuild_options \"${verb:-build}\") --help\"\n"
    "    [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null\n"
    "  elif [ \"$verb\" = help ] && [ \"$before\" != help ]; then\n"
    "    _kbuild_words \"$word\" \"$(_kbuild_below \"$before\")\"\n"
    "  elif [ -n \"$(_kbuild_below \"$verb\")\" ]; then\n"
    "    _kbuild_words \"$word\" \"$(_kbuild_below \"$verb\")\"\n"
    "  elif [ -z \"$verb\" ]; then\n"
    "    _kbuild_words \"$word\" \"$_kbuild_verbs @targets\"\n"
    "  else\n"
    "    _kbuild_words \"$word\" \"$(_kbuild_operands \"$verb $place\")\"\n"
    "  fi\n"
    "}\n"
    "complete -F _kbuild kbuild ./kbuild\n\n"
    "_kbuild_genprotimg() {\n"
    "  local word=${COMP_WORDS[COMP_CWORD]}\n"
    "  case $word in\n"
    "    -*) _kbuild_seal \"$word\" \"${COMP_WORDS[0]}\" ;;\n"
    "    *) _kbuild_words \"$word\" @files ;;\n"
    "  esac\n"
    "}\n"
    "# Not where s390-tools has its own.\n"
    "complete -p genprotimg >/dev/null 2>&1 || complete -F _kbuild_genprotimg genprotimg\n";

static void print_bash(struct buf *out)
{
    cleanup_buf struct buf options = {0}, operands = {0}, below = {0}, values = {0};
    cleanup_strlist struct strlist names = {0};
    first_words(&names);
    for (size_t i = 0; i < verb_count; i++) {
        buf_printf(&options, "    '%s') echo '", verbs[i].name);
        verb_each_option(&verbs[i], bash_option, &options);
        buf_puts(&options, "' ;;\n");
        bash_operands(&verbs[i], &operands);
    }
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *group = verb_group_words(names.items[i], " ");
        if (*group)
            buf_printf(&below, "    %s) echo '%s' ;;\n", names.items[i], group);
    }
    walk_options(bash_value, &values);
    cleanup_free char *all = strlist_join(&names, " ");
    buf_printf(
        out,
        "%s_kbuild_verbs='%s'\n\n"
        "_kbuild_below() { # a verb: the verbs below it\n  case $1 in\n%s  esac\n}\n\n"
        "_kbuild_options() { # a verb\n  case $1 in\n%s  esac\n}\n\n"
        "_kbuild_operands() { # a verb and a place: what can be there\n  case $1 in\n%s  "
        "esac\n}\n\n"
        "_kbuild_values() { # a verb, its option: what the value can be\n  case \"$1 $2\" in\n%s  "
        "esac\n}\n\n%s",
        bash_begin, all, below.data, options.data, operands.data, values.data, bash_end);
}

// ---- zsh: a list of arguments for _arguments(1) a verb ----

// The action for a kind; words in parentheses.
static void zsh_action(struct buf *out, const char *kind)
{
    static const struct {
        const char *kind, *action;
    } actions[] = {{"@files", "_files"},
                   {"@folders", "_files -/"},
                   {"@targets", "_kbuild_targets"},
                   {"@logs", "_kbuild_logs"},
                   {"@verbs", "_kbuild_help_words"},
                   {"@nothing", " "}};
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (!strcmp(kind, actions[i].kind)) {
            buf_puts(out, actions[i].action);
            return;
        }
    buf_printf(out, "(%s)", kind);
}

// In single quotes: a quote ends them.
static void zsh_text(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p == '\'')
            buf_puts(out, "'\\''");
        else if (strchr("[]:\\", *p))
            buf_printf(out, "\\%c", *p);
        else
            buf_add(out, p, 1);
}

static void zsh_option(const struct option *o, void *context)
{
    const struct option_walk *w = context;
    cleanup_free char *kind = value_kind(w->verb, o);
    buf_puts(w->out, "        ");
    if (o->repeatable)
        buf_puts(w->out, "'*'");
    else if (o->letter)
        buf_printf(w->out, "'(-%c %s)'", o->letter, o->name);
    if (o->letter)
        buf_printf(w->out, "{-%c%s,%s%s}", o->letter, kind ? "+" : "", o->name, kind ? "=" : "");
    else
        buf_printf(w->out, "%s%s", o->name, kind ? "=" : "");
    buf_puts(w->out, "'[");
    zsh_text(w->out, o->help);
    buf_puts(w->out, "]");
    if (kind) {
        buf_puts(w->out, ":");
        zsh_text(w->out, o->value);
        buf_puts(w->out, ":");
        zsh_action(w->out, kind);
    }
    buf_puts(w->out, "'\n");
}

static void zsh_verb(const struct verb *v, struct buf *out)
{
    struct option_walk w = {v, out};
    cleanup_operands struct operands o = {0};
    operands_read(v, &o);
    buf_printf(out, "    '%s')\n      arguments=(\n", v->name);
    verb_each_option(v, zsh_option, &w);
    for (size_t i = 0; i < o.kinds.n; i++) {
        if (i + 1 == o.kinds.n && o.repeated)
            buf_puts(out, "        '*:");
        else
            buf_printf(out, "        '%zu:", i + 1);
        buf_puts(out, "operand:");
        zsh_action(out, o.kinds.items[i]);
        buf_puts(out, "'\n");
    }
    buf_puts(out, "      ) ;;\n");
}

static const char zsh_begin[] = "#compdef kbuild\n"
                                "# SPDX-License-Identifier: Apache-2.0\n"
                                "# zsh completion for kbuild: install it as _kbuild in a folder of "
                                "$fpath. " MADE_BY "\n\n";

static const char zsh_end[] =
    "_kbuild_targets() {\n"
    "  local -a targets\n"
    "  local line\n"
    "  for line in ${(f)\"$($_kbuild_program $_kbuild_settings list 2>/dev/null)\"}; do\n"
    "    targets+=(\"${line%% *}:${${${line#* }//  ##/ }# }\")\n"
    "  done\n"
    "  _describe -t targets target targets\n"
    "}\n\n"
    "_kbuild_logs() {\n"
    "  local -a logs\n"
    "  logs=($_kbuild_output/logs/*.log(N:t:r))\n"
    "  _describe -t logs log logs\n"
    "}\n\n"
    "_kbuild_verb_words() { # a verb, or '': the next words\n"
    "  local -a next\n"
    "  next=(${(f)\"$(_kbuild_words \"$1\")\"})\n"
    "  _describe -t verbs verb next\n"
    "}\n\n"
    "_kbuild_help_words() {\n"
    "  if [[ -n ${words[CURRENT - 1]} && -n \"$(_kbuild_words \"${words[CURRENT - 1]}\")\" ]]; "
    "then\n"
    "    _kbuild_verb_words \"${words[CURRENT - 1]}\"\n"
    "  else\n"
    "    _kbuild_verb_words ''\n"
    "  fi\n"
    "}\n\n"
    "# The options of sealing, from the help of the program itself.\n"
    "_kbuild_seal() {\n"
    "  local -a options\n"
    "  options=(${(f)\"$($_kbuild_program se seal --help-all 2>/dev/null | sed -nE 's/^ +(-., "
    ")?--([^ =]+)(=?).*/--\\2\\3/p')\"})\n"
    "  options=(${options//--\\(en\\|dis\\)able-/--enable-} "
    "${${(M)options:#*\\(en\\|dis\\)able*}//--\\(en\\|dis\\)able-/--disable-})\n"
    "  compadd -S '' -a options\n"
    "}\n\n"
    "_kbuild() {\n"
    "  local _kbuild_program=$words[1] _kbuild_output=build verb='' word value i at=1\n"
    "  local -a _kbuild_settings arguments\n"
    "  for ((i = 2; i < CURRENT; i++)); do\n"
    "    word=$words[i] value=$words[i+1]\n"
    "    [[ $word != --*=* ]] || { value=${word#*=} word=${word%%=*} }\n"
    "    case $word in\n"
    "      --recipes | --versions | --sources) _kbuild_settings+=($word=$value) ;;\n"
    "      -o | --output) _kbuild_output=$value ;;\n"
    "    esac\n"
    "    if [[ $word == -* ]]; then\n"
    "      [[ $words[i] == --*=* ]] || case $word in\n"
    "        --cache | --versions | --recipes | --sources | --source | --builder) ((i++)) ;;\n"
    "      esac\n"
    "    elif [[ -z $verb && -n \"$(_kbuild_words '' | grep \"^$word:\")\" ]]; then\n"
    "      verb=$word at=$i\n"
    "    elif ((at == i - 1)) && [[ -n $verb && -n \"$(_kbuild_words $verb | grep \"^$word:\")\" "
    "]]; then\n"
    "      verb+=\" $word\" at=$i\n"
    "    elif [[ -z $verb ]]; then\n"
    "      verb=build\n"
    "      break\n"
    "    fi\n"
    "  done\n"
    "  if [[ -n $verb && -n \"$(_kbuild_words $verb)\" ]]; then\n"
    "    _kbuild_verb_words $verb\n"
    "    return\n"
    "  fi\n"
    "  if [[ $verb == 'se seal' && $words[CURRENT] == -* ]]; then\n"
    "    _kbuild_seal\n"
    "    return\n"
    "  fi\n"
    "  _kbuild_arguments ${verb:-build}\n"
    "  if [[ -z $verb ]]; then\n"
    "    arguments=(${arguments:#\\**operand*} '*:verb or target:_kbuild_first')\n"
    "  else\n"
    "    words=($_kbuild_program \"${(@)words[at+1,-1]}\")\n"
    "    ((CURRENT -= at - 1))\n"
    "  fi\n"
    "  arguments+=('(-h --help)'{-h,--help}'[help on the verb]')\n"
    "  _arguments -s -S $arguments\n"
    "}\n\n"
    "_kbuild_first() {\n"
    "  _kbuild_verb_words ''\n"
    "  _kbuild_targets\n"
    "}\n\n"
    "_kbuild \"$@\"\n";

static void zsh_words(struct buf *out, const struct strlist *names)
{
    buf_puts(out, "_kbuild_words() { # a verb, or '': the next words, and what they do\n"
                  "  case $1 in\n    '')\n");
    for (size_t i = 0; i < names->n; i++) {
        const struct verb *v = verb_find(names->items[i], NULL);
        buf_printf(out, "      print -r -- '%s:", names->items[i]);
        if (v)
            zsh_text(out, v->help);
        else
            put_group_help(out, names->items[i], ":");
        buf_puts(out, "'\n");
    }
    buf_puts(out, "      ;;\n");
    for (size_t i = 0; i < names->n; i++) {
        size_t n = strlen(names->items[i]);
        if (!verb_is_group(names->items[i]))
            continue;
        buf_printf(out, "    %s)\n", names->items[i]);
        for (size_t k = 0; k < verb_count; k++) {
            if (strncmp(verbs[k].name, names->items[i], n) != 0 || verbs[k].name[n] != ' ')
                continue;
            buf_printf(out, "      print -r -- '%s:", verbs[k].name + n + 1);
            zsh_text(out, verbs[k].help);
            buf_puts(out, "'\n");
        }
        buf_puts(out, "      ;;\n");
    }
    buf_puts(out, "  esac\n}\n\n");
}

static void print_zsh(struct buf *out)
{
    cleanup_strlist struct strlist names = {0};
    first_words(&names);
    buf_puts(out, zsh_begin);
    zsh_words(out, &names);
    buf_puts(out, "_kbuild_arguments() { # a verb: what _arguments gets\n  case $1 in\n");
    for (size_t i = 0; i < verb_count; i++)
        zsh_verb(&verbs[i], out);
    buf_puts(out, "  esac\n}\n\n");
    buf_puts(out, zsh_end);
}

// ---- fish: a line of complete(1) for each word ----

static void fish_quote(struct buf *out, const char *text)
{
    buf_puts(out, "'");
    put_escaped(out, text, "'\\");
    buf_puts(out, "'");
}

// The arguments of complete for a kind.
static void fish_kind(struct buf *out, const char *kind)
{
    static const struct {
        const char *kind, *arguments;
    } kinds[] = {{"@files", "-F"},
                 {"@folders", "-f -a '(__fish_complete_directories (commandline -ct))'"},
                 {"@targets", "-f -a '(__kbuild_targets)'"},
                 {"@logs", "-f -a '(__kbuild_logs)'"},
                 {"@nothing", "-f"}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kind, kinds[i].kind)) {
            buf_puts(out, kinds[i].arguments);
            return;
        }
    buf_puts(out, "-f -a ");
    fish_quote(out, kind);
}

static void fish_option(const struct option *o, void *context)
{
    const struct option_walk *w = context;
    cleanup_free char *kind = value_kind(w->verb, o);
    buf_printf(w->out, "complete -c kbuild -n '__kbuild_in \"%s\"' -l %s", w->verb->name,
               o->name + 2);
    if (o->letter)
        buf_printf(w->out, " -s %c", o->letter);
    if (kind) {
        buf_puts(w->out, " -r ");
        fish_kind(w->out, kind);
    }
    buf_puts(w->out, " -d ");
    fish_quote(w->out, o->help);
    buf_puts(w->out, "\n");
}

static void fish_operands(const struct verb *v, struct buf *out)
{
    cleanup_operands struct operands o = {0};
    operands_read(v, &o);
    for (size_t i = 0; i < o.kinds.n; i++) {
        const char *kind = o.kinds.items[i];
        if (!strcmp(kind, "@nothing"))
            continue;
        buf_printf(out, "complete -c kbuild -n '__kbuild_at \"%s\" %zu%s' ", v->name, i + 1,
                   i + 1 == o.kinds.n && o.repeated ? " more" : "");
        if (!strcmp(kind, "@verbs"))
            buf_puts(out, "-f -a '(__kbuild_help_words)'");
        else
            fish_kind(out, kind);
        buf_puts(out, "\n");
    }
}

static void fish_word(struct buf *out, const char *condition, const char *word, const char *help)
{
    buf_printf(out, "complete -c kbuild -n '%s' -f -a %s -d ", condition, word);
    fish_quote(out, help);
    buf_puts(out, "\n");
}

static void fish_verbs(struct buf *out, const struct strlist *names)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->items[i];
        const struct verb *v = verb_find(name, NULL);
        cleanup_free char *group = verb_group_words(name, ", ");
        fish_word(out, "__kbuild_in \"\"", name, v ? v->help : group);
    }
    buf_puts(out, "complete -c kbuild -n '__kbuild_in \"\"' -f -a '(__kbuild_targets)'\n");
    for (size_t k = 0; k < verb_count; k++) {
        const char *blank = strchr(verbs[k].name, ' ');
        if (!blank)
            continue;
        cleanup_free char *group = xstrndup(verbs[k].name, (size_t)(blank - verbs[k].name));
        cleanup_free char *condition = xasprintf("__kbuild_in \"%s\"", group);
        fish_word(out, condition, blank + 1, verbs[k].help);
    }
}

static const char fish_begin[] =
    "# SPDX-License-Identifier: Apache-2.0\n"
    "# fish completion for kbuild: install it in a folder of $fish_complete_path. " MADE_BY "\n\n";

static const char fish_functions[] =
    "function __kbuild_parse # the verb, and how many operands follow it, before the word that is "
    "typed\n"
    "  set -l verb ''\n"
    "  set -l place 0\n"
    "  set -l value ''\n"
    "  for word in (commandline -opc)[2..]\n"
    "    if test -n \"$value\"\n"
    "      set value ''\n"
    "    else if string match -q -- '-*' $word\n"
    "      if not string match -q -- '*=*' $word; and contains -- $word $__kbuild_valued\n"
    "        set value $word\n"
    "      end\n"
    "    else if test -z \"$verb\"; and contains -- $word $__kbuild_verbs\n"
    "      set verb $word\n"
    "    else if test $place -eq 0; and contains -- \"$verb $word\" $__kbuild_below\n"
    "      set verb \"$verb $word\"\n"
    "    else\n"
    "      test -n \"$verb\"; or set verb build\n"
    "      set place (math $place + 1)\n"
    "    end\n"
    "  end\n"
    "  echo $verb\n"
    "  echo $place\n"
    "end\n\n"
    "function __kbuild_in # a verb: is it this one?\n"
    "  set -l here (__kbuild_parse)\n"
    "  test \"$here[1]\" = \"$argv[1]\"; or begin\n"
    "    test -z \"$here[1]\"; and test \"$argv[1]\" = build; and string match -q -- '-*' "
    "(commandline -ct)\n"
    "  end\n"
    "end\n\n"
    "function __kbuild_at # a verb, a place: is it this one, or, with more, behind it?\n"
    "  set -l here (__kbuild_parse)\n"
    "  set -l place (math $here[2] + 1)\n"
    "  test \"$here[1]\" = \"$argv[1]\"; and begin\n"
    "    test $place -eq $argv[2]; or test -n \"$argv[3]\" -a $place -gt $argv[2]\n"
    "  end\n"
    "end\n\n"
    "function __kbuild_given # options: the values of those that were typed\n"
    "  set -l words (commandline -opc)\n"
    "  for i in (seq 2 (count $words))\n"
    "    for option in $argv\n"
    "      if test \"$words[$i]\" = $option; and test $i -lt (count $words)\n"
    "        echo -- $words[(math $i + 1)]\n"
    "      else if string match -q -- \"$option=*\" $words[$i]\n"
    "        string replace -- \"$option=\" '' $words[$i]\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "end\n\n"
    "function __kbuild_targets\n"
    "  set -l program (commandline -opc)[1]\n"
    "  set -l settings\n"
    "  for option in --recipes --versions --sources\n"
    "    for value in (__kbuild_given $option)\n"
    "      set -a settings $option=$value\n"
    "    end\n"
    "  end\n"
    "  $program $settings list 2>/dev/null | string replace -r ' +' \\t | string replace -ra ' +' "
    "' '\n"
    "end\n\n"
    "function __kbuild_logs\n"
    "  set -l output (__kbuild_given -o --output)[-1]\n"
    "  test -n \"$output\"; or set output build\n"
    "  for log in $output/logs/*.log\n"
    "    string replace -r '.*/(.*)\\.log$' '$1' -- $log\n"
    "  end\n"
    "end\n\n"
    "function __kbuild_help_words\n"
    "  set -l last (commandline -opc)[-1]\n"
    "  set -l below (string replace -f -- \"$last \" '' $__kbuild_below)\n"
    "  if test -n \"$below\"\n"
    "    printf '%s\\n' $below\n"
    "  else\n"
    "    printf '%s\\n' $__kbuild_verbs\n"
    "  end\n"
    "end\n\n"
    "# The options of sealing, from the help of the program itself.\n"
    "function __kbuild_seal\n"
    "  set -l options (eval (commandline -opc)[1] se seal --help-all 2>/dev/null | string replace "
    "-rf '^ +(?:-., )?--([^ =]+=?).*' -- '--$1')\n"
    "  string replace -- '(en|dis)able' enable $options\n"
    "  string replace -f -- '(en|dis)able' disable $options\n"
    "end\n\n";

// Whether an option of this name is a flag of some verb.
static bool is_flag_somewhere(const char *name)
{
    for (size_t i = 0; i < verb_count; i++)
        for (size_t k = 0; k < verbs[i].option_count; k++)
            if (!strcmp(verbs[i].options[k].name, name) && !verbs[i].options[k].value)
                return true;
    return false;
}

static void add_valued(const struct option *o, void *context)
{
    struct strlist *valued = context;
    if (!o->value || is_flag_somewhere(o->name))
        return;
    if (!strlist_has(valued, o->name))
        strlist_add(valued, o->name);
    cleanup_free char *letter = xasprintf("-%c", o->letter);
    if (o->letter && !strlist_has(valued, letter))
        strlist_add(valued, letter);
}

static void print_fish(struct buf *out)
{
    cleanup_strlist struct strlist names = {0}, below = {0}, valued = {0};
    first_words(&names);
    for (size_t i = 0; i < verb_count; i++) {
        verb_each_option(&verbs[i], add_valued, &valued);
        if (strchr(verbs[i].name, ' '))
            strlist_addf(&below, "'%s'", verbs[i].name);
    }
    cleanup_free char *all = strlist_join(&names, " ");
    cleanup_free char *two = strlist_join(&below, " ");
    cleanup_free char *with = strlist_join(&valued, " ");
    buf_printf(
        out, "%sset -g __kbuild_verbs %s\nset -g __kbuild_below %s\nset -g __kbuild_valued %s\n\n",
        fish_begin, all, two, with);
    buf_puts(out, fish_functions);
    buf_puts(out, "complete -c kbuild -f\n"
                  "complete -c kbuild -s h -l help -d 'help on the verb'\n"
                  "complete -c kbuild -n '__kbuild_in \"\"' -l version -d 'the version'\n"
                  "complete -c kbuild -n '__kbuild_in \"se seal\"' -f -a '(__kbuild_seal)'\n");
    fish_verbs(out, &names);
    for (size_t i = 0; i < verb_count; i++)
        fish_operands(&verbs[i], out);
    walk_options(fish_option, out);
}

// ---- selection ----

void print_completion(const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(struct buf *out);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    cleanup_buf struct buf out = {0};
    for (size_t i = 0; i < ARRAY_LEN(shells); i++)
        if (!strcmp(shell, shells[i].shell))
            shells[i].print(&out);
    print_text(stdout, out.data, out.len);
}

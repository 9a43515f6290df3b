// SPDX-License-Identifier: Apache-2.0
// Prints the completion for zsh: a list of arguments for _arguments(1) a verb.
#include "completion.h"

#include <string.h>

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

static const char zsh_begin[] =
    "#compdef kbuild\n"
    "# SPDX-License-Identifier: Apache-2.0\n"
    "# zsh completion for kbuild: install it as _kbuild in a directory of $fpath. " MADE_BY "\n\n";

static const char zsh_end[] =
    "# A word as the shell will read it; nothing is expanded but ~/.\n"
    "_kbuild_plain() { # word: sets REPLY\n"
    "  REPLY=${(Q)1}\n"
    "  [[ $1 != '~/'* ]] || REPLY=$HOME${REPLY#\\~}\n"
    "}\n"
    "\n"
    "_kbuild_targets() {\n"
    "  local -a targets\n"
    "  local line\n"
    "  for line in ${(f)\"$($_kbuild_program $_kbuild_settings list 2>/dev/null)\"}; do\n"
    "    targets+=(\"${${line%% *}//:/\\\\:}:${${${line#* }//  ##/ }# }\")\n"
    "  done\n"
    "  _describe -t targets target targets\n"
    "}\n"
    "\n"
    "_kbuild_logs() { # they may have any name, which compadd quotes\n"
    "  local -a logs expl\n"
    "  logs=($_kbuild_output/logs/*.log(N:t:r))\n"
    "  _wanted logs expl log compadd -a logs\n"
    "}\n"
    "\n"
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
    "  local _kbuild_program _kbuild_output=build verb='' word value i at=1 REPLY\n"
    "  local -a _kbuild_settings arguments\n"
    "  _kbuild_plain $words[1]\n"
    "  _kbuild_program=$REPLY\n"
    "  for ((i = 2; i < CURRENT; i++)); do\n"
    "    word=$words[i] value=$words[i+1]\n"
    "    [[ $word != --*=* ]] || { value=${word#*=} word=${word%%=*} }\n"
    "    _kbuild_plain $value\n"
    "    value=$REPLY\n"
    "    case $word in\n"
    "      --recipes | --versions | --sources | --settings) _kbuild_settings+=($word=$value) ;;\n"
    "      -o | --output) _kbuild_output=$value ;;\n"
    "    esac\n"
    "    if [[ $word == -* ]]; then\n"
    "      [[ $words[i] == --*=* ]] || case $word in\n"
    "        --cache | --versions | --recipes | --sources | --source | --builder | --settings | "
    "-o | --output | \\\n"
    "          --arch | -j | --jobs | --remote | --prebuilt) ((i++)) ;;\n"
    "      esac\n"
    "    elif [[ -z $verb && $'\\n'$(_kbuild_words '') == *$'\\n'$word:* ]]; then\n"
    "      verb=$word at=$i\n"
    "    elif ((at == i - 1)) && [[ -n $verb && $'\\n'$(_kbuild_words $verb) == *$'\\n'$word:* ]]; "
    "then\n"
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

void print_zsh(struct buf *out)
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

// SPDX-License-Identifier: Apache-2.0
// Prints the completion for bash: functions with a case for each verb and option.
#include "completion.h"

#include <string.h>

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
    "      --recipes | --versions | --sources | --settings) settings+=(\"$w=$n\") ;;\n"
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

void print_bash(struct buf *out)
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

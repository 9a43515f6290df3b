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
    "# A word as the shell will read it, into `plain`, and into `quote` the quote that is still "
    "open in it.\n"
    "# Nothing is expanded but ~/.\n"
    "_kbuild_unquote() { # word\n"
    "  local c i=0\n"
    "  plain='' quote=''\n"
    "  [[ $1 != \\~/* ]] || plain=$HOME i=1\n"
    "  for ((; i < ${#1}; i++)); do\n"
    "    c=${1:i:1}\n"
    "    if [ -n \"$quote\" ] && [ \"$c\" = \"$quote\" ]; then\n"
    "      quote=''\n"
    "    elif [ -z \"$quote\" ] && [[ $c == [\\'\\\"] ]]; then\n"
    "      quote=$c\n"
    "    elif [ \"$c\" = \\\\ ] && { [ -z \"$quote\" ] || [[ $quote${1:i+1:1} == "
    "\\\"[\\\"\\$\\`\\\\] ]]; }; then\n"
    "      i=$((i + 1)) plain+=${1:i:1}\n"
    "    else\n"
    "      plain+=$c\n"
    "    fi\n"
    "  done\n"
    "}\n"
    "\n"
    "# Offers those of the texts that begin with the word, quoted: a text may be the name of any "
    "file. No\n"
    "# list of words is given to compgen -W, which expands what is in it.\n"
    "_kbuild_offer() { # word, text...\n"
    "  local plain quote text\n"
    "  _kbuild_unquote \"$1\"\n"
    "  for text in \"${@:2}\"; do\n"
    "    [[ $text == \"$plain\"* ]] || continue\n"
    "    case $quote in\n"
    "      '') printf -v text %q \"$text\" ;;\n"
    "      \\') text=${text//\\'/\\'\\\\\\'\\'} ;;\n"
    "      *) text=${text//\\\\/\\\\\\\\} text=${text//\\\"/\\\\\\\"} text=${text//\\$/\\\\\\$} "
    "text=${text//\\`/\\\\\\`} ;;\n"
    "    esac\n"
    "    COMPREPLY+=(\"$text\")\n"
    "  done\n"
    "}\n"
    "\n"
    "# The options of sealing, from the help of the program itself.\n"
    "_kbuild_seal() { # word, command...\n"
    "  local options=() all=() option plain quote\n"
    "  _kbuild_unquote \"$2\"\n"
    "  mapfile -t options < <(\"$plain\" \"${@:3}\" --help-all 2>/dev/null | sed -nE 's/^ +(-., "
    ")?--([^ =]+)(=?).*/--\\2\\3/p')\n"
    "  for option in \"${options[@]}\"; do\n"
    "    all+=(\"${option/--(en|dis)able-/--enable-}\")\n"
    "    [[ $option != *'(en|dis)able'* ]] || all+=(\"${option/--(en|dis)able-/--disable-}\")\n"
    "  done\n"
    "  _kbuild_offer \"$1\" \"${all[@]}\"\n"
    "  [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null\n"
    "}\n"
    "\n"
    "# The words before the one that is typed which say what the project is.\n"
    "_kbuild_project() { # sets settings and output\n"
    "  local i w n plain quote\n"
    "  settings=() output=build\n"
    "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "    w=${COMP_WORDS[i]} n=${COMP_WORDS[i + 1]}\n"
    "    [ \"$n\" != = ] || n=${COMP_WORDS[i + 2]:-}\n"
    "    _kbuild_unquote \"$n\"\n"
    "    case $w in\n"
    "      --recipes | --versions | --sources | --settings) settings+=(\"$w=$plain\") ;;\n"
    "      -o | --output) output=$plain ;;\n"
    "    esac\n"
    "  done\n"
    "  [[ $output != -* ]] || output=./$output\n"
    "}\n"
    "\n"
    "_kbuild_words() { # word, what: words, or a kind\n"
    "  local IFS=$' \\t\\n' words=() found=() settings output plain quote\n"
    "  case $2 in\n"
    "    @nothing) return ;;\n"
    "    # Readline itself completes and quotes the names of files.\n"
    "    @files) compopt -o default; return ;;\n"
    "    @folders) compopt -o dirnames; return ;;\n"
    "    @verbs) read -ra words <<<\"$_kbuild_verbs\" ;;\n"
    "    @logs)\n"
    "      _kbuild_project\n"
    "      mapfile -d '' -t found < <(find \"$output/logs\" -maxdepth 1 -name '*.log' -printf "
    "'%f\\0' 2>/dev/null | sort -z)\n"
    "      words=(\"${found[@]%.log}\") ;;\n"
    "    *)\n"
    "      read -ra words <<<\"${2//@targets/}\"\n"
    "      if [[ $2 == *@targets* ]]; then\n"
    "        _kbuild_project\n"
    "        _kbuild_unquote \"${COMP_WORDS[0]}\"\n"
    "        mapfile -t found < <(\"$plain\" \"${settings[@]}\" list 2>/dev/null)\n"
    "        words+=(\"${found[@]%% *}\")\n"
    "      fi ;;\n"
    "  esac\n"
    "  _kbuild_offer \"$1\" \"${words[@]}\"\n"
    "}\n"
    "\n"
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

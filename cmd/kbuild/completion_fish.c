// SPDX-License-Identifier: Apache-2.0
// Prints the completion for fish: a line of complete(1) for each word.
#include "completion.h"

#include <string.h>

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
    "# fish completion for kbuild: install it in a directory of $fish_complete_path. " MADE_BY
    "\n\n";

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
    "function __kbuild_home # words: ~/ in front of them is the home directory\n"
    "  for word in $argv\n"
    "    string match -q -- '~/*' $word; and set word $HOME/(string sub -s 3 -- $word)\n"
    "    printf '%s\\n' $word\n"
    "  end\n"
    "end\n\n"
    "function __kbuild_program\n"
    "  __kbuild_home (commandline -opc)[1]\n"
    "end\n\n"
    "function __kbuild_targets\n"
    "  set -l program (__kbuild_program)\n"
    "  set -l settings\n"
    "  for option in --recipes --versions --sources --settings\n"
    "    for value in (__kbuild_given $option)\n"
    "      set -a settings $option=(__kbuild_home $value)\n"
    "    end\n"
    "  end\n"
    "  $program $settings list 2>/dev/null | string replace -r ' +' \\t | string replace -ra ' +' "
    "' '\n"
    "end\n\n"
    "function __kbuild_logs\n"
    "  set -l output (__kbuild_home (__kbuild_given -o --output))[-1]\n"
    "  test -n \"$output\"; or set output build\n"
    "  # One a line, before a tab: names with these cannot be offered.\n"
    "  for log in $output/logs/*.log\n"
    "    string match -rq -- '[\\n\\t]' $log; or string replace -r -- '.*/(.*)\\.log$' '$1' $log\n"
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
    "  set -l program (__kbuild_program)\n"
    "  set -l options ($program se seal --help-all 2>/dev/null | string replace "
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

void print_fish(struct buf *out)
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

// SPDX-License-Identifier: Apache-2.0
// Prints help and kbuild(1) from the table of verbs.
#include "completion.h"
#include "se.h"

#include "base/print.h"

#include <string.h>

enum { WIDTH = 100, INDENT = 30 };

// ---- help ----

// Prints the words of `text`, wrapped; `indent` spaces begin each line but the first.
static void print_wrapped(const char *text, size_t column, size_t indent)
{
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, text, " ");
    for (size_t i = 0; i < words.n; i++) {
        size_t n = strlen(words.items[i]);
        if (i && column + 1 + n > WIDTH) {
            print("\n%*s", (int)indent, "");
            column = indent;
        } else if (i) {
            print(" ");
            column++;
        }
        print("%s", words.items[i]);
        column += n;
    }
    print("\n");
}

// "-o FILE, --output=FILE".
static char *option_words(const struct option *o)
{
    cleanup_buf struct buf text = {0};
    if (o->letter)
        buf_printf(&text, "-%c%s%s, ", o->letter, o->value ? " " : "", o->value ? o->value : "");
    buf_printf(&text, "%s%s%s", o->name, o->value ? "=" : "", o->value ? o->value : "");
    return buf_take(&text);
}

static void print_option(const struct option *o, void *context)
{
    cleanup_free char *words = option_words(o);
    cleanup_free char *help =
        xasprintf("%s%s", o->help, o->repeatable ? "; can be given several times" : "");
    size_t n = strlen(words) + 2;
    print("  %s", words);
    print("%*s", (int)(n + 2 > INDENT ? 0 : INDENT - n), "");
    if (n + 2 > INDENT)
        print("\n%*s", INDENT, "");
    print_wrapped(help, INDENT, INDENT);
}

static void print_verb_line(const struct verb *v)
{
    print("  %-14s ", v->name);
    print_wrapped(v->help, 17, 17);
}

static void print_help(void)
{
    print(
        "usage: kbuild [OPTION...] TARGET...\n"
        "       kbuild [OPTION...] VERB ...\n\n"
        "Builds, seals, packages and publishes the confidential artifacts of Kata Containers.\n\n");
    for (size_t i = 0; i < verb_count; i++)
        print_verb_line(&verbs[i]);
    print("\nCommon options; `kbuild help VERB` shows which of them a verb has, and its own:\n\n");
    for (size_t i = 0; i < COMMON_OPTIONS; i++)
        print_option(&common_options[i], NULL);
    print("  -h, --help                  help; after a verb, help on it\n"
          "      --version               the version\n\n"
          "`kbuild list` shows the targets; the manual is kbuild(1).\n");
}

static void print_details(const char *details)
{
    cleanup_strlist struct strlist paragraphs = {0};
    strlist_split(&paragraphs, details, "\n");
    for (size_t i = 0; i < paragraphs.n; i++)
        print_wrapped(paragraphs.items[i], 0, 0);
}

void print_verb_help(const struct verb *v)
{
    if (v->flags & OWN_PARSER) {
        se_verb_seal_help();
        return;
    }
    bool options = v->option_count || v->common;
    print("usage: kbuild %s%s%s%s\n\n%s\n", v->name, options ? " [OPTION...]" : "",
          *v->operands ? " " : "", v->operands, v->help);
    if (v->details) {
        print("\n");
        print_details(v->details);
    }
    if (options)
        print("\nOptions:\n");
    verb_each_option(v, print_option, NULL);
}

static int print_group_help(const char *group)
{
    cleanup_strlist struct strlist words = {0};
    cleanup_free char *joined = verb_group_words(group, " ");
    strlist_split(&words, joined, " ");
    print("usage: kbuild %s VERB ...\n\n", group);
    for (size_t i = 0; i < words.n; i++)
        print_verb_line(verb_find(group, words.items[i]));
    print("\n`kbuild help %s VERB` has the options.\n", group);
    return 0;
}

int print_help_of(const struct strlist *words, struct error **err)
{
    const char *first = words->n ? words->items[0] : NULL;
    const char *second = words->n > 1 ? words->items[1] : NULL;
    if (!first) {
        print_help();
        return 0;
    }
    const struct verb *v = verb_find(first, second);
    if (!second && verb_is_group(first))
        return print_group_help(first);
    if (v) {
        print_verb_help(v);
        return 0;
    }
    cleanup_strlist struct strlist names = {0};
    cleanup_free char *below = verb_is_group(first) ? verb_group_words(first, " ") : NULL;
    for (size_t i = 0; i < verb_count && !below; i++)
        strlist_add(&names, verbs[i].name);
    strlist_split(&names, below ? below : "", " ");
    const char *wrong = below ? second : first, *nearest = nearest_name(wrong, &names);
    error_set(err, ERROR_USAGE, "help: there is no verb '%s%s%s'", first, second ? " " : "",
              second ? second : "");
    if (nearest)
        return error_hint(err, "did you mean `kbuild help %s%s%s`?", below ? first : "",
                          below ? " " : "", nearest);
    return error_hint(err, "`kbuild help` lists the verbs, `kbuild list` the targets");
}

// ---- kbuild(1), in the language of man(7) ----

static void roff_text(struct buf *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        buf_puts(out, "\\&");
    for (const char *p = text; *p; p++) {
        if (*p == '-')
            buf_puts(out, "\\-");
        else if (*p == '\\')
            buf_puts(out, "\\e");
        else
            buf_add(out, p, 1);
    }
}

// Literal words in bold, the value in italics.
static void roff_option(const struct option *o, void *context)
{
    struct buf *out = context;
    buf_puts(out, ".TP\n");
    if (o->letter) {
        buf_printf(out, "\\fB\\-%c\\fR", o->letter);
        if (o->value) {
            buf_puts(out, " \\fI");
            roff_text(out, o->value);
            buf_puts(out, "\\fR");
        }
        buf_puts(out, ", ");
    }
    buf_puts(out, "\\fB");
    roff_text(out, o->name);
    buf_puts(out, "\\fR");
    if (o->value) {
        buf_puts(out, "=\\fI");
        roff_text(out, o->value);
        buf_puts(out, "\\fR");
    }
    buf_puts(out, "\n");
    cleanup_free char *help = xasprintf("%c%s%s.", *o->help & ~0x20, o->help + 1,
                                        o->repeatable ? "; can be given several times" : "");
    bool letter = *o->help >= 'a' && *o->help <= 'z' && o->help[1] >= 'a' && o->help[1] <= 'z';
    if (!letter)
        help[0] = *o->help;
    roff_text(out, help);
    buf_puts(out, "\n");
}

static void roff_verb(struct buf *out, const struct verb *v)
{
    buf_puts(out, ".SS \"");
    roff_text(out, v->name);
    buf_puts(out, " ");
    roff_text(out, v->operands);
    buf_puts(out, "\"\n");
    cleanup_free char *help = xstrdup(v->help);
    if (help[0] >= 'a' && help[0] <= 'z')
        help[0] = (char)(help[0] & ~0x20);
    roff_text(out, help);
    buf_puts(out, ends_with(help, "?") ? "\n" : ".\n");
    cleanup_strlist struct strlist paragraphs = {0};
    strlist_split(&paragraphs, v->details ? v->details : "", "\n");
    for (size_t i = 0; i < paragraphs.n; i++) {
        if (i)
            buf_puts(out, ".PP\n");
        roff_text(out, paragraphs.items[i]);
        buf_puts(out, "\n");
    }
    for (size_t i = 0; i < v->option_count; i++)
        roff_option(&v->options[i], out);
    cleanup_strlist struct strlist common = {0};
    for (size_t which = 0; which < COMMON_OPTIONS; which++)
        if (v->common & BIT(which))
            strlist_add(&common, common_options[which].name);
    if (!common.n)
        return;
    cleanup_free char *joined = strlist_join(&common, ", ");
    buf_puts(out, ".PP\nAlso (see OPTIONS): ");
    roff_text(out, joined);
    buf_puts(out, ".\n");
}

static const char manual_begin[] =
    ".\\\" SPDX-License-Identifier: Apache-2.0\n"
    ".\\\" Made by `make docs` from cmd/kbuild/verbs.c and help.c.\n"
    ".TH KBUILD 1 \"\" \"kbuild\" \"User Commands\"\n"
    ".SH NAME\n"
    "kbuild \\- build, seal and package the confidential artifacts of Kata Containers\n"
    ".SH SYNOPSIS\n"
    ".B kbuild\n.RI [ OPTION ...]\n.IR TARGET ...\n.br\n"
    ".B kbuild\n.RI [ OPTION ...]\n.I VERB\n.RI [ WORD ...]\n"
    ".SH DESCRIPTION\n"
    ".B kbuild\nreads\n.I versions.yaml\nand\n.IR recipes/ ,\n"
    "finds out what the targets need, builds what is not in the cache, in parallel, and writes the "
    "results as\n"
    ".I kata-static-<name>.tar.xz\n"
    "to the output directory, with upstream's side files\n"
    ".IR <target>-version ,\n.I <target>-builder-image-version\nand\n.IR <target>-sha256sum .\n"
    "Steps run under\n.BR bwrap (1)\n"
    "without network, as an ordinary user, and see only what their recipe declares.\n"
    ".PP\n"
    "An option that a verb does not use is an error, and so is an option that is given twice but "
    "can have only one value. "
    "Before the verb\n.BR \\-\\-cache \", \" \\-\\-sources \", \" \\-\\-builder \", \" "
    "\\-\\-versions\nand\n.B \\-\\-recipes\n"
    "are allowed for every verb: they define the project.\n"
    ".PP\n"
    "In text from outside, control characters, bidirectional controls and bytes that are not UTF-8 "
    "are shown as escapes like \\ex1b and \\eu202e.\n"
    ".SH VERBS\n";

static const char manual_end[] =
    ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nHelp; after a verb, help on it.\n"
    ".TP\n\\fB\\-\\-version\\fR\nThe version.\n"
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nSuccess.\n"
    ".TP\n.B 1\nSomething on the user's side is wrong: input, environment, disk.\n"
    ".TP\n.B 2\nA wrong command line: a verb, option or target that does not exist, or an option "
    "without effect.\n"
    ".TP\n.B 3\nA step failed.\n"
    ".TP\n.B 130\nInterrupted.\n"
    ".SH ENVIRONMENT\n"
    "docs/variables.md lists the variables. Those of upstream have the same meaning as there; "
    "KBUILD_SOURCES and KBUILD_CACHE are the same as the options.\n"
    ".SH FILES\n"
    ".TP\n.I versions.lock\nBeside versions.yaml: the commit or digest of each branch, tag and "
    "archive.\n"
    ".TP\n.I build/logs/\nOne log per step.\n"
    ".SH SEE ALSO\n.BR bwrap (1),\n.BR mmdebstrap (1),\n.BR qemu-system-s390x (1)\n";

static void print_manual(void)
{
    cleanup_buf struct buf out = {0};
    buf_puts(&out, manual_begin);
    for (size_t i = 0; i < verb_count; i++)
        roff_verb(&out, &verbs[i]);
    buf_puts(&out, ".SH OPTIONS\n");
    for (size_t i = 0; i < COMMON_OPTIONS; i++)
        roff_option(&common_options[i], &out);
    buf_puts(&out, manual_end);
    print_text(stdout, out.data, out.len);
}

// ---- completion ----

static void print_completion(const char *shell)
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

// ---- the verbs ----

int verb_help(struct global_options *g, struct strlist *words, struct error **err)
{
    bool manual = option_given(g, "--manual");
    const char *shell = option_value(g, "--completion");
    if (manual + (shell != NULL) + (words->n > 0) > 1)
        return usage_error(err, "help", "--manual, --completion and a verb: one at a time");
    if (manual)
        print_manual();
    else if (shell)
        print_completion(shell);
    else
        return print_help_of(words, err);
    return 0;
}

int verb_version(struct global_options *g, struct strlist *words, struct error **err)
{
    print("kbuild " KBUILD_VERSION "\n");
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild verify`: builds a target again and compares it with the previous build; and
// `kbuild provenance`: writes what a result was made of to files.
#include "prove/prove.h"

#include "base/document.h"
#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "graph/job.h"
#include "pack/reader.h"
#include "provenance/provenance.h"
#include "share/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct verify_run {
    struct build *b;
    const struct verify_options *o;
    prove_print *print;
    void *context;
    int differing;
};

__attribute__((format(printf, 2, 3))) static void report_line(const struct verify_run *v,
                                                              const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *line = xvasprintf(format, args);
    va_end(args);
    v->print(line, v->context);
}

static void report_difference(void *context, const char *line)
{
    report_line(context, "  %s", line);
}

// ---- comparing ----

static void run_diffoscope(const struct verify_run *v, const char *a, const char *b)
{
    cleanup_free char *program = find_program("diffoscope");
    if (!program)
        return report_line(v, "  (diffoscope would show more, but it is not installed)");
    cleanup_free char *first = path_absolute(a), *second = path_absolute(b);
    char *const argv[] = {
        program, (char *)"--max-report-size", (char *)"20000", (char *)"--", first, second, NULL};
    struct process p = {.argv = argv, .input = -1};
    struct buf out = {0};
    struct error *ignored = NULL; // exit status 1 means a difference
    process_run(&p, &out, &ignored);
    error_free(ignored);
    if (out.len)
        report_line(v, "%s", out.data);
    buf_free(&out);
}

static int compare_files(struct verify_run *v, const char *name, const char *a, const char *b,
                         const char *called_a, const char *called_b, struct error **err)
{
    cleanup_close int x = open(a, O_RDONLY | O_CLOEXEC);
    cleanup_close int y = x < 0 ? -1 : open(b, O_RDONLY | O_CLOEXEC);
    if (y < 0)
        return error_errno(err, errno, "opening %s", x < 0 ? a : b);
    report_line(v, "%s differs", name);
    v->differing++;
    if (!strstr(name, ".tar."))
        return 0;
    struct compared one = {x, name, called_a}, two = {y, called_b, called_b};
    int found = compare_archives(&one, &two, report_difference, v, err);
    if (found == 0)
        report_line(
            v, "  every member is the same; only the compressed bytes differ: another version of "
               "liblzma or libarchive, or another packer");
    if (found >= 0 && v->o->diffoscope)
        run_diffoscope(v, a, b);
    return found < 0 ? -1 : 0;
}

static int compare_outputs(struct verify_run *v, const struct node *node,
                           const struct node_output *first, size_t count, struct error **err)
{
    if (count != node->output_count)
        return error_set(err, ERROR_STEP, "%s: the second build made %zu outputs, the first %zu",
                         node_label(node), node->output_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct node_output *second = node_output(node, first[i].name);
        if (second && !strcmp(second->digest, first[i].digest)) {
            report_line(v, "%s is the same: %s", first[i].name, first[i].digest);
            continue;
        }
        cleanup_free char *a = store_blob_path(v->b->store, first[i].digest);
        cleanup_free char *b = second ? store_blob_path(v->b->store, second->digest) : NULL;
        if (!b)
            return error_set(err, ERROR_STEP, "%s: the second build did not make %s",
                             node_label(node), first[i].name);
        if (compare_files(v, first[i].name, a, b, "the first build", "the second build", err) < 0)
            return -1;
    }
    return 0;
}

// ---- building again ----

static struct node_output *copy_outputs(const struct node *node)
{
    struct node_output *copy = xcalloc(node->output_count, sizeof *copy);
    for (size_t i = 0; i < node->output_count; i++) {
        copy[i] = node->outputs[i];
        copy[i].name = xstrdup(node->outputs[i].name);
    }
    return copy;
}

static void free_outputs(struct node_output *outputs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(outputs[i].name);
    free(outputs);
}

static int verify_node(struct verify_run *v, struct node *node, struct error **err)
{
    const char *random = build_random(node);
    if (random) {
        error_user(err, "%s cannot be verified by building it again", node_label(node));
        return error_hint(err, "%s", random);
    }
    size_t count = node->output_count;
    struct node_output *first = copy_outputs(node);
    if (!job_of(node)->made_here)
        report_line(v, "the first build of %s is the one that the cache has", node_label(node));
    for (size_t i = 0; i < v->b->graph.n; i++)
        job_of(v->b->graph.nodes[i])->asked = false;
    job_of(node)->asked = true;
    node->state = NODE_STALE;
    int result = run_nodes(v->b, RUN_AGAIN, err);
    if (!result && node->state != NODE_DONE)
        result = error_set(err, ERROR_STEP, "%s could not be built again: an input is missing",
                           node_label(node));
    if (!result)
        result = compare_outputs(v, node, first, count, err);
    free_outputs(first, count);
    return result;
}

static void report_variation(const struct verify_run *v)
{
    struct strlist differs = {0}, same = {0};
    variation_describe(&v->o->variation, &differs, &same);
    report_line(v, "the second build differs in:");
    for (size_t i = 0; i < differs.n; i++)
        report_line(v, "  %s", differs.items[i]);
    for (size_t i = 0; i < same.n; i++)
        report_line(v, "  not in %s", same.items[i]);
    strlist_free(&differs);
    strlist_free(&same);
}

static bool has_target(const struct targets *targets, const struct node *node)
{
    for (size_t i = 0; i < targets->n; i++)
        if (targets->nodes[i] == node)
            return true;
    return false;
}

// ---- sources ----

// The digest of a source's tree from a registry, to be freed; NULL: it came from its origin.
static char *shared_source_digest(struct build *b, const struct node *node)
{
    if (node->kind != NODE_SOURCE || !node->output_count || !*node->key)
        return NULL;
    json_auto_t *record = NULL;
    store_action_get(b->store, node->key, &record, NULL);
    bool shared = json_object_get(record, SHARED_MARK) != NULL;
    return shared ? xstrdup(node->outputs[0].digest) : NULL;
}

static int check_shared_source(const struct node *node, const char *shared, struct error **err)
{
    if (!shared || node->state != NODE_DONE || !strcmp(node->outputs[0].digest, shared))
        return 0;
    error_set(err, ERROR_STEP,
              "%s: its tree in the shared cache is not that of its origin: %s instead of %s",
              node_label(node), shared, node->outputs[0].digest);
    return error_hint(
        err, "what was built from it does not match its key; find out who pushed it, and set "
             "KBUILD_TRUSTED_KEYS");
}

// Makes the missing inputs; a source from a registry is fetched from its origin instead, and
// compared.
static int make_inputs(struct verify_run *v, struct error **err)
{
    struct build *b = v->b;
    char **shared = xcalloc(b->graph.n + 1, sizeof *shared);
    b->own_sources = true;
    for (size_t i = 0; i < b->graph.n; i++) {
        struct node *node = b->graph.nodes[i];
        shared[i] = shared_source_digest(b, node);
        if (shared[i])
            node->state = NODE_STALE;
    }
    int result = run_nodes(b, RUN_INPUTS, err);
    for (size_t i = 0; i < b->graph.n; i++) {
        if (!result)
            result = check_shared_source(b->graph.nodes[i], shared[i], err);
        free(shared[i]);
    }
    free(shared);
    return result;
}

// Inputs of the targets, and with --all of all their needs.
static int make_inputs_of_all(struct verify_run *v, struct error **err)
{
    if (make_inputs(v, err) < 0)
        return -1;
    if (!v->o->all)
        return 0;
    for (size_t i = 0; i < v->b->graph.n; i++)
        job_of(v->b->graph.nodes[i])->asked = v->b->graph.nodes[i]->kind == NODE_ARTIFACT;
    return make_inputs(v, err);
}

static int build_targets_again(struct verify_run *v, const struct targets *targets,
                               struct error **err)
{
    if (make_inputs_of_all(v, err) < 0)
        return -1;
    struct node **order = graph_order(&v->b->graph, err);
    int result = order ? 0 : -1;
    report_variation(v);
    v->b->options.variation = &v->o->variation;
    for (size_t i = 0; !result && i < v->b->graph.n; i++)
        if (order[i]->kind == NODE_ARTIFACT && (v->o->all || has_target(targets, order[i])))
            result = verify_node(v, order[i], err);
    free(order);
    return result;
}

// ---- a given tarball ----

static int compare_given_file(struct verify_run *v, const struct node *target, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    const char *file = v->o->against;
    if (digest_file(file, digest, NULL, err) < 0)
        return -1;
    const struct node_output *mine = node_output(target, path_base(file));
    for (size_t i = 0; !mine && i < target->output_count; i++)
        if (!strcmp(target->outputs[i].digest, digest))
            mine = &target->outputs[i];
    if (!mine && target->output_count > 1) {
        error_user(err, "%s: none of the results of %s has that name or content", file,
                   node_label(target));
        return error_hint(err,
                          "rename the file to the result that it is to be compared with, for "
                          "example %s",
                          target->outputs[0].name);
    }
    if (!mine)
        mine = &target->outputs[0];
    if (!strcmp(mine->digest, digest)) {
        report_line(v, "%s is the same: %s", mine->name, digest);
        return 0;
    }
    cleanup_free char *path = store_blob_path(v->b->store, mine->digest);
    return compare_files(v, mine->name, path, file, "this build", file, err);
}

// One target, unless a group was named.
static void find_asked_targets(struct build *b, struct targets *out)
{
    out->nodes = xcalloc(b->graph.n, sizeof(struct node *));
    for (size_t i = 0; i < b->graph.n; i++)
        if (job_of(b->graph.nodes[i])->asked)
            out->nodes[out->n++] = b->graph.nodes[i];
}

static int run_verification(struct verify_run *v, const struct targets *targets, struct error **err)
{
    if (v->o->against && targets->n != 1) {
        error_user(err, "a file can be compared with one target only, not with a group of %zu",
                   targets->n);
        return error_hint(err, "name the member that it is a result of");
    }
    if (run_nodes(v->b, RUN_ALL, err) < 0)
        return -1;
    return v->o->against ? compare_given_file(v, targets->nodes[0], err)
                         : build_targets_again(v, targets, err);
}

// ---- what was not made here ----

static void reach(const struct node *node, bool *reached)
{
    if (reached[node->index])
        return;
    reached[node->index] = true;
    for (size_t i = 0; i < node->need_count; i++)
        reach(node->needs[i].node, reached);
}

static bool came_from_registry(struct build *b, const struct node *node)
{
    json_auto_t *record = NULL;
    if (*node->key)
        store_action_get(b->store, node->key, &record, NULL);
    return json_object_get(record, SHARED_MARK) != NULL;
}

void build_not_made(struct build *b, struct not_made *out)
{
    cleanup_free bool *reached = xcalloc(b->graph.n + 1, sizeof *reached);
    *out = (struct not_made){0};
    for (size_t i = 0; i < b->graph.n; i++)
        if (job_of(b->graph.nodes[i])->asked)
            reach(b->graph.nodes[i], reached);
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct node *node = b->graph.nodes[i];
        const struct job *job = job_of(node);
        bool named = job->prebuilt || (node->kind == NODE_BUILDER && job->image_name);
        if (!reached[node->index] || (job->made_here && !named))
            continue;
        bool shared = !named && came_from_registry(b, node);
        strlist_add(named ? &out->named : shared ? &out->shared : &out->found, node_label(node));
        out->foreign_target |= job->asked && (named || shared);
    }
}

void not_made_free(struct not_made *n)
{
    strlist_free(&n->found);
    strlist_free(&n->shared);
    strlist_free(&n->named);
}

static void report_list(const struct verify_run *v, const char *what, const struct strlist *labels)
{
    cleanup_free char *names = strlist_join(labels, ", ");
    if (labels->n)
        report_line(v, "%s, and not made by this run: %s", what, names);
}

static void report_not_made(const struct verify_run *v)
{
    struct not_made n;
    build_not_made(v->b, &n);
    report_list(v, "found in the cache", &n.found);
    report_list(v, "from a registry", &n.shared);
    report_list(v, "taken as it is named", &n.named);
    not_made_free(&n);
}

int build_verify(struct build *b, const struct verify_options *o, prove_print *print, void *context,
                 struct error **err)
{
    struct verify_run v = {b, o, print, context, 0};
    struct targets targets = {0};
    find_asked_targets(b, &targets);
    int result = run_verification(&v, &targets, err);
    for (size_t i = 0; i < targets.n; i++) // as before the second build
        job_of(targets.nodes[i])->asked = true;
    if (result >= 0 && o->not_made)
        report_not_made(&v);
    free(targets.nodes);
    return result < 0 ? -1 : v.differing;
}

// ---- provenance ----

typedef json_t *make_document(struct build *b, const struct node *node, struct error **err);
static const struct {
    const char *suffix;
    make_document *make;
} documents[] = {{PROVENANCE_FILE, provenance_statement}, {SPDX_FILE, provenance_spdx}};

static int write_document(struct build *b, const struct node *node, make_document *make,
                          const char *path, struct error **err)
{
    json_t *value = make(b, node, err);
    if (!value)
        return -1;
    cleanup_free char *text = provenance_text(value);
    json_decref(value);
    if (!is_standard_output(path) && make_parent(path, err) < 0)
        return -1;
    return document_write(path, DOCUMENT_JSON, text, strlen(text), err);
}

static int write_documents(struct build *b, const struct node *node,
                           const struct provenance_request *r, prove_print *print, void *context,
                           struct error **err)
{
    const char *target = job_of(node)->recipe->name;
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        bool spdx = documents[i].make == provenance_spdx;
        if (r->spdx || r->file ? spdx != r->spdx : false)
            continue;
        cleanup_free char *path =
            r->file ? xstrdup(r->file)
                    : xasprintf("%s/%s-%s", b->options.output, target, documents[i].suffix);
        if (write_document(b, node, documents[i].make, path, err) < 0)
            return error_wrap(err, "writing the provenance of %s", target);
        if (!is_standard_output(path))
            print(path, context);
    }
    return 0;
}

int provenance_write(struct build *b, const struct provenance_request *r, prove_print *print,
                     void *context, struct error **err)
{
    struct targets targets = {0};
    int result = build_add_targets(b, r->target, &targets, err);
    if (!result)
        result = build_evaluate(b, false, err);
    if (!result && r->file && targets.n > 1) {
        result = error_set(err, ERROR_USAGE, "%s is a group of %zu targets, and -o names one file",
                           r->target, targets.n);
        error_hint(err, "without -o each gets its own files in %s", b->options.output);
    }
    for (size_t i = 0; i < targets.n && !result; i++)
        result = write_documents(b, targets.nodes[i], r, print, context, err);
    free(targets.nodes);
    return result;
}

// SPDX-License-Identifier: Apache-2.0
// The order of nodes, and what their keys depend on.
#include "test.h"

#include "graph/graph.h"
#include "graph/job.h"

#include <stdint.h>
#include <string.h>

static struct node *add(struct graph *g, const char *name, const char *identity)
{
    struct node *node = graph_add(g, NODE_ARTIFACT, name, name);
    buf_puts(&node->identity, identity);
    node->identified = true;
    return node;
}

static void made(struct node *node, const char *content)
{
    struct node_output *o = xcalloc(1, sizeof *o);
    o->name = xstrdup("tarball");
    digest_bytes(content, strlen(content), o->digest);
    graph_set_outputs(node, o, 1);
    node->state = NODE_DONE;
}

TEST(every_node_comes_after_what_it_needs)
{
    struct graph g = {0};
    struct node *image = add(&g, "image", ""), *kernel = add(&g, "kernel", ""),
                *initrd = add(&g, "initrd", "");
    graph_need(image, kernel, true);
    graph_need(image, initrd, true);
    graph_need(initrd, kernel, false);
    struct node **order = graph_order(&g, NULL);
    assert_ptr_equal(order[0], kernel);
    assert_ptr_equal(order[1], initrd);
    assert_ptr_equal(order[2], image);
    free(order);
    graph_free(&g);
}

TEST(a_cycle_is_spelled_out)
{
    struct graph g = {0};
    struct node *a = add(&g, "a", ""), *b = add(&g, "b", ""), *c = add(&g, "c", "");
    graph_need(a, b, true);
    graph_need(b, c, true);
    graph_need(c, b, true);
    cleanup_error struct error *err = NULL;
    assert_null(graph_order(&g, &err));
    assert_non_null(strstr(err->message, "b -> c -> b"));
    graph_free(&g);
}

TEST(a_key_depends_on_what_its_inputs_are_not_on_how_they_were_made)
{
    char keys[3][DIGEST_HEX_SIZE];
    static const char *const contents[] = {"same", "same", "other"};
    static const char *const identities[] = {"variable A 1\n", "variable A 2\n", "variable A 2\n"};
    for (int i = 0; i < 3; i++) {
        struct graph g = {0};
        struct node *input = add(&g, "input", identities[i]), *top = add(&g, "top", "x\n");
        struct node *along = add(&g, "along", "");
        graph_need(top, input, true);
        graph_need(top, along, false);
        assert_false(graph_ready(top));
        graph_key(input);
        made(input, contents[i]);
        assert_true(graph_ready(top));
        graph_key(top);
        memcpy(keys[i], top->key, DIGEST_HEX_SIZE);
        graph_free(&g);
    }
    assert_string_equal(keys[0], keys[1]);
    assert_string_not_equal(keys[1], keys[2]);
}

// A record gives its node an epoch, that of a source's tree; the key is made again in one run when
// more becomes known.
TEST(a_key_is_the_same_after_a_record_gave_the_node_its_epoch)
{
    struct graph g = {0};
    struct node *source = add(&g, "source", "x\n"), *top = add(&g, "top", "");
    struct job job = {0};
    char first[DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE];
    source->data = &job;
    digest_bytes("tree", 4, digest);
    json_auto_t *record =
        json_pack("{s:i, s:[{s:s, s:s, s:s, s:i}]}", "epoch", 1700000000, "outputs", "name", "tree",
                  "digest", digest, "kind", "tree", "size", 4);
    graph_need(top, source, true);
    graph_key(source);
    memcpy(first, source->key, DIGEST_HEX_SIZE);
    assert_true(outputs_from_record(source, record));
    assert_int_equal(source->epoch, 1700000000);
    graph_key(top);
    assert_int_equal(top->epoch, 1700000000);
    graph_key(source);
    assert_string_equal(source->key, first);
    // And the key of what needs it, once the record was read again.
    memcpy(first, top->key, DIGEST_HEX_SIZE);
    assert_true(outputs_from_record(source, record));
    graph_key(top);
    assert_string_equal(top->key, first);
    graph_free(&g);
}

TEST(a_change_is_shown_as_a_pair)
{
    struct buf out = {0};
    graph_explain_change("a 1\nfile x 11\nfile y 22\n", "a 1\nfile x 33\nfile z 44\n", &out);
    assert_string_equal(out.data, "- file x 11\n+ file x 33\n- file y 22\n+ file z 44\n");
    buf_free(&out);
}

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void print_key_line(const struct key_line *line, void *context)
{
    static const char *const kinds[] = {"other", "variable", "file", "work"};
    buf_printf(context, "%s %s=%s\n", kinds[line->kind], line->name ? line->name : line->text,
               line->value ? line->value : "");
}

TEST(the_lines_of_a_key_text_are_told_apart)
{
    cleanup_buf struct buf out = {0};
    key_text_read("kbuild key 1\n"
                  "variable LOCALVERSION -kata guest\n"
                  "variable EMPTY \n"
                  "variable ALONE\n"
                  "file recipe run me.sh x " HEX "\n"
                  "file recipe build.sh x 12\n"
                  "file " HEX "\n"
                  "work builddir " HEX "\n"
                  "work times " HEX "\n",
                  print_key_line, &out);
    assert_string_equal(out.data, "other kbuild key 1=\n"
                                  "variable LOCALVERSION=-kata guest\n"
                                  "variable EMPTY=\n"
                                  "variable ALONE=\n"
                                  "file recipe/run me.sh=" HEX "\n"
                                  "other file recipe build.sh x 12=\n"
                                  "other file " HEX "=\n"
                                  "work work builddir=" HEX "\n"
                                  "other work times " HEX "=\n");
}

TEST(a_chain_of_100000_nodes_is_ordered)
{
    struct graph g = {0};
    struct node *before = NULL;
    for (int i = 0; i < 100000; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        struct node *node = add(&g, name, "");
        if (before)
            graph_need(before, node, true);
        before = node;
    }
    struct node **order = graph_order(&g, NULL);
    assert_non_null(order);
    assert_string_equal(order[0]->name, "n99999");
    assert_ptr_equal(graph_find(&g, "n500"), g.nodes[500]);
    assert_null(graph_find(&g, "nothing"));
    free(order);
    graph_free(&g);
}

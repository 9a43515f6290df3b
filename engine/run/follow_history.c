// SPDX-License-Identifier: Apache-2.0
// What a run on other machines has learned, over all of its plans: which nodes failed for good and
// why, where each was tried, which machines fail.
#include "run/follow.h"

#include "base/error.h"
#include "run/internal.h"

#include <string.h>

// Of different jobs that fail in a row on a machine until it gets no more.
enum { FAULTS_IN_A_ROW = 2 };

void follow_history_free(struct follow_history *h)
{
    strlist_free(&h->failed);
    strlist_free(&h->logs);
    strlist_free(&h->avoided);
    error_free(h->worst);
    error_free(h->again);
    json_decref(h->tries);
    json_decref(h->machines);
    *h = (struct follow_history){0};
}

// The array below the name, which is made if it is missing. Borrowed.
static json_t *list_at(json_t **object, const char *name)
{
    if (!*object)
        *object = json_object();
    json_t *list = json_object_get(*object, name);
    if (!list)
        json_object_set_new(*object, name, list = json_array());
    return list;
}

static bool list_has(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!strcmp(plan_item(list, i), text))
            return true;
    return false;
}

// Ends with 3 if a step failed, however many machines have faults besides.
static int rank_of(const struct error *e)
{
    return !e                       ? 0
           : e->kind == ERROR_AGAIN ? 1
           : e->kind == ERROR_USER  ? 2
           : e->kind == ERROR_USAGE ? 3
                                    : 4;
}

// Takes the error.
static void keep_worst(struct error **worst, struct error *why)
{
    if (rank_of(why) > rank_of(*worst)) {
        error_free(*worst);
        *worst = why;
    } else {
        error_free(why);
    }
}

const struct error *history_failure(const struct follow_history *h)
{
    return h->worst ? h->worst : h->again;
}

void history_add_failure(struct follow_history *h, const char *id, bool again, struct error *why)
{
    if (!again)
        strlist_add(&h->failed, id);
    if (why->kind == ERROR_STEP)
        strlist_add(&h->logs, id);
    keep_worst(again ? &h->again : &h->worst, why);
}

size_t history_add_try(struct follow_history *h, const char *id, const char *machine)
{
    json_t *machines = list_at(&h->tries, id);
    json_array_append_new(machines, json_string(machine));
    return json_array_size(machines);
}

const json_t *history_add_fault(struct follow_history *h, const char *id, const char *machine)
{
    json_t *row = list_at(&h->machines, machine);
    if (!list_has(row, id))
        json_array_append_new(row, json_string(id));
    if (json_array_size(row) < FAULTS_IN_A_ROW || strlist_has(&h->avoided, machine))
        return NULL;
    strlist_add(&h->avoided, machine);
    return row;
}

void history_clear_faults(struct follow_history *h, const char *machine)
{
    if (machine && h->machines)
        json_object_del(h->machines, machine);
}

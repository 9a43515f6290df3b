// SPDX-License-Identifier: Apache-2.0
// The planner's part of a node, and what others may ask of it.
#include "graph/job.h"

#include <string.h>

struct job *job_new(struct node *node, const struct recipe *r, const struct arch *target,
                    const char *label)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->recipe = r;
    job->target = target;
    node->label = xstrdup(label);
    job->label = node->label;
    node->data = job;
    return job;
}

void job_free(struct job *job)
{
    free(job->roles);
    variables_free(job->values, job->value_count);
    strlist_free(&job->constants);
    source_spec_free(&job->spec);
    source_pin_free(&job->pin);
    strlist_free(&job->arguments);
    strlist_free(&job->packages);
    strlist_free(&job->same);
    strlist_free(&job->fetched);
    distribution_free(&job->distribution);
    free(job->setup);
    free(job->image_name);
    free(job->prebuilt);
    free(job->summary);
    free(job);
}

const struct role *job_role(const struct job *job, enum role_kind kind, const char *name)
{
    for (size_t i = 0; i < job->role_count; i++)
        if (job->roles[i].kind == kind && (!name || !strcmp(job->roles[i].name, name)))
            return &job->roles[i];
    return NULL;
}

bool job_has(const struct job *job, const char *name)
{
    return job_role(job, ROLE_ARTIFACT, name) || *variable_text(job, name);
}

const struct arch *node_arch(const struct node *node)
{
    return job_of(node)->list ? NULL : job_of(node)->target; // a source is of none
}

bool node_is_target(const struct node *node)
{
    return job_of(node)->asked;
}

char *build_log_path(const struct build_options *o, const char *label)
{
    char *path = xasprintf("%s/logs/%s.log", o->output, label);
    for (char *p = path + strlen(o->output) + strlen("/logs/"); *p; p++)
        if (*p == ' ' || *p == '/' || *p == ':')
            *p = '-';
    return path;
}

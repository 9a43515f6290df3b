// SPDX-License-Identifier: Apache-2.0
// Makes what sbatch gets for one job: its script and its options.
#include "share/share.h"
#include "spread/internal.h"

char *job_script(const struct job_request *job, const char *mark)
{
    cleanup_buf struct buf text = {0};
    buf_printf(
        &text,
        "#!/bin/sh\n"
        "# kbuild makes %s; 75 means that another try may succeed.\n"
        "# A file without a name: a job that is killed leaves nothing.\n"
        "said=$(mktemp) || exit 75\n"
        "exec 9<>\"$said\"\n"
        "rm \"$said\"\n"
        "said=/proc/$$/fd/9\n"
        "tries=${SLURM_RESTART_COUNT:-0}\n"
        "for pause in " TRY_PAUSES "; do\n"
        "  status=0\n"
        "  %s 2>\"$said\" 9>&- || status=$?\n"
        "  cat \"$said\" >&2\n"
        "  [ \"$status\" = 75 ] && [ \"$pause\" != 0 ] || break\n"
        "  # No pause brings back an input or the project: others have to make it.\n"
        "  ! grep -q '^kbuild: error: .*" INPUT_LOST "' \"$said\" || break\n"
        "  tries=$((tries + 1))\n"
        "  sleep \"$pause\"\n"
        "done\n"
        "comment() { scontrol update JobId=\"$SLURM_JOB_ID\" Comment=\"%s%s$1\"; }\n"
        "# What an earlier try of this job may have made is not found.\n"
        "[ \"$status $tries\" != '0 0' ] || ! grep -q '^kbuild: .*: found, key ' \"$said\" ||\n"
        "  comment " JOB_FOUND "\n"
        "# Its last error is seen by squeue, or what the shell says if there is no kbuild.\n"
        "error=$(sed -n 's/^kbuild: error: //p' \"$said\" | tail -n 1)\n"
        "[ \"$status\" = 0 ] || comment \"$(\n"
        "  printf '%%s' \"${error:-$(grep -v '^kbuild: ' \"$said\" | tail -n 1)}\" | "
        "cut -c 1-500)\"\n"
        "exit \"$status\"\n",
        job->id, job->command, mark, *mark ? " " : "");
    return buf_take(&text);
}

void job_sbatch_options(const struct job_request *job, struct strlist *out)
{
    strlist_add(out, "--parsable");
    strlist_add(out, "--requeue"); // if its machine dies
    strlist_add(out, "--open-mode=append");
    strlist_add(out, "--kill-on-invalid-dep=yes");
    // A machine has its own cache, keys, login and proxies. In a checkout the environment has the
    // variables of the plan.
    if (job->project)
        strlist_add(out, "--export=HOME,USER,LOGNAME,PATH");
    strlist_addf(out, "--job-name=%s", job->id);
    if (job->constraint)
        strlist_addf(out, "--constraint=%s", job->constraint);
    if (job->cpus)
        strlist_addf(out, "--cpus-per-task=%lld", job->cpus);
    if (job->mem_mib)
        strlist_addf(out, "--mem=%lldM", job->mem_mib);
}

void job_sbatch_dependency(const struct strlist *after, struct strlist *out)
{
    cleanup_free char *jobs = after->n ? strlist_join(after, ":") : NULL;
    if (jobs)
        strlist_addf(out, "--dependency=afterok:%s,singleton", jobs);
    else
        strlist_add(out, "--dependency=singleton");
}

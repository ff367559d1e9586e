#ifndef SUPERVISOR_CTL_SETUP_STEPS_H
#define SUPERVISOR_CTL_SETUP_STEPS_H

/*
 * The commands of `headroomctl setup`, for this machine: the edits of master.cf, tried on a copy of
 * it, and what makes the running Postfix take them.
 */

#include "supervisor/config/config.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_setup_edit.h"

#define CTL_COMMAND_SIZE (CTL_SETUP_EDITS_SIZE + 2 * PATH_MAX)
#define CTL_STEPS_MAX 5

/* Commands for sh(1), in order. */
struct ctl_steps {
    size_t count;
    char command[CTL_STEPS_MAX][CTL_COMMAND_SIZE];
};

struct ctl_setup {
    const struct ctl *ctl;
    char path[PATH_MAX + 16]; /* of master.cf */
    char *raw;                /* the text of it */
    char *text;               /* the same, understood in place */
    struct master_file master;
    const struct master_line *line;
    char agent[CONFIG_NAME_SIZE]; /* what headroom starts for the line */
    char option[PATH_MAX + 8];    /* " -c DIRECTORY", as far as it was given */
    struct ctl_setup_edits edits;
    struct ctl_steps in, out; /* what is found; none in `in`: all is done */
};

/* 0, or CTL_FAILED after a line. */
int ctl_setup_steps(struct ctl_setup *setup);

#endif

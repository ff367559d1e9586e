#ifndef SUPERVISOR_CTL_REFUSED_H
#define SUPERVISOR_CTL_REFUSED_H

/*
 * What is logged of a start that Headroom wrote no line about: the program could not be executed, a
 * shared library was missing, a signal ended it. Only master(8) tells of that, and not of which
 * service. Where Postfix logs into maillog_file, Headroom's own lines are there, too.
 */

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/ctl/ctl.h"

struct ctl_refused {
    int looked;   /* 0, or a negative errno: maillog_file, or the journal, cannot be read */
    bool found;   /* the service was not started after it */
    bool own;     /* it is Headroom's own line, not master's */
    int64_t time; /* microseconds since 1970; out of maillog_file, the end of a second */
    char text[512];
};

/*
 * Looks at maillog_file where that is set, else at what master(8) wrote to the journal since then.
 * `started`: the last line of the service about its start there, microseconds since 1970; 0: none.
 */
void ctl_refused_find(const struct ctl *ctl, const char *service, int64_t since, int64_t started,
                      struct ctl_refused *refused);

#endif

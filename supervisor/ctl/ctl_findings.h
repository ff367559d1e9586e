#ifndef SUPERVISOR_CTL_FINDINGS_H
#define SUPERVISOR_CTL_FINDINGS_H

/*
 * What `headroomctl check` finds: one line each on standard output, and below it the cure.
 */

#include <stddef.h>

enum ctl_severity { CTL_GOOD, CTL_WARNING, CTL_WRONG };

struct ctl_findings {
    unsigned warnings;
    unsigned wrong;
};

/* `cure` NULL: none is needed, or the line says it. */
__attribute__((format(printf, 4, 5))) void ctl_found(struct ctl_findings *findings,
                                                     enum ctl_severity severity, const char *cure,
                                                     const char *format, ...);

#endif

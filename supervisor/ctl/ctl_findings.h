#ifndef SUPERVISOR_CTL_FINDINGS_H
#define SUPERVISOR_CTL_FINDINGS_H

/*
 * What `headroomctl check` finds: one line each on standard output, and below it the cure.
 */

#include <stdbool.h>
#include <stddef.h>

/* Findings that are remembered; more are rare, and were shown. */
#define CTL_FINDINGS_KEPT 16
#define CTL_FINDING_SIZE 1200

enum ctl_severity { CTL_GOOD, CTL_WARNING, CTL_WRONG };

struct ctl_findings {
    bool quiet; /* what is good is not said */
    unsigned warnings;
    unsigned wrong;
    size_t count;
    struct ctl_finding {
        enum ctl_severity severity; /* never CTL_GOOD */
        char text[CTL_FINDING_SIZE];
    } kept[CTL_FINDINGS_KEPT];
};

/* `cure` NULL: none is needed, or the line says it. */
__attribute__((format(printf, 4, 5))) void ctl_found(struct ctl_findings *findings,
                                                     enum ctl_severity severity, const char *cure,
                                                     const char *format, ...);

/* Repeats errors, then warnings, at the end, where people look. */
void ctl_findings_repeat(const struct ctl_findings *findings);

#endif

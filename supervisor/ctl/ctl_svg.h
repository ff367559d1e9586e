#ifndef SUPERVISOR_CTL_SVG_H
#define SUPERVISOR_CTL_SVG_H

/*
 * The drawing of `headroomctl plot`: five panels over time, as steps, because a figure holds until
 * the next line says another; while all is calm nothing is said, and nothing is drawn. Thresholds
 * are dashed. Pure but for the writing.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ctl_point {
    int64_t time;
    bool running;   /* false: here it ended */
    char state;     /* 'O' open, 'H' hold, 'S' shrink, 'D' shed */
    double workers; /* negative: not known, so with all that follow */
    double limit;
    double waiting;
    double available;   /* bytes */
    double working_set; /* bytes */
    double pressure;    /* percent */
};

/* What figures are compared with, as it is set now. Negative: not known, or no bound. */
struct ctl_thresholds {
    double workers_max;
    double waiting_max;
    double min_available; /* bytes */
    double memory_limit;  /* bytes */
    double hold;          /* percent */
    double target;
    bool dry_run; /* states are what would be */
};

/* `point` oldest first, at least one; the last figure holds until `end`. */
void ctl_svg_write(FILE *out, const char *service, const struct ctl_point *point, size_t count,
                   const struct ctl_thresholds *thresholds, int64_t begin, int64_t end);

#endif

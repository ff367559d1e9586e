#ifndef SUPERVISOR_CTL_GRAPH_H
#define SUPERVISOR_CTL_GRAPH_H

/*
 * A line of characters as a graph: the last values of a series, each one character high. Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#define CTL_GRAPH_MAX 240
/* Three bytes for each character, and the final NUL. */
#define CTL_GRAPH_SIZE (3 * CTL_GRAPH_MAX + 1)

struct ctl_series {
    size_t count; /* at most CTL_GRAPH_MAX, oldest first */
    double value[CTL_GRAPH_MAX];
};

/* Adds a value; the oldest leaves when it is full. */
void ctl_series_add(struct ctl_series *series, double value);

/* The last `width` values; `top` is a full block. With `blocks` in UTF-8, else in ASCII. */
void ctl_graph(const struct ctl_series *series, double top, size_t width, bool blocks,
               char text[CTL_GRAPH_SIZE]);

/* The largest of the last `width` values, and at least `least`. */
double ctl_series_top(const struct ctl_series *series, size_t width, double least);

#endif

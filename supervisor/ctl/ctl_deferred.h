#ifndef SUPERVISOR_CTL_DEFERRED_H
#define SUPERVISOR_CTL_DEFERRED_H

/*
 * When deferred mail comes back. qmgr(8) sets the modification time of a message's file below deferred/ into the future when
 * it defers the message; the first queue run after that time takes the message up. The memory is that of the struct, whatever
 * the queue has; 100,000 files take two seconds.
 */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Seconds: what is looked at one by one, a row of the table, and the window of the peak. */
#define CTL_DEFERRED_SPAN 3600
#define CTL_DEFERRED_ROW 300
#define CTL_DEFERRED_ROWS (CTL_DEFERRED_SPAN / CTL_DEFERRED_ROW)
#define CTL_DEFERRED_WINDOW 30

struct ctl_deferred {
    time_t now;
    uint64_t due;                       /* the next queue run takes them */
    uint64_t later;                     /* in CTL_DEFERRED_SPAN or more */
    uint64_t second[CTL_DEFERRED_SPAN]; /* [0]: within the second that begins at `now` */
};

/* The window of the span in which most messages come back; the first of these. */
struct ctl_deferred_peak {
    time_t from;
    uint64_t messages;
};

/*
 * Adds the files below the directory, at any depth that Postfix has. What vanishes meanwhile is not counted. `deferred` is 0
 * but for `now`. 0 or -errno of open(2), opendir(3).
 */
int ctl_deferred_scan(const char *directory, struct ctl_deferred *deferred);

/* How many files there are, no more than `most`: quick enough for a screen. 0 where it may not be read. */
uint64_t ctl_deferred_count(const char *directory, uint64_t most);

/* The rest is pure. */
void ctl_deferred_add(struct ctl_deferred *deferred, time_t time);
uint64_t ctl_deferred_all(const struct ctl_deferred *deferred);
uint64_t ctl_deferred_row(const struct ctl_deferred *deferred, unsigned row);
struct ctl_deferred_peak ctl_deferred_peak(const struct ctl_deferred *deferred);

#endif

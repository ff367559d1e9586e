#ifndef SUPERVISOR_LIMIT_LIMIT_VIEW_H
#define SUPERVISOR_LIMIT_LIMIT_VIEW_H

/*
 * What a memory sample means for the pool: the headroom, the stall and the events of one tick.
 * Internal to limit/ (limit_view.c, limit_mode.c, limit.c); the unit of everything is as in limit.h.
 */

#include "supervisor/limit/limit.h"

/* Fewer workers than this are never the cause of a stall elsewhere. */
#define FOREIGN_LEAST 32.0

/* Calm that is asked for before a mode is left, s. */
#define CALM 6.0

/* Part of a group's limit that the pool may fill: reclaim needs room, and footprints shift. */
#define LIMIT_SHARE 0.90

struct limit_view {
    double tick;     /* s since the last step, capped */
    double room;     /* headroom, bytes; negative when overspent; DBL_MAX when nothing is known */
    double room_now; /* the same, if others took no more */
    double promised; /* of it, what the young will take */
    double some;     /* fractions of time */
    double full;
    bool some_machine; /* the stall is the machine's rather than the pool's */
    bool full_machine;
    bool foreign;   /* stall of the machine alone, which has memory available */
    bool event;     /* the group met `high` or its limit, for want of more than page cache */
    uint64_t kills; /* by the OOM killer, in this tick */
    struct limit_reason memory;     /* the source that leaves the least room */
    struct limit_reason memory_now; /* and the one of room_now */
};

/* Brings the state's meters, ring and footprint up to the sample's time, and says what is seen. */
void limit_view_take(const struct limit_settings *settings, struct limit_state *state,
                     const struct memory_sample *sample, const struct limit_demand *demand,
                     struct limit_view *view);

/* Is there room for more than one worker? Asked before growth goes on (limit_mode.c). */
bool limit_roomy(const struct limit_state *state, const struct limit_demand *demand,
                 const struct limit_view *view);

/* The mode after this tick, with its reason in `held`. It rises at once, and falls after a time of calm. */
void limit_mode_update(const struct limit_settings *settings, struct limit_state *state,
                       const struct limit_demand *demand, const struct limit_view *view);

/*
 * How much of a stall that is elsewhere on the machine counts: all of it while the pool may have
 * caused it, else nothing. `stall` is that of the machine, `elsewhere` says that memory is
 * available; without that all counts.
 */
double limit_foreign(const struct limit_settings *settings, struct limit_state *state,
                     const struct limit_demand *demand, bool elsewhere, double stall, double tick);

/* By how many workers the pool's starts exceeded its ends within the last second or so. */
double limit_spent(const struct limit_state *state);

static inline double at_least(double value, double floor)
{
    return value < floor ? floor : value;
}

static inline double at_most(double value, double ceiling)
{
    return value > ceiling ? ceiling : value;
}

#endif

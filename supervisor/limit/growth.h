#ifndef SUPERVISOR_LIMIT_GROWTH_H
#define SUPERVISOR_LIMIT_GROWTH_H

/*
 * Would one more worker serve the waiting requests sooner? Memory is asked elsewhere
 * (limit/limit.h); this is about time.
 *
 * A new process costs 8 ms of CPU. Where workers come back faster than that, those that exist serve
 * the request sooner. Where the machine has no CPU to spare, more processes only share it: 5000
 * messages to a fast server took 1.3 times as long through 50 workers as through 8. But with a slow
 * server and an idle CPU each worker counts. So workers are started unless one of these holds:
 *
 *   - At the rate at which workers came back lately, all is served within GROWTH_SOON.
 *   - The requests began to wait less than GROWTH_AGAIN ago, after a pause: workers that were idle
 *     have only just got work.
 *   - All is served within GROWTH_LATER, and the dispatcher was runnable (it ran, or waited for a
 *     CPU) for CROWDED of the last time. Measured on two CPUs, 5000 messages: a third to two thirds
 *     with a server that answers at once, below a seventh with one that takes 50 ms.
 *
 * A worker that ended by itself (max_use) is replaced at once: workers that started together end
 * together, and judged one by one their places stayed empty for 0.2 s of each 2 s.
 *
 * Pure: no I/O, no clock. Times are microseconds of a clock that does not go back.
 */

#include <stdbool.h>
#include <stdint.h>

#define GROWTH_SOON 1000
#define GROWTH_LATER 100000

/* Re-evaluate after this time: the workers counted on may not return. */
#define GROWTH_AGAIN 8000

/* Returns of workers that give the rate. */
#define GROWTH_RETURNS 16

/* All zero at first. */
struct growth {
    uint64_t returned[GROWTH_RETURNS]; /* when; a ring */
    unsigned next;
    unsigned known;
    bool sampled;  /* there was a sample, so the next one tells something */
    unsigned load; /* percent of the time that the dispatcher was runnable, decaying */
    bool judged;   /* the last sample told something */
    uint64_t sample_time;
    uint64_t sample_runnable;
    uint64_t asked;  /* when growth_helps() was asked last */
    uint64_t demand; /* since when it is asked again and again */
    unsigned owed;   /* workers that ended of themselves and are not replaced yet */
    uint64_t ended;  /* when the last of them did */
};

/* A worker came back from a delivery. */
void growth_returned(struct growth *growth, uint64_t now);

/* A worker ended of itself, after its last delivery. */
void growth_ended(struct growth *growth, uint64_t now);

/* Whether it is time for growth_sample(), which costs a system call. */
bool growth_wants_sample(const struct growth *growth, uint64_t now);

/* `runnable`: us that the dispatcher ran or waited for a CPU, in all (cgroup/schedstat.h). */
void growth_sample(struct growth *growth, uint64_t runnable, uint64_t now);

/* Whether one more worker helps the requests that could run. To be asked for each worker. */
bool growth_helps(struct growth *growth, unsigned waiting, uint64_t now);

#endif

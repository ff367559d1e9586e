#ifndef SUPERVISOR_LIMIT_GROWTH_H
#define SUPERVISOR_LIMIT_GROWTH_H

/*
 * Would what waits gain from one more worker? Memory is asked elsewhere (limit/limit.h); this is about time.
 *
 * A new process costs 8 ms of CPU. While workers come back faster than that, those there are serve the request sooner; and
 * while the machine has no CPU to spare, more processes only wait for it in turn: 5000 messages to a fast server went 1.3
 * times as fast through 8 workers as through 50 (in separate runs, beside stock in each). But where the server is slow and
 * the CPU idle, each worker more counts, and a burst must not wait for a judgement. So more are started, unless it is certain
 * that they would not help:
 *
 *   - by the rate at which workers came back lately, all that wait will be served within GROWTH_SOON; or
 *   - what waits began to wait less than GROWTH_AGAIN ago, after a pause: those that were idle have only just got work; or
 *   - within GROWTH_LATER, and the dispatcher, whose own lot is that of the machine seen by one process, was runnable (it ran
 *     or waited for a CPU, not for work) for CROWDED of the last time. Measured on two CPUs, 5000 messages: a third to two
 *     thirds with a server that answers at once, below a seventh with one that takes 50 ms, but for the moments in which
 *     workers start.
 *
 * A worker that ended of itself (max_use) is replaced without being judged again: those that started together end together,
 * and judged one by one their places stayed empty for up to 0.2 s of each 2 s.
 *
 * Pure: no I/O, no clock. Times are microseconds of a clock that does not go back.
 */

#include <stdbool.h>
#include <stdint.h>

#define GROWTH_SOON 1000
#define GROWTH_LATER 100000

/* When it helps none, it is asked again after so long: perhaps nobody comes back. */
#define GROWTH_AGAIN 8000

/* The rate is judged by so many that came back. */
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

/* `runnable`: microseconds, ever, that the dispatcher ran or waited for a CPU (cgroup/schedstat.h). */
void growth_sample(struct growth *growth, uint64_t runnable, uint64_t now);

/* So many wait that could run: does it help them to start one more? To be asked for each one. */
bool growth_helps(struct growth *growth, unsigned waiting, uint64_t now);

#endif

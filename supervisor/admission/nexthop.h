#ifndef SUPERVISOR_ADMISSION_NEXTHOP_H
#define SUPERVISOR_ADMISSION_NEXTHOP_H

/*
 * Does a next hop answer? Pure functions over one struct: no table, no clock, no destination.
 *
 * A delivery says one of three things of its next hop: a server was reached (whatever it then said), no server was reached
 * (connection refused, no greeting, a greeting that refuses to talk), or nothing (its worker died).
 *
 *   up --NEXTHOP_FAILURES in a row that reached no server--> down --one that reached it, or lasts--> up
 *
 * WHILE IT IS DOWN all its mail waits but for probes: one message after PROBE_FIRST (25 ms), the next after twice that, then one
 * each PROBE_MOST (1.5 s), and at most NEXTHOP_PROBES at a time where a failure takes long. What was under way before
 * has no say: a server that stops may still finish what it has.
 *
 * A server that refuses 30 % of all connections is not down: six refusals in a row come once in 1400 deliveries, and the first
 * probe follows after 25 ms. A probe that has run for a second longer than two failures take has reached the server
 * (nexthop_lasts()): where a delivery takes 8 s, mail need not wait for its end.
 *
 * CROWDED. Dovecot serves 100 connections and hangs up on the next, others greet it with 421. A refusal beside more than stock would
 * have under way, while the server answers others, says that these are too many: for a minute there are no more than stock's, then
 * more are tried. Each time that this is refused, too, it is for twice as long, up to an hour.
 *
 * SILENT. A server that accepts connections and says nothing makes no failure for minutes. The deliveries to it hang, as
 * stock's do, and go on when it does. Nothing is held back for it, because a slow server looks the same; it is told to people.
 *
 * Times are us, CLOCK_MONOTONIC, as in admission.h.
 */

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/admission/admission_view.h"
#include "supervisor/base/list.h"

/* Failures in a row that make a next hop down: all that it costs beside what was under way. */
#define NEXTHOP_FAILURES 6

/* Probes at a time. Each holds a worker for as long as a failure takes. */
#define NEXTHOP_PROBES 4

/* The longest time between two probes: the full rate is back within two seconds. */
#define NEXTHOP_PROBE_MOST (3 * ADMISSION_SECOND / 2)

struct nexthop {
    char name[ADMISSION_KEY];
    uint64_t hash;     /* of the name */
    uint32_t turn;     /* how often its place was given to another one */
    unsigned members;  /* destinations whose mail goes there */
    unsigned parts;    /* waiting or in flight */
    unsigned waiting;  /* of these */
    struct list queue; /* destinations with mail that waits; the first is the next probe's */
    unsigned queued;
    unsigned review; /* of these, those that have to be placed again */

    bool down;
    bool given_up;        /* down for so long that nothing is hoped for (admission_nexthop.c) */
    unsigned failures;    /* in a row */
    unsigned probes;      /* in flight */
    int64_t failed_since; /* the first of them */
    int64_t down_since;   /* what began before has no say */
    int64_t failure_time; /* what the longest of them took */
    int64_t probe_due;
    int64_t probe_pause;
    int64_t probe_began;   /* of the latest */
    int64_t last_contact;  /* a server was reached; ADMISSION_NEVER */
    int64_t usual;         /* decaying mean of the time until then */
    unsigned unheard;      /* deliveries that hang and began after that */
    int64_t unheard_since; /* the start of the first of them */
    int64_t heard_again;   /* when the last silence ended; ADMISSION_NEVER */
    int64_t spares_until;  /* in it; ADMISSION_NEVER: nobody is spared for it */
    int64_t crowded_until;
    int64_t crowded_for; /* the last time; 0: it never was */
};

/* All zero but the name and the hash is a good start, with these. */
void nexthop_init(struct nexthop *hop);

/* A delivery that began at `began` has reached a server: the next hop answers. True: it was down. */
bool nexthop_reached(struct nexthop *hop, int64_t began, int64_t now);

/* A delivery that began at `began` has reached no server. True: it is down from now on. */
bool nexthop_failed(struct nexthop *hop, int64_t began, int64_t now);

/* A delivery beside more than stock's number has reached no server. Lately one did: they are too many. */
void nexthop_crowds(struct nexthop *hop, int64_t lately, int64_t now);

/* It is up, and nothing is known of it. */
void nexthop_up(struct nexthop *hop);

/* A delivery that began at `began` has been under way for slow_after. */
void nexthop_hangs(struct nexthop *hop, int64_t began);

/* When the next probe may start, while it is down; ADMISSION_NEVER: not before one has ended. */
int64_t nexthop_probe_due(const struct nexthop *hop);

void nexthop_probe_starts(struct nexthop *hop, int64_t now);
void nexthop_probe_ends(struct nexthop *hop);

/* Its probe lasts for longer than failures do: up from now on. To be asked while it is down. */
bool nexthop_lasts(struct nexthop *hop, int64_t now);

/* When nexthop_lasts() would say so, or ADMISSION_NEVER. */
int64_t nexthop_lasts_due(const struct nexthop *hop);

/* It is silent, or was so within the last slow_after: deliveries that hang are not their destinations' fault. */
bool nexthop_silenced(const struct nexthop *hop, int64_t slow_after, int64_t now);

/* The time is over in which mail was spared for its silence: what waits has to be placed again. True once. */
bool nexthop_unspares(struct nexthop *hop, int64_t now);

enum admission_nexthop_state nexthop_state(const struct nexthop *hop, int64_t slow_after,
                                           int64_t now);

#endif

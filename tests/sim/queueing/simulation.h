#ifndef TESTS_SIM_QUEUEING_SIMULATION_H
#define TESTS_SIM_QUEUEING_SIMULATION_H

/*
 * What the files of tests/sim/queueing.c share:
 *
 *   simulation.c  the model: events, servers, and admission in the middle, called as the dispatcher calls it
 *   cases.c       the cases: what mail there is, and what has to be reached
 *   figures.c     what came of it
 *
 * All times are in us, from 0 on. A broken promise of the core ends the program with status 2.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/admission/admission_view.h"

#define WORKERS 64 /* unless the case says otherwise */
#define ROOM 4000  /* waiting.max */
#define PARTS (ROOM + 20000)
#define DOMAINS 6000
#define MESSAGES 24000
#define EVENTS (2 * MESSAGES + 100)
#define MS INT64_C(1000)

/* The flush comes at 10 s; good mail goes on until 100 s; the end is at 160 s. */
#define FLUSH (10 * ADMISSION_SECOND)
#define GOOD_END (100 * ADMISSION_SECOND)
#define END (160 * ADMISSION_SECOND)

enum server { HEALTHY, DEAD, SLOW, BUSY, LATE, SECOND, DYING };

enum event_kind { EVENT_ARRIVE, EVENT_END, EVENT_WAKE };

struct event {
    int64_t at;
    uint64_t order;
    enum event_kind kind;
    int index;
};

struct domain {
    char name[24];
    enum server server;
    unsigned offered, delivered;
    int64_t share; /* deliveries while every contender of the case waits */
};

struct message {
    int domain;
    int64_t arrived;
    int64_t ended; /* 0: not delivered */
    bool first, good, deferred;
    enum admission_outcome outcome;
    int64_t service;
    unsigned part;
};

struct simulation {
    struct admission *admission;
    struct event *events;
    size_t event_count;
    uint64_t order;
    uint64_t random;
    int64_t now, heal, dies, wake, until;
    struct domain *domains;
    int domain_count;
    struct message *messages;
    int message_count;
    int held[PARTS]; /* message of a part */
    unsigned free_parts[PARTS], free_count;
    unsigned workers, in_flight, peak;
    int64_t busy_time, busy_since, wanted_time;
    int64_t *deferrals;
    int deferral_count;
};

/* One case: how it is set up, and what it has to reach. A goal of 0 is not checked. */
struct scenario {
    const char *name;
    const char *what;
    void (*set_up)(struct simulation *);
    double p99; /* s, of the good mail */
    double jain;
    unsigned workers;    /* 0 for WORKERS */
    unsigned peak_least; /* workers at once */
    unsigned peak_most;
    bool all_good;      /* every good message is delivered */
    bool none_deferred; /* of the good mail */
    bool healed;        /* at the end every destination with traffic is proven and nothing waits */
};

/* What came of a case with all its seeds together: sums, but for the two peaks. */
struct total {
    double *waits;
    size_t wait_count, good, delivered, good_deferred, deferred, untried;
    double utilisation, jain, busiest;
    unsigned peak_least, peak_most;
    unsigned unhealed;
};

/* simulation.c */

/* Takes the memory of a simulation, which is used again for each run. Not having it is a broken promise, too. */
void simulation_create(struct simulation *sim);
void simulation_destroy(struct simulation *sim);

/* Runs it to the end. What is in admission then can be looked at until simulation_end. */
void simulation_run(struct simulation *sim, const struct scenario *scenario, uint64_t seed);
void simulation_end(struct simulation *sim);

/* Adds the time since the last call to how long workers were busy. */
void simulation_account(struct simulation *sim);

_Noreturn void simulation_broken(const char *what);

/* For the cases: chance, a new domain (its number), and a message for it. */
uint64_t simulation_random(struct simulation *sim);
double simulation_uniform(struct simulation *sim);
int64_t simulation_between(struct simulation *sim, int64_t low, int64_t high);
int simulation_domain(struct simulation *sim, enum server server);
void simulation_mail(struct simulation *sim, int64_t at, int domain, bool first, bool good);

/* cases.c */

/* The case with that number from 0 on, or NULL. */
const struct scenario *cases_at(size_t number);

/* figures.c */

/* Adds a run that is at its end. There is room for all its waits. */
void figures_add(struct simulation *sim, struct total *total);

/* To be called after the last one, before those below. */
void figures_sort(struct total *total);

/* The goal that was missed, or NULL. */
const char *figures_missed(const struct scenario *goal, const struct total *total, unsigned seeds);

/* One line, of a table with that head. */
void figures_print_head(void);
void figures_print(const struct scenario *scenario, const struct total *total, unsigned seeds,
                   const char *why);

#endif

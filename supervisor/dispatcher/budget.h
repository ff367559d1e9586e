#ifndef SUPERVISOR_DISPATCHER_BUDGET_H
#define SUPERVISOR_DISPATCHER_BUDGET_H

/*
 * What the dispatcher may hold: descriptors and bytes of requests. Below all modules that take
 * either of them; it calls none.
 *
 * DIAGNOSTICS: a lack of descriptors is logged (EVENT_DESCRIPTORS), rate-limited.
 */

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/report/complaints.h"

struct budget {
    struct complaints *complaints;
    unsigned clients_max;   /* connections of clients at a time */
    uint64_t held;          /* bytes of requests, parts of split requests included */
    bool descriptors_short; /* nothing is accepted or started until the next tick */
};

/*
 * How many clients `descriptors` (RLIMIT_NOFILE) allow, at most `wanted`: two each, and two for
 * each of `workers_max` workers. When these are too few for all workers, a client and the worker
 * that it keeps busy cost four together. At least 1. Pure.
 */
unsigned budget_clients(uint64_t descriptors, unsigned wanted, unsigned workers_max);

/* The same with the limit of this process. `complaints` must outlive the budget. */
void budget_init(struct budget *budget, struct complaints *complaints, unsigned wanted,
                 unsigned workers_max);

/* At the start: a line where fewer are allowed than `wanted`, so that at most `room` wait. */
void budget_say(const struct budget *budget, unsigned wanted, unsigned room);

/* Is this errno a lack of descriptors or of kernel memory, which passes? */
bool budget_is_short(int error);

/* No descriptor could be had: `error` is the errno. */
void budget_descriptors_short(struct budget *budget, int error, uint64_t now);

#endif

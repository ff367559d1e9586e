#ifndef AGENTS_REUSE_H
#define AGENTS_REUSE_H

/*
 * A request that lets its agent take over a connection of another one, and leave its own to others.
 *
 * qmgr(8) says so in the flags of a request while deliveries to the next hop follow each other, and
 * it says so at the moment of sending, which is when stock has a process for it. We take requests
 * before there is a worker: of 1200 at once the first 230 were sent before the first was delivered,
 * so none of them used a connection again (324 sessions; stock: 107). Therefore it is decided once
 * more when a worker gets the request. An agent that is told not to cache connections
 * (lmtp_connection_cache_on_demand) ignores it.
 *
 * Where more requests to a next hop are held than there are agents, some of these are going to have
 * two. So the first deliveries leave their connections, too: of 2000 at once to a new pool 40 were
 * begun before the first one ended, and their connections were lost (152 sessions; stock: 111).
 *
 * Otherwise deliveries follow each other only while another request to the next hop is held: qmgr(8)
 * forgets a destination when the last of its mail has gone. A connection that is left to others,
 * fetched and tried costs more than a new one (0.3 ms of 1.3 where one message a time is delivered).
 *
 * Pure: no I/O, no clock, no globals.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/request.h"

/* Next hops that are known at a time. Two that fall on the same place share it: harmless. */
#define REUSE_NEXTHOPS 64

/* Deliveries follow each other when the last one ended within this time: qmgr(8)'s, by whole
 * seconds, is one to two. Microseconds. */
#define REUSE_WITHIN UINT64_C(2000000)

/* All zero at first. */
struct reuse {
    struct reuse_place {
        uint64_t nexthop; /* a hash: who was answered last, and when */
        uint64_t answered;
        uint64_t first;   /* a hash: whose requests are counted */
        unsigned counted; /* requests to that one */
        unsigned held;    /* requests to all next hops of this place */
        bool known;
    } place[REUSE_NEXTHOPS];
};

/* A request is held from now on, and is not any more: each one once. */
void reuse_arrived(struct reuse *reuse, const struct request *request, const char *bytes);
void reuse_left(struct reuse *reuse, const struct request *request, const char *bytes);

/* A held request to its next hop was answered by an agent. */
void reuse_answered(struct reuse *reuse, const struct request *request, const char *bytes,
                    uint64_t now);

/*
 * Is the request to be sent with the two flags that it has not? `bytes` are those that were parsed;
 * a part that was made of them (agents/split.h) has the same flags at the same place. There are
 * `agents`, idle and starting ones included.
 */
bool reuse_wanted(const struct reuse *reuse, const struct request *request, const char *bytes,
                  unsigned agents, uint64_t now);

/* The size of a request or part of `length` bytes with the flags, and its bytes with them. */
size_t reuse_size(const struct request *request, size_t length);
void reuse_write(const struct request *request, const char *bytes, size_t length, char *buffer);

#endif

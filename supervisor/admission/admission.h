#ifndef SUPERVISOR_ADMISSION_H
#define SUPERVISOR_ADMISSION_H

/*
 * Who may run: destinations, lanes, windows and the waiting room.
 *
 * The limit says how many workers there may be; this module says which waiting part gets the next one, and which part
 * has to be deferred because waiting cannot help it. It is pure: no I/O, no clock, no globals, and after
 * admission_create() no allocation. The dispatcher calls it and acts on the answers.
 *
 * PARTS. A part is the unit that runs: one delivery request, or one destination's share of a request that was split. The
 * caller numbers its parts 0 .. parts-1 and passes the number as a handle; a handle is used by at most one part at a
 * time. The life of a handle:
 *
 *     free --arrive--> waiting --next--> chosen --started--> running --finished--> free
 *                       ^  |               |  |
 *                       |  +--join--> joined --finished--> free, or --put_back--> waiting; before its leader
 *                       +--park--- chosen: it is parked for a second at most, and waits again by itself
 *                       |  |               |  |
 *                       |  |               |  +--cancel--> free (the connection to qmgr broke before the bytes left)
 *                       |  |               +--put_back--> waiting (the worker vanished before it took anything)
 *                       |  +--expire, shed, cancel--> free (the caller defers it, or forgets it)
 *                       |  +--victim--> victim --leave, cancel--> free, or --leave--> waiting
 *
 * A call that does not fit the state returns -EINVAL and changes nothing; for the caller that is a broken promise.
 *
 * DESTINATIONS. A destination is the recipient's domain also where every domain shares one next hop, because that is who
 * is slow or dead (the caller may choose another key: destination.key). It is known by the bytes of its key, lower case
 * already. Keys longer than ADMISSION_KEY - 1 bytes are folded: a prefix and a checksum. The table is bounded; a
 * destination that has nothing waiting nor in flight can be evicted, least recently used first.
 *
 * LANES, by evidence, in the order served; a destination's evidence is read when it is looked at, so it ages by itself:
 *
 *     proven   a delivery within `proven_for`, on the average faster than `slow_after`, and nothing hangs now
 *     first    the part was never tried before and nothing is known of the destination; or the destination's last sign
 *              of life was good or a quick answer (greylisting), though not recent enough to be proven
 *     passed   as first, but found no slot within `patience`: behind newer ones, ahead of all retries
 *     slow     delivers, but slower than `slow_after`
 *     unknown  a retry to a destination of which nothing is known
 *     dead     fails or hangs, no success within `proven_for`
 *
 * Every lane has a share of the limit that it holds together with the lanes below it (admission_share()). Newcomers leave a
 * few slots to the proven, as many as those used lately; passed, unknown and dead also leave some to newcomers. Each has
 * one slot in any case, and a lane that was passed over 64 times gets the next slot: nothing starves while slots turn over.
 * What is started for a destination of which nothing is known costs a token, given back when the answer is quick, and one more
 * when it was a delivery; not while fewer than an eighth of the limit run, nor where all such destinations fit into half of the
 * limit and those that are tried answer. When many newcomers wait at once it is a flood, and all of them are passed over. The constants, with the figures that justify
 * them, are in admission_share.c.
 *
 * WINDOWS. One at a time until the first success, then `window`, one more per success while it is used, one less per failure,
 * none less for being slow; one for the dead. Windows are for fairness while slots are short: a destination that delivers, or
 * first attempts where no other destination waits for its first start, go beyond them as long as three eighths of their lane's
 * share are free. A destination that holds half of the limit gets more only when nobody else can use the slot. What runs longer than
 * `slow_after` beside deliveries that began later has left the window: it is charged to the slow lane, and says
 * nothing of its destination when it fails. Failures in a row delay the next start (destination_lane.c), up to eight seconds.
 *
 * JOINT PARTS. Parts of one request that wait for different destinations may run as one part, in one worker, as stock would send
 * them. They wait apart, each in the queue of its destination, so lanes, windows and deferrals stay as they are; they are joined
 * when one of them, the leader, is chosen: the caller offers the others that wait, and admission takes those that fit
 * (admission_join()). So the evidence is that of the moment of the start. destination_joins() is the rule:
 *
 *     proven     goes along with proven ones, as many as there are. Each counts in the window of its destination; beyond it only
 *                five eighths of the limit may have it along, so that one that dies does not take all workers with it, or
 *                as many as there are of the leader's destination: then nobody else wanted the slot.
 *     never seen goes along with others never seen, JOIN_NEW (4) in all, on a first attempt and only while nothing else is under
 *                way to it. Who hangs harms three others, once. The next mail to them waits for the answer, at most JOIN_WAIT (1 s),
 *                and so does what is proven in the same request: together they are one part then (admission_park()).
 *     any other  runs alone: slow, dead, failing, unknown, paced, with a known number at a time, or unfit.
 *
 * A joint part takes one worker and one slot: the leader's, in the leader's lane, paid with the leader's token. Its time is nobody's
 * alone: each destination learns its share of the time, and only when all were delivered. One that takes longer than
 * `slow_after` is charged to the slow lane, as any other; longer than what its destinations take one by one (twice that, and
 * `slow_after` on top), or not delivered to some: then these are unfit to be joined until a part of their own was delivered, but
 * for those that delivered something else in the meantime.
 * What is unfit is neither slow nor dead for that.
 *
 * NEXT HOPS. A delivery that reaches no server (ADMISSION_UNREACHED) says nothing of its destination where the next hop is that of
 * three destinations, or the only one. After six of them in a row the next hop is down (nexthop.h): its mail waits, but for a
 * probe each 1.5 s at most; destinations keep their evidence, and are neither backed off nor charged a token. One delivery that
 * reaches the server lets all go on. What waits for it is deferred after `waiting_time`, as for a dead destination. After a third
 * of that it is given up: what waits may have to leave a full room (before, only where there are other next hops), what may not
 * be deferred is tried, and qmgr(8) is told of failures. Where each domain has a next hop of its own its failures are the domain's.
 *
 * DEFERRALS. A part leaves undelivered when the room is full, when its destination fails or is dead and has had it for
 * `waiting_time` or has more than its backlog, when it has waited for `waiting_most`, or in SHED; never when it is exempt, and
 * never because its destination is slow, as long as it delivers. They leave one by one over `spread`, at random distances,
 * because Postfix brings back together what was deferred together. The victims of a full room take no place in it any more;
 * they leave over ten minutes, so that one queue run brings at most half of them, and what has begun to deliver by then waits again.
 * First attempts to a destination of which nothing could be heard yet, for `slow_after` from its first mail, are no victims:
 * it may be a healthy one, to which a burst is on its way.
 *
 * HELD. An operator may hold destinations (admission_hold()): their mail waits, but for what is exempt. It takes no worker, and
 * leaves only when the room is full, in SHED, or after `waiting_most`, whatever is known of them.
 *
 * MEMORY. 648 bytes a destination, 112 a part, when touched; 12 to 20 a destination beside that for the tables.
 *
 * TIME is CLOCK_MONOTONIC in microseconds, signed, because what is remembered may lie before the boot. It must not run
 * backwards between calls. ADMISSION_NEVER stands for "never", both in the past and in the future.
 *
 * COST. Every call costs a bounded number of steps whatever the number of destinations and parts, except a logarithm
 * where destinations have to be paced. admission_counters.steps counts them, so that a test can see it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMISSION_NEVER INT64_MIN
#define ADMISSION_SECOND INT64_C(1000000)

/* Room for a key with its final NUL. Most domains have less than 40 bytes; longer ones are folded, not refused. */
#define ADMISSION_KEY 96

/* The most parts and destinations that can be asked for; handles and sums stay far from overflow. */
#define ADMISSION_PARTS_MAX 1000000
#define ADMISSION_DESTINATIONS_MAX 1000000

/* Destinations that can be held. */
#define ADMISSION_HELD_MAX 64

enum admission_lane {
    ADMISSION_PROVEN,
    ADMISSION_FIRST,
    ADMISSION_PASSED,
    ADMISSION_SLOW,
    ADMISSION_UNKNOWN,
    ADMISSION_DEAD,
    ADMISSION_LANES
};

enum admission_outcome {
    ADMISSION_DELIVERED, /* status 0: every recipient was delivered or bounced, nothing is left in the queue */
    ADMISSION_FAILED, /* deferred with a DSN: the agent says that the destination itself is at fault */
    ADMISSION_DEFERRED, /* deferred without one: the destination answered, or the recipient is at fault */
    ADMISSION_UNREACHED,  /* deferred, and no server was reached: the next hop is at fault */
    ADMISSION_LOST,       /* the worker died; nothing is learned about the destination */
    ADMISSION_UNDELIVERED /* of a joint part: its recipients are not done, and nobody can tell why */
};

/* The time of a delivery that says nothing of its destination: others were in the same part and failed. */
#define ADMISSION_UNTIMED INT64_MIN

/* From the configuration; admission_defaults() fills it in. Times in us. */
struct admission_settings {
    int64_t slow_after;   /* a delivery that takes this long is slow, or hangs while it runs */
    int64_t proven_for;   /* how long a success or a failure counts as evidence */
    int64_t patience;     /* a first attempt that waited this long goes behind newer ones */
    int64_t waiting_time; /* waiting.time: then a part of a slow or dead destination is deferred */
    int64_t
        waiting_most; /* and then any other too: for no answer within daemon_timeout qmgr(8) ends with an error. 0: no bound */
    int64_t spread;   /* deferrals of a flood leave over this time */
    unsigned backlog; /* destination.backlog: waiting parts of a dead destination that are kept */
    unsigned window;  /* a destination's window after its first success */
    unsigned
        stock; /* so many workers are started whether they raise a destination's rate or not: stock would have them */
    uint64_t seed[2]; /* for the hash and the jitter; random in production */
};

struct admission;

void admission_defaults(struct admission_settings *settings);

/*
 * NULL when there is not enough memory or a number is 0 or above its maximum. `destinations` is raised to `parts` + 1, so that a part that
 * arrives always finds room for its destination. Memory that was never touched costs nothing.
 */
struct admission *admission_create(const struct admission_settings *settings, unsigned parts,
                                   unsigned destinations);
void admission_destroy(struct admission *admission);

struct admission_arrival {
    const char *key; /* lower case, need not end in NUL; copied */
    size_t key_length;
    const char *nexthop; /* where it is sent: several destinations may share it; copied */
    size_t nexthop_length;
    bool
        first; /* never tried: active_arrival - incoming_arrival < 60 s (postfix-protocol.md, MSG_STATS) */
    bool exempt;  /* never to be deferred by us: over-age mail, address probes */
    int64_t pace; /* destination.pace for this key: shortest time between two starts, 0 for none */
};

/* -EINVAL: the handle is out of range or in use. */
int admission_arrive(struct admission *admission, unsigned part,
                     const struct admission_arrival *arrival, int64_t now);

enum admission_answer {
    ADMISSION_START, /* `part` is chosen */
    ADMISSION_EMPTY, /* nothing waits */
    ADMISSION_LIMIT, /* as many are in flight as the limit allows */
    ADMISSION_HELD   /* what waits may not start now: windows, shares, pace, tokens */
};

struct admission_choice {
    enum admission_answer answer;
    unsigned part;            /* with ADMISSION_START */
    enum admission_lane lane; /* with ADMISSION_START: the lane it runs in */
    int64_t again; /* else: when to ask again if nothing else happens, or ADMISSION_NEVER */
};

/* The limit L that counts, of the one that memory allows: less where the only next hop is crowded (nexthop.h). */
unsigned admission_limit(const struct admission *admission, unsigned limit, int64_t now);

/* To be called whenever a worker is free, with the limit L of the moment. */
struct admission_choice admission_next(struct admission *admission, unsigned limit, int64_t now);

/*
 * DRY RUN, and where qmgr(8) waits for us (router_window.c). The part, which waits, is chosen whatever admission_next()
 * would do. -> whether that might have chosen one of its destination now: ADMISSION_START, ADMISSION_LIMIT or ADMISSION_HELD.
 */
int admission_start_anyway(struct admission *admission, unsigned part, unsigned limit, int64_t now);

/*
 * May the part, which waits, be started by that in a run in earnest? Whatever its lane, its window and its failures say; but
 * not against an operator's hold or pace, a next hop that is down, or the number that its server takes at a time.
 */
bool admission_may_anyway(struct admission *admission, unsigned part, int64_t now);

/* Is there one next hop for all mail? */
bool admission_one_nexthop(const struct admission *admission);

/* May others go along with this chosen part? For not asking for each of them. */
bool admission_joins(const struct admission *admission, unsigned leader, int64_t now);

/*
 * Is the answer of a first attempt awaited, for which the next mail to the destination of this part waits? Then the chosen
 * `leader`, a proven one of the same request, may be parked until that answer is there: 1; or it is not worth to wait: 0.
 */
bool admission_awaits(const struct admission *admission, unsigned part, int64_t now);
int admission_park(struct admission *admission, unsigned leader, int64_t now);

/*
 * `part`, which waits or is parked, goes along with `leader`, which is chosen: 1; or it stays where it is: 0. -EINVAL: one of the two is
 * not in that state. Both are of one request, and of different destinations. `limit` is L.
 */
int admission_join(struct admission *admission, unsigned leader, unsigned part, unsigned limit,
                   int64_t now);

/* The same where all go along that admission_join() said 0 of: in a dry run, or because the request may not be split. */
int admission_join_anyway(struct admission *admission, unsigned leader, unsigned part, int64_t now);

/*
 * Of a request that is split by evidence only: a part that waits or is chosen runs alone if an operator holds or paces its
 * destination, and not with others if these would have to wait for it, as far as is known.
 */
bool admission_alone(const struct admission *admission, unsigned part);
bool admission_holds_up(const struct admission *admission, unsigned part, int64_t now);

/*
 * When to ask again if nothing else happens, as in admission_choice.again, without choosing anything: for the moment when there is
 * no free worker to choose for. ADMISSION_NEVER when only an event can let something start.
 */
int64_t admission_due(struct admission *admission, unsigned limit, int64_t now);

/*
 * How many parts could start now if that many workers were free, at most `most`. For deciding how many workers to start:
 * zero exactly when admission_next() would choose nothing; above one it may err upwards by destinations that wait in two lanes.
 * What waits belongs to so many `requests`: proven parts of one run as one.
 */
unsigned admission_runnable(struct admission *admission, unsigned limit, int64_t now, unsigned most,
                            unsigned requests);

/*
 * The same in *runnable; -> how many of these would be delivered sooner if more workers were started: all, while less than `stock`
 * are in flight that do not hang; above that none of a destination that takes twice its least time (destination_rate.c). Idle
 * workers are for all.
 */
unsigned admission_gaining(struct admission *admission, unsigned limit, int64_t now, unsigned most,
                           unsigned requests, unsigned *runnable);

/* The worker took the bytes of a chosen part: its service time runs from `now`. */
int admission_started(struct admission *admission, unsigned part, int64_t now);

/* A chosen or joined part goes back to the head of its queue, nothing learned. Its waiting time begins anew. */
int admission_put_back(struct admission *admission, unsigned part, int64_t now);

/*
 * A chosen, running or joined part has ended after `service` us. Those that went along end before their leader, each with its
 * own outcome and its share of the time: the time divided by the number of parts, or ADMISSION_UNTIMED. 1: its next hop is, or
 * may be, down; it is rested here, and qmgr(8) should not do the same for minutes.
 */
int admission_finished(struct admission *admission, unsigned part, enum admission_outcome outcome,
                       int64_t service, int64_t now);

/* Holds the destinations with these keys, at most ADMISSION_HELD_MAX, and no others. What runs goes on. */
void admission_hold(struct admission *admission, const char *const *keys, size_t count,
                    int64_t now);

/* A waiting or chosen part is gone, nothing learned. */
int admission_cancel(struct admission *admission, unsigned part, int64_t now);

/*
 * The waiting room is full: the newest part of the destination with the longest queue, of those that are not known to deliver,
 * waits no more. admission_leave() has it when its time comes. -1 where only mail to working destinations waits, or
 * such as is spared: nothing more is to be accepted until some of it ran.
 */
int admission_victim(struct admission *admission, int64_t now);

/* How much is spared; and one of it, as above, for the moment when it cannot be held. */
unsigned admission_spared(struct admission *admission, int64_t now);
int admission_victim_spared(struct admission *admission, int64_t now);

struct admission_leave {
    int part; /* or -1 */
    bool
        stays; /* it waits again; else the caller has to defer it (4.4.5), and its handle is free */
    int64_t again; /* with -1: when to ask again, or ADMISSION_NEVER */
};

enum admission_space {
    ADMISSION_FULL,  /* no place is left in the room */
    ADMISSION_SPACE, /* one more may wait */
    ADMISSION_ROOMY  /* a good part of it is free */
};

/*
 * The next of the victims. `hurry`: whatever the time is. With space for one more in the room it waits again if its
 * destination is known to deliver by now; without, such a one stays a victim for longer. In a room that is free for a good part
 * also one of whose destination nothing is known waits again, at once.
 */
struct admission_leave admission_leave(struct admission *admission, bool hurry,
                                       enum admission_space space, int64_t now);

/*
 * Other deferrals. Each of the two gives the handle of a part that the caller has to defer, and frees the handle; or -1, and in
 * *again (unless NULL) when it is worth to ask again, ADMISSION_NEVER when only an event can change the answer.
 */

/* A part that waited too long for a slow or dead destination, or that is more than its backlog. Paced. */
int admission_expire(struct admission *admission, int64_t now, int64_t *again);

/* To be called in SHED only: a part that got no worker within `grace` us (4.3.2). Paced. */
int admission_shed(struct admission *admission, int64_t grace, int64_t now, int64_t *again);

/* The share of the limit that a lane holds together with the lanes below it. */
unsigned admission_share(enum admission_lane lane, unsigned limit);

const char *admission_lane_name(enum admission_lane lane);

/* The key of a part's destination, as it is kept. The part is not free. */
const char *admission_key(const struct admission *admission, unsigned part);

#endif

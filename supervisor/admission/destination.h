#ifndef SUPERVISOR_DESTINATION_H
#define SUPERVISOR_DESTINATION_H

/*
 * The inside of admission.h: its structs, the destination table, what is learned, and where a destination stands.
 * Only admission*.c, destination*.c include this.
 *
 * A destination stands in at most one of: the ring of its lane (something waits and its window is open), the list of the
 * heavy (as the ring, but it holds half of the limit), the heap of the paced. Beside that it may stand in the list of
 * first attempts, and in the ring of those that have more to start than their windows allow. destination_place() is the one
 * function that decides where; it is called after every change.
 */

#include "supervisor/admission/admission_view.h"
#include "supervisor/admission/nexthop.h"
#include "supervisor/base/list.h"
#include "supervisor/limits.h"

/* What is moved on by the clock is moved this many at a time, so that no call takes long after a pause. */
#define SWEEP 32

/* Where a part is in its life. Zero is free, as calloc leaves it. */
enum part_state {
    PART_FREE,
    PART_WAITING,
    PART_CHOSEN,
    PART_RUNNING,
    PART_JOINED,
    PART_PARKED,
    PART_VICTIM
};

/* With whom a destination's part may go along, see admission.h, JOINT PARTS. */
enum join { JOIN_NOT, JOIN_NEW, JOIN_PROVEN };

struct part {
    struct destination *destination;
    struct list
        queue; /* waiting: in a queue of its destination; joined: of its leader, whose `queue` is the head;
                          parked: of all that are */
    struct list
        time; /* waiting and not exempt: by arrival; in flight: by start; victims: as they became it */
    struct part *leader;  /* joined */
    int64_t expected;     /* of a leader: what the destinations of the joint part take one by one */
    unsigned members;     /* of a leader: parts that go along */
    int64_t since;        /* waiting: arrival; in flight: start */
    int64_t looked;       /* waiting for too long: when that was seen */
    int64_t parked_until; /* or was; at most once */
    unsigned parked_turn; /* answers of first attempts until then */
    uint16_t level; /* how many its destination had in flight when it began, itself included */
    uint8_t state;
    uint16_t nexthop; /* its number + 1; 0: none */
    uint8_t charge;   /* hanging: the lane it is charged to, apart from its destination's */
    bool joint;       /* it is, or was, one of several in one worker */
    bool first;
    bool exempt;
    bool token;   /* it took a token, which a quick answer gives back */
    bool hanging; /* in flight for longer than slow_after */
    bool probe;   /* in flight to a next hop that is down */
    bool trying;  /* in flight, started in a lane of which nothing is known */
    bool silent;  /* and that for longer than SILENT_AFTER */
};

/* The four queues of a destination; exempt parts apart, so that the newest part that may be deferred is always a tail. */
enum queue { QUEUE_FIRST, QUEUE_FIRST_EXEMPT, QUEUE_RETRY, QUEUE_RETRY_EXEMPT, QUEUES };

/*
 * Orders by number of deferrable parts: of all destinations; of those that have to leave a full room; and of those that are
 * spared, since nothing could be heard of them yet.
 */
enum length_order { LENGTH_ALL, LENGTH_VICTIMS, LENGTH_SPARED, LENGTHS };

struct length {
    uint32_t longer; /* neighbours among the destinations with as many, as number + 1 */
    uint32_t shorter;
    unsigned count; /* 0: not in the order */
};

struct destination {
    char key[ADMISSION_KEY];
    uint64_t hash;
    uint32_t chain;   /* next in the bucket of the hash table, as number + 1; 0 is the end */
    uint32_t heap_at; /* place in the heap of the paced, 0 when not in it */
    struct length length[LENGTHS];
    struct list use;        /* idle (least recently used last) or busy */
    struct list ready;      /* ring of a lane, or the heavy */
    struct list first;      /* first attempts: newcomers, or passed over */
    struct list spare;      /* ring of those that may go beyond their windows */
    struct list over;       /* has more waiting than its backlog */
    struct list of_nexthop; /* waits, and has a next hop */
    struct list fresh;      /* some of its mail is spared */
    struct list queue[QUEUES];
    unsigned waiting_first;
    unsigned waiting_retry;
    unsigned deferrable; /* waiting and not exempt */
    unsigned exempt;     /* waiting and exempt */
    unsigned in_flight;
    unsigned joined; /* went along with others: in nobody's slot */
    unsigned parked;
    unsigned victims;
    unsigned hanging;
    unsigned window;   /* grows and falls; destination_window() is what counts */
    unsigned failures; /* in a row */
    unsigned most;     /* at a time, whatever else is free (destination_most.c); 0: not known */
    unsigned
        enough; /* with `most`: so many reach the same rate (destination_round.c); 0: not known */
    unsigned tried_from;    /* while one of them is tried: what it was */
    unsigned round_count;   /* deliveries of a round */
    unsigned round_levels;  /* sum of their levels */
    unsigned refused_level; /* with `most`: beside so many it refused */
    unsigned refusals;      /* beside so many or more, less what was delivered there */
    unsigned score;         /* refused where others were delivered, less what was delivered */
    unsigned level;         /* the highest beside which it delivered lately */
    unsigned delivered;     /* since `most` was changed */
    unsigned turn;          /* starts, to let retries in between first attempts */
    unsigned counted_ready; /* what it adds to lane.startable, and to the first lane's */
    unsigned counted_first;
    unsigned counted_spare;
    unsigned counted_stretched; /* of what it adds to startable and beyond */
    unsigned counted_hanging;   /* of what it adds to stretched_hanging */
    unsigned counted_over;
    unsigned counted_doomed;
    unsigned counted_waits; /* of what it adds to waits[wait] */
    uint32_t nexthop_turn;  /* of that next hop when it was found */
    uint16_t nexthop;       /* all its mail goes there: number + 1; 0: none, or several */
    uint8_t lane;           /* by evidence */
    uint8_t charge;         /* the lane all its in-flight parts are charged to */
    uint8_t ready_lane;     /* the ring it stands in */
    uint8_t first_lane;     /* ADMISSION_FIRST or ADMISSION_PASSED */
    uint8_t spare_lane;     /* the ring of which lane */
    uint8_t stretched_lane;
    uint8_t wait; /* enum admission_wait */
    bool heavy;
    bool hung;           /* its last failure was a hang */
    bool refused;        /* its last failure was a refused connection */
    bool stretched;      /* so it was when it was counted */
    bool rounds;         /* since `most` is known: destination_round.c */
    bool more;           /* the next try is a larger number */
    bool unfit;          /* to be joined, until it has delivered alone */
    bool held;           /* by an operator */
    uint8_t hold;        /* enum nexthop_hold: what waits for its next hop, or is held */
    int64_t since;       /* in this lane */
    int64_t first_since; /* as a newcomer */
    int64_t seen;        /* it had nothing before */
    int64_t pace;
    int64_t last_start;
    int64_t due; /* in the heap: when it may start again */
    int64_t last_success;
    int64_t last_failure;
    int64_t last_answer; /* a quick answer that was not a success */
    int64_t level_time;  /* of `level` */
    int64_t doubted;     /* what began before says nothing of levels */
    int64_t any_number;  /* when it refused a part that was alone */
    int64_t last_hang;   /* start of the newest part that was seen hanging */
    int64_t join_until;  /* a first attempt went along with others: the next waits for its answer */
    int64_t service;
    int64_t tried_rate; /* at `tried_from` */
    int64_t round_from;
    int64_t round_sum;  /* of times */
    int64_t hold_until; /* no other number is tried */
    int64_t least;      /* destination_rate.c; 0: not known */
    int64_t least_time;
    uint64_t deferred;
};

struct lane {
    struct list ring; /* destinations that may start one; for first attempts: newest first */
    unsigned in_flight;
    unsigned startable; /* what the destinations of the ring could start by their windows */
    struct list spare;  /* destinations that could start more than that */
    unsigned beyond;    /* how many more */
    unsigned stretched; /* of those that could start: more workers would not raise their rate */
    unsigned missed;    /* starts elsewhere while it had something to start */
};

struct admission {
    struct admission_settings settings;
    struct lane lane[ADMISSION_LANES];
    struct list heavy;
    struct list idle; /* destinations, most recently used first */
    struct list busy;
    struct list over;
    struct list arrived; /* waiting parts that may be deferred, by arrival */
    struct list
        late; /* of those, they waited too long but not for a slow destination; by last look */
    struct list started;    /* parts in flight, by start, for up to SILENT_AFTER */
    struct list unanswered; /* the same, from then on, those not known as hanging */
    struct list parked;     /* parts that wait for the answer of a first attempt, by the time */
    struct list
        lasting; /* joint parts in flight for longer than slow_after, not yet for longer than expected */
    struct list hanging; /* parts in flight, by start, the rest */
    struct list victims; /* parts that have to leave, the first one first */
    struct list fresh;   /* destinations of which mail is spared, the oldest first */

    struct destination *destinations;
    uint32_t *buckets; /* of the hash table: number + 1 */
    uint32_t
        *lengths[LENGTHS]; /* by deferrable parts: number + 1 of a destination that has that many */
    struct destination **heap; /* from 1 */
    struct part *part_array;
    size_t mapped[4 + LENGTHS];
    uint32_t bucket_mask;
    unsigned parts;
    unsigned destinations_max;
    unsigned destinations_used; /* ever taken from the array */
    unsigned heap_used;
    unsigned longest[LENGTHS]; /* the highest number of deferrable parts of any destination */
    unsigned limit;            /* L of the last call that told it */
    unsigned waiting;
    unsigned in_flight;
    unsigned hanging_count;     /* of these */
    unsigned stretched;         /* what could start of stretched destinations */
    unsigned stretched_hanging; /* of hanging_count, those that only wait for each other */
    unsigned parked_count;
    unsigned answers;                /* of joint first attempts */
    unsigned over_count;             /* parts more than their destinations' backlogs */
    unsigned doomed;                 /* deferrable parts of slow and dead destinations */
    unsigned waits[ADMISSION_WAITS]; /* parts, by what their destinations wait for */

    struct nexthop nexthops[NEXTHOPS_MAX];
    unsigned nexthop_count;
    unsigned nexthop_probes; /* in flight */
    unsigned nexthop_hand;   /* who is looked at first when a place is needed */
    bool nexthop_trouble;    /* one may be down, or was */

    char held_key[ADMISSION_HELD_MAX][ADMISSION_KEY];
    unsigned held; /* keys of destinations that an operator holds */

    unsigned newcomers; /* destinations in the list of the lane of first attempts */
    int64_t tokens;     /* millionths */
    int64_t credit;     /* the same, beyond the size of the bucket: quick answers lately */
    int64_t gathered;   /* newcomers wait for tokens until then; ADMISSION_NEVER: none do */
    bool few;           /* then all who wait may start without */
    unsigned trying;    /* parts in flight that are trying, and those of them that are silent */
    unsigned silent;
    int64_t token_time;
    int64_t tick_time;
    int64_t proven_peak; /* millionths of slots that the proven used, decaying */
    unsigned first_turn;
    int64_t expire_at;    /* pacing of deferrals */
    unsigned expire_left; /* parts that had to leave still, after the last one */
    int64_t expire_end;   /* the current flood should have left by then */
    int64_t shed_at;
    unsigned victim_count;
    unsigned victim_most; /* at a time since there was none */
    int64_t victim_at;    /* the next one leaves */
    unsigned spared;      /* parts */
    uint64_t random;

    int64_t swept;       /* what the clock changes was looked at (admission_next.c) */
    int64_t swept_again; /* and is to be looked at again */
    bool changed;        /* something else has changed since */

    struct admission_counters count;
};

/* admission_hold.c: does an operator hold the destination of this key? */
bool admission_holds(const struct admission *admission, const char *kept);

/* destination.c: the table */
/* The key as it is kept, see admission.h; returns its length. */
size_t destination_key(char kept[ADMISSION_KEY], const char *key, size_t length);
uint64_t destination_hash(const struct admission *admission, const char *kept, size_t length);
struct destination *destination_get(struct admission *admission, const char *key, size_t length);
struct destination *destination_find(const struct admission *admission, const char *key,
                                     size_t length);
/* It has mail that waits or is under way. */
bool destination_busy(const struct destination *destination);
/* To be called when it went from idle to busy or back. */
void destination_use(struct admission *admission, struct destination *destination);
/* Its place in an order, with so many deferrable parts. */
void destination_length_change(struct admission *admission, struct destination *destination,
                               enum length_order order, unsigned count);
static inline void destination_length(struct admission *admission, struct destination *destination,
                                      enum length_order order, unsigned count)
{
    if (destination->length[order].count != count)
        destination_length_change(admission, destination, order, count);
}

/* destination_lane.c: evidence */
/* What hangs is not the destination's fault when it delivered something that began later. */
bool destination_alive(const struct destination *destination);
enum admission_lane destination_evidence(const struct admission_settings *settings,
                                         const struct destination *destination, int64_t now);
unsigned destination_window(const struct destination *destination);
/* In flight as far as the window is concerned: what hangs at a destination that delivers other mail has left it. */
unsigned destination_used(const struct destination *destination);
/* It fails, or hangs until it fails: waiting does not help its mail. False for one that is slow and delivers. */
bool destination_hopeless(const struct destination *destination);
/* Its mail is never the victim of a full room: it delivers, or did so lately. */
bool destination_works(const struct admission_settings *settings,
                       const struct destination *destination);
/*
 * Nothing can be known of it yet: it has had mail for less than `slow_after`, or others like it are delivered to (`hopes`), and
 * it is only behind them.
 */
bool destination_unheard(const struct admission_settings *settings,
                         const struct destination *destination, bool hopes, int64_t now);
/* The lane that a part is charged to when it hangs. */
enum admission_lane destination_hang_lane(const struct destination *destination);
/* Shortest time between starts: what is configured, or longer after failures in a row. */
int64_t destination_pace(const struct destination *destination);
void destination_learn(const struct admission_settings *settings, struct destination *destination,
                       enum admission_outcome outcome, int64_t service, int64_t now);
/* destination_most.c: what an outcome says of the number at a time. */
void destination_most(const struct admission_settings *settings, struct destination *destination,
                      enum admission_outcome outcome, unsigned level, int64_t service, int64_t now);
/* destination_round.c */
/* A delivery that began as the `level`th took so long. To be called after destination_most(). */
void destination_round(struct destination *destination, unsigned level, int64_t service,
                       int64_t now);
/* So many at a time, whatever else is free; 0: no bound. */
static inline unsigned destination_number(const struct destination *destination)
{
    return destination->enough > 0 ? destination->enough : destination->most;
}
/* For so many more it is worth to start workers, where it is not stretched. */
unsigned destination_gains(const struct admission_settings *settings,
                           const struct destination *destination);
/* destination_rate.c */
/* A delivery took so long. */
void destination_rate(struct destination *destination, int64_t service, int64_t now);
/* Its deliveries take twice the least time or more: those in flight wait for each other. */
bool destination_stretched(const struct destination *destination);
/* How many of its waiting parts are more than it may keep. */
unsigned destination_excess(const struct admission_settings *settings,
                            const struct destination *destination);

/* destination_join.c: whose parts may be joined, and what a joint part says */
/* `others`: deliveries under way to it, but for the one that is asked for. */
enum join destination_joins(const struct admission_settings *settings,
                            const struct destination *destination, bool first, unsigned others,
                            int64_t now);
/* Is it slow, dead, failing, unfit or with a known number at a time? Others would have to wait for it. */
bool destination_holds_up(const struct admission_settings *settings,
                          const struct destination *destination, int64_t now);
/* May one more of a proven destination go along with one of `leader`, at this limit? */
bool destination_has_seat(const struct destination *destination, const struct destination *leader,
                          unsigned limit);
void destination_learn_joint(const struct admission_settings *settings,
                             struct destination *destination, enum admission_outcome outcome,
                             int64_t service, int64_t now);

/* destination_place.c: standing */
enum destination_why {
    PLACE_ARRIVAL, /* a part arrived: a newcomer goes to the front */
    PLACE_TURN,    /* it had its turn, or missed it */
    PLACE_KEEP     /* anything else */
};
void destination_place(struct admission *admission, struct destination *destination,
                       enum destination_why why, int64_t now);
/* Those whose pace is over get ready; -> when the next one is due, or ADMISSION_NEVER. */
int64_t destination_unpace(struct admission *admission, int64_t now);

/* admission_next.c */
/* admission_runnable(), and how many of them are not of stretched destinations. */
unsigned admission_count_runnable(struct admission *admission, unsigned limit, int64_t now,
                                  unsigned most, unsigned requests, unsigned *gaining);

/* admission_join.c */
/* A joint part has been in flight for longer than slow_after; -> where it stands from now on: lasting or hanging. */
struct list *admission_joint_hangs(struct admission *admission, struct part *leader, int64_t now);
/* Looks at some of those that last: who has taken longer than expected? */
void admission_joint_sweep(struct admission *admission, int64_t now);
/* Takes back what was parked, into its queue; -> when the next one is due, or ADMISSION_NEVER. */
int64_t admission_unpark(struct admission *admission, int64_t now);
void admission_unpark_one(struct admission *admission, struct part *part);
/* Takes a part out of the joint part it went along with: it has ended, or its leader goes alone. */
void admission_unjoin(struct admission *admission, struct part *part, bool ended);

/* admission.c */
/* Takes a part out of flight; what it was worth is the caller's business. */
void admission_land(struct admission *admission, struct part *part, bool give_back);
struct part *admission_part(struct admission *admission, unsigned number, enum part_state least,
                            enum part_state most);
/* It waits in the queue of its destination. */
void admission_queue(struct admission *admission, struct part *part, bool at_head, int64_t now);

/* A part that waits is chosen in that lane. `spare`: beyond its window, which takes no token. */
void admission_begin(struct admission *admission, struct part *part, enum admission_lane lane,
                     bool spare, int64_t now);
/* Takes a waiting part out of every list; the part keeps its destination. */
void admission_unqueue(struct admission *admission, struct part *part);
/* admission_wait.c: takes a victim out of those that have to leave. */
void admission_spare(struct admission *admission, struct part *part);
/* Frees a part that was taken out, and lets its destination stand anew. */
void admission_release(struct admission *admission, struct part *part, int64_t now);

#endif

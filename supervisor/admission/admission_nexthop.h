#ifndef SUPERVISOR_ADMISSION_ADMISSION_NEXTHOP_H
#define SUPERVISOR_ADMISSION_ADMISSION_NEXTHOP_H

/*
 * Next hops inside of admission: the table of them (admission_nexthop_table.c), and what one that is down means for the destinations
 * behind it (admission_nexthop.c). What is learned of a single one is in nexthop.h. Only admission*.c, destination*.c include this.
 */

#include "supervisor/admission/destination.h"

/* So many destinations behind one next hop make it a server that several share. */
#define NEXTHOP_SHARED 3

/* admission_nexthop_table.c */
/* By its number, 0: NULL; and that of a destination, or NULL. */
static inline struct nexthop *admission_nexthop_at(struct admission *admission, unsigned number)
{
    return number == 0 ? NULL : &admission->nexthops[number - 1];
}
static inline struct nexthop *admission_nexthop_of(struct admission *admission,
                                                   const struct destination *destination)
{
    struct nexthop *hop = admission_nexthop_at(admission, destination->nexthop);

    return hop && hop->turn == destination->nexthop_turn ? hop : NULL;
}
/* A part arrives for that next hop; to be called before it is queued. */
void admission_nexthop_arrives(struct admission *admission, struct part *part, const char *name,
                               size_t length);
/* The destination is forgotten, or its mail goes elsewhere. */
void admission_nexthop_forget(struct admission *admission, struct destination *destination);
/* The part waits from now on, or no more. */
void admission_nexthop_waits(struct admission *admission, const struct part *part, bool waits);
/* It is freed. */
void admission_nexthop_leaves(struct admission *admission, struct part *part);

/* admission_nexthop.c */
/* It is in flight no more. */
void admission_nexthop_lands(struct admission *admission, struct part *part);
void admission_nexthop_hangs(struct admission *admission, const struct part *part);

/* What is held back of a destination's mail: nothing, all, or all that may be deferred. */
enum nexthop_hold { NEXTHOP_FREE, NEXTHOP_HELD, NEXTHOP_EXEMPT_ONLY };
/* What of it waits for its next hop? Enters it there, or takes it out. */
enum nexthop_hold admission_nexthop_holds(struct admission *admission,
                                          struct destination *destination);
/* Its next hop is down: waiting for long does not help its mail. */
bool admission_nexthop_down(struct admission *admission, const struct destination *destination);
/* Its next hop does not answer, but not for long, and no other is there: its mail need not leave a full room. */
bool admission_nexthop_spares(struct admission *admission, const struct destination *destination,
                              int64_t now);

/* Whose mail is to be the next probe now, or NULL; and the part is one. */
struct destination *admission_nexthop_probe(struct admission *admission, int64_t now);
enum admission_lane admission_nexthop_lane(const struct destination *destination);
void admission_nexthop_probes(struct admission *admission, struct part *part, int64_t now);

enum nexthop_fault {
    NEXTHOP_INNOCENT,    /* the outcome is the destination's evidence */
    NEXTHOP_FAULT,       /* it is the next hop's */
    NEXTHOP_FAULT_ALONE, /* it is, and the destination is the only one there */
    NEXTHOP_RESTS /* it is, and its mail is, or may soon be, held back: qmgr(8) need not rest it */
};
/* Tells the next hop of an outcome. */
enum nexthop_fault admission_nexthop_ended(struct admission *admission, const struct part *part,
                                           enum admission_outcome outcome, int64_t now);
/* What the clock changes; -> when to look again, or ADMISSION_NEVER. */
int64_t admission_nexthop_sweep(struct admission *admission, int64_t now);

#endif

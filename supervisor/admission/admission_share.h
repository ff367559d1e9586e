#ifndef SUPERVISOR_ADMISSION_SHARE_H
#define SUPERVISOR_ADMISSION_SHARE_H

/*
 * Shares of the lanes, and tokens for those of whom nothing is known (admission.h, LANES). `limit` is L everywhere.
 * Inside of admission.h, as destination.h is.
 */

#include "supervisor/admission/destination.h"

/* The clock's part: refill, decay. To be called before the others. */
void share_advance(struct admission *admission, unsigned limit, int64_t now);
static inline bool share_takes_token(enum admission_lane lane)
{
    return lane == ADMISSION_FIRST || lane == ADMISSION_PASSED || lane == ADMISSION_UNKNOWN;
}
/* Tokens that the lane may take, when `spent` are gone already. */
unsigned share_tokens(const struct admission *admission, enum admission_lane lane, unsigned limit,
                      unsigned spent);
/* When there will be one, ADMISSION_NEVER when there is. */
int64_t share_token_due(const struct admission *admission, enum admission_lane lane, unsigned limit,
                        int64_t now);
/* Those of whom nothing is known answer when they are tried, or none is tried. And lately one of them was delivered to. */
bool share_answered(const struct admission *admission);
bool share_hopes(const struct admission *admission);
/* Parts go from `started` to `unanswered`, by the clock. */
void share_sweep(struct admission *admission, int64_t now);
/* Are those of whom nothing is known, and who wait, few? To be called when all stand where they belong. */
void share_gather(struct admission *admission, unsigned limit, int64_t now);
/* A part begins in this lane, or begins anew with its worker; it ends. */
void share_try(struct admission *admission, struct part *part, enum admission_lane lane);
void share_end(struct admission *admission, struct part *part);
/* It was delivered quickly: more of those of whom nothing is known may be tried. */
void share_credit(struct admission *admission, const struct part *part);
/* So many newcomers may wait for their turn; if there are more, it is a flood. */
unsigned share_newcomers(unsigned limit);
void share_spend(struct admission *admission, struct part *part, enum admission_lane lane);
void share_give_back(struct admission *admission, struct part *part);
/* In flight in the lane and those below it. */
unsigned share_nested(const struct admission *admission, enum admission_lane lane);
/*
 * The same for destinations that go beyond their windows: as long as three eighths of the lane's share are free. Who is not known to
 * deliver does so only with first attempts, and while no other destination waits for its first start.
 */
unsigned share_spare(const struct admission *admission, enum admission_lane lane, unsigned limit,
                     unsigned total, unsigned sum);
/* How many more the lane may start with `total` in flight, `sum` of them nested. Its own first slot needs no reserve. */
unsigned share_room(const struct admission *admission, enum admission_lane lane, unsigned limit,
                    unsigned total, unsigned sum);
/* May it start one more now, its tokens included? */
bool share_has_room(const struct admission *admission, enum admission_lane lane, unsigned limit);

#endif

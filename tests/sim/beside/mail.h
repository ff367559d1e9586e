#ifndef TESTS_SIM_BESIDE_MAIL_H
#define TESTS_SIM_BESIDE_MAIL_H

/* What mail there is in a case, and what the servers do: plan.set_up. */

#include "tests/sim/beside/model.h"

void one_site_burst(struct plan *plan, struct model *model);
void two_bursts(struct plan *plan, struct model *model);
void slow_200(struct plan *plan, struct model *model);
void slow_400(struct plan *plan, struct model *model);
void slow_many(struct plan *plan, struct model *model);
void newcomers_20(struct plan *plan, struct model *model);
void newcomers_50(struct plan *plan, struct model *model);
void newcomers_500(struct plan *plan, struct model *model);
void fallback(struct plan *plan, struct model *model);
void poison_1(struct plan *plan, struct model *model);
void poison_4(struct plan *plan, struct model *model);
void poison_5(struct plan *plan, struct model *model);
void poison_10(struct plan *plan, struct model *model);
void poison_middle(struct plan *plan, struct model *model);
void locked(struct plan *plan, struct model *model);
void refused_user(struct plan *plan, struct model *model);
void restarted(struct plan *plan, struct model *model);
void restarted_one(struct plan *plan, struct model *model);
void own_queue(struct plan *plan, struct model *model);
void own_lines(struct plan *plan, struct model *model);
void own_jitter(struct plan *plan, struct model *model);
void sessions_20(struct plan *plan, struct model *model);
void shared_1200(struct plan *plan, struct model *model);
void shared_slow(struct plan *plan, struct model *model);
void flushed(struct plan *plan, struct model *model);
void over_age(struct plan *plan, struct model *model);
void cold_3(struct plan *plan, struct model *model);
void cold_8(struct plan *plan, struct model *model);
void forty_dead(struct plan *plan, struct model *model);
void forty_dead_new(struct plan *plan, struct model *model);
void dead_120(struct plan *plan, struct model *model);
void dead_300(struct plan *plan, struct model *model);
void dead_1500(struct plan *plan, struct model *model);
void dead_24(struct plan *plan, struct model *model);
void dead_200(struct plan *plan, struct model *model);
void full_room(struct plan *plan, struct model *model);

#endif

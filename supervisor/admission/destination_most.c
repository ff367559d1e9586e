/*
 * How many at a time a destination takes: learned from what it refuses, and only then.
 *
 * A server with a queue of its own answers 421 at once when that is full. A quick temporary error may mean many other things
 * (greylisting, one locked mailbox), and no reply tells which. But what is refused for there being too many begins beside more
 * than anything that was delivered. So each part knows how many its destination had in flight when it began, its level:
 *
 *   - refused above all levels that were delivered lately: the levels in between are tried no more, `most` binds;
 *   - delivered, of those levels, more than refused: that had another reason, and nothing binds;
 *   - refused alone: the number is not the reason, and nothing is learned for a while.
 *
 * Levels are those of the start. On a busy machine messages reach the server in another order, and one that began beside many
 * is delivered by chance. So where SCORE more are refused than delivered, what was delivered lately is no proof (case 9j: of 500
 * messages 453 were refused, now 88). And one refusal alone, where no number is known, is one mailbox (7d: p99 0.85 s, stock 0.30).
 *
 * After RAISE times `most` deliveries one more is tried, which costs at most one refusal. tests/sim/beside.c, case 9: 500 messages
 * at once to such a server, which takes 30: stock has 468 refused.
 */

#include "supervisor/admission/destination.h"

#define RAISE 4
#define SCORE 8
#define SCORE_FIRST 2

/* So long a level that was delivered counts, and a destination that refuses single deliveries is not asked again. */
#define LEVEL_AGE (60 * ADMISSION_SECOND)

static void delivered(struct destination *destination, unsigned level, int64_t begun, int64_t now)
{
    if (destination->score > 0)
        destination->score--;
    if (begun < destination->doubted)
        return;
    if (level >= destination->level || now - destination->level_time > LEVEL_AGE) {
        destination->level = level;
        destination->level_time = now;
    }
    if (destination->most == 0)
        return;
    if (level >= destination->refused_level) {
        if (destination->refusals == 0 || --destination->refusals == 0)
            destination->most = 0;
        return;
    }
    if (level > destination->most)
        destination->most = level;
    if (destination->enough == 0 && ++destination->delivered >= RAISE * destination->most) {
        destination->most++;
        destination->delivered = 0;
    }
}

static void refused(struct destination *destination, unsigned level, int64_t begun, int64_t now)
{
    bool lately = destination->level > 0 && now - destination->level_time <= LEVEL_AGE;
    unsigned known = lately ? destination->level : 0;
    unsigned needed = level <= known ? SCORE : destination->most > 0 ? 1 : SCORE_FIRST;

    if (level < 2) {
        destination->most = 0;
        destination->any_number = now;
        return;
    }
    if (destination->any_number != ADMISSION_NEVER && now - destination->any_number < LEVEL_AGE)
        return;
    if (destination->most > 0 && level >= destination->refused_level) {
        destination->refusals++;
        if (destination->most < destination->refused_level)
            return; /* of the same wave */
    }
    if (begun < destination->doubted)
        return;
    if (++destination->score < needed)
        return;
    if (level <= known) {
        known = destination->level = 0;
        destination->doubted = now;
    }
    destination->score = 0;
    destination->refused_level = level;
    destination->refusals = 1;
    destination->most = known > level / 2 ? known : level / 2;
    destination->delivered = 0;
}

void destination_most(const struct admission_settings *settings, struct destination *destination,
                      enum admission_outcome outcome, unsigned level, int64_t service, int64_t now)
{
    if (outcome == ADMISSION_DELIVERED)
        delivered(destination, level, now - service, now);
    else if (outcome != ADMISSION_LOST && service < settings->slow_after)
        refused(destination, level, now - service, now);
}

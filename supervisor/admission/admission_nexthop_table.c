/*
 * The table of next hops: who is behind which, and how much waits for each. See admission.h, NEXT HOPS.
 */

#include <string.h>

#include "supervisor/admission/admission_nexthop.h"

static struct nexthop *find(struct admission *admission, const char *name, uint64_t hash)
{
    for (unsigned i = 0; i < admission->nexthop_count; i++) {
        struct nexthop *hop = &admission->nexthops[i];

        if (hop->hash == hash && strcmp(hop->name, name) == 0)
            return hop;
    }
    return NULL;
}

/* One that nothing is under way to, the next in turn. NULL: there is none. */
static struct nexthop *evict(struct admission *admission)
{
    for (unsigned i = 0; i < NEXTHOPS_MAX; i++) {
        struct nexthop *hop = &admission->nexthops[admission->nexthop_hand];

        admission->nexthop_hand = (admission->nexthop_hand + 1) % NEXTHOPS_MAX;
        if (hop->parts == 0 && hop->members < NEXTHOP_SHARED) {
            *hop = (struct nexthop){.turn = hop->turn + 1};
            return hop;
        }
    }
    return NULL;
}

/* `likely`: whom it probably is, or NULL. */
static struct nexthop *get(struct admission *admission, const char *name, size_t length,
                           struct nexthop *likely)
{
    char kept[ADMISSION_KEY];
    size_t keep = destination_key(kept, name, length);
    uint64_t hash = destination_hash(admission, kept, keep);
    struct nexthop *hop = likely;

    if (!hop || hop->hash != hash || strcmp(hop->name, kept) != 0)
        hop = find(admission, kept, hash);
    if (hop)
        return hop;
    hop = admission->nexthop_count < NEXTHOPS_MAX ? &admission->nexthops[admission->nexthop_count++]
                                                  : evict(admission);
    if (!hop)
        return NULL;
    memcpy(hop->name, kept, keep + 1);
    hop->hash = hash;
    nexthop_init(hop);
    return hop;
}

void admission_nexthop_forget(struct admission *admission, struct destination *destination)
{
    struct nexthop *hop = admission_nexthop_of(admission, destination);

    if (hop) {
        hop->queued -= list_linked(&destination->of_nexthop);
        hop->members--;
    }
    list_remove(&destination->of_nexthop);
    destination->nexthop = 0;
}

/* A destination whose mail goes to several next hops at once has none: what one of them does is not the others' fault. */
void admission_nexthop_arrives(struct admission *admission, struct part *part, const char *name,
                               size_t length)
{
    struct destination *destination = part->destination;
    struct nexthop *before = admission_nexthop_of(admission, destination);
    struct nexthop *hop = length > 0 ? get(admission, name, length, before) : NULL;

    if (hop != before) {
        admission_nexthop_forget(admission, destination);
        if (hop && !destination_busy(destination)) {
            destination->nexthop = (uint16_t)(hop - admission->nexthops + 1);
            destination->nexthop_turn = hop->turn;
            hop->members++;
        }
    }
    part->nexthop = destination->nexthop;
    if (part->nexthop != 0)
        admission_nexthop_at(admission, part->nexthop)->parts++;
}

void admission_nexthop_waits(struct admission *admission, const struct part *part, bool waits)
{
    struct nexthop *hop = admission_nexthop_at(admission, part->nexthop);

    if (hop && waits)
        hop->waiting++;
    else if (hop)
        hop->waiting--;
}

void admission_nexthop_leaves(struct admission *admission, struct part *part)
{
    struct nexthop *hop = admission_nexthop_at(admission, part->nexthop);

    if (hop)
        hop->parts--;
    part->nexthop = 0;
}

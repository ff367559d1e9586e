/*
 * The table of destinations: a hash table with chains by number, an order of last use, and an order by length of queue.
 */

#include "supervisor/admission/admission_nexthop.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

/* A keyed hash (SipHash-1-3's rounds), so that a sender who makes up domains cannot make them collide. */
struct hash_state {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t value, unsigned by)
{
    return (value << by) | (value >> (64 - by));
}

static inline void hash_round(struct hash_state *state)
{
    state->a += state->b;
    state->b = rotate(state->b, 13) ^ state->a;
    state->a = rotate(state->a, 32);
    state->c += state->d;
    state->d = rotate(state->d, 16) ^ state->c;
    state->a += state->d;
    state->d = rotate(state->d, 21) ^ state->a;
    state->c += state->b;
    state->b = rotate(state->b, 17) ^ state->c;
    state->c = rotate(state->c, 32);
}

static inline void hash_word(struct hash_state *state, uint64_t word)
{
    state->d ^= word;
    hash_round(state);
    state->a ^= word;
}

static uint64_t hash_bytes(const uint64_t seed[2], const char *bytes, size_t length)
{
    struct hash_state state = {seed[0] ^ 0x736f6d6570736575U, seed[1] ^ 0x646f72616e646f6dU,
                               seed[0] ^ 0x6c7967656e657261U, seed[1] ^ 0x7465646279746573U};
    size_t at = 0;
    uint64_t word;

    for (; length - at >= sizeof word; at += sizeof word) {
        memcpy(&word, bytes + at, sizeof word);
        hash_word(&state, le64toh(word));
    }
    /* The last word holds the length and up to seven bytes. */
    word = 0;
    memcpy(&word, bytes + at, length - at);
    hash_word(&state, le64toh(word) | (uint64_t)length << 56);
    state.c ^= 0xff;
    for (int i = 0; i < 3; i++)
        hash_round(&state);
    return state.a ^ state.b ^ state.c ^ state.d;
}

/*
 * The key as it is kept. What is too long becomes a prefix, '~' and a checksum of all, with a fixed seed because it is
 * kept over a restart. Who makes two of them collide has made his own two destinations share a window. A NUL would
 * cut the key for people to read; it becomes '?'.
 */
size_t destination_key(char kept[ADMISSION_KEY], const char *key, size_t length)
{
    static const uint64_t fixed[2] = {0, 0};
    size_t keep = length;

    if (length >= ADMISSION_KEY)
        keep = ADMISSION_KEY - 1 - 17;
    memcpy(kept, key, keep);
    kept[keep] = '\0';
    for (char *nul; (nul = memchr(kept, '\0', keep)) != NULL;)
        *nul = '?';
    if (keep < length) {
        snprintf(kept + keep, ADMISSION_KEY - keep, "~%016llx",
                 (unsigned long long)hash_bytes(fixed, key, length));
        keep = ADMISSION_KEY - 1;
    }
    return keep;
}

uint64_t destination_hash(const struct admission *admission, const char *kept, size_t length)
{
    return hash_bytes(admission->settings.seed, kept, length);
}

static uint32_t number_of(const struct admission *admission, const struct destination *destination)
{
    return (uint32_t)(destination - admission->destinations) + 1;
}

static struct destination *by_number(const struct admission *admission, uint32_t number)
{
    return number == 0 ? NULL : &admission->destinations[number - 1];
}

static struct destination *find(const struct admission *admission, const char *kept, uint64_t hash,
                                uint64_t *steps)
{
    struct destination *destination =
        by_number(admission, admission->buckets[hash & admission->bucket_mask]);

    while (destination != NULL) {
        ++*steps;
        if (destination->hash == hash && strcmp(destination->key, kept) == 0)
            return destination;
        destination = by_number(admission, destination->chain);
    }
    return NULL;
}

struct destination *destination_find(const struct admission *admission, const char *key,
                                     size_t length)
{
    char kept[ADMISSION_KEY];
    size_t keep = destination_key(kept, key, length);
    uint64_t steps = 0;

    return find(admission, kept, destination_hash(admission, kept, keep), &steps);
}

static void forget(struct admission *admission, struct destination *destination)
{
    uint32_t number = number_of(admission, destination);
    uint32_t *link = &admission->buckets[destination->hash & admission->bucket_mask];

    while (*link != number) {
        admission->count.steps++;
        link = &by_number(admission, *link)->chain;
    }
    *link = destination->chain;
    list_remove(&destination->use);
    admission_nexthop_forget(admission, destination);
    admission->count.evicted++;
    admission->count.destinations--;
}

struct destination *destination_get(struct admission *admission, const char *key, size_t length)
{
    char kept[ADMISSION_KEY];
    size_t keep = destination_key(kept, key, length);
    uint64_t hash = destination_hash(admission, kept, keep);
    struct destination *destination = find(admission, kept, hash, &admission->count.steps);
    uint32_t *bucket = &admission->buckets[hash & admission->bucket_mask];

    if (destination != NULL)
        return destination;
    if (admission->destinations_used < admission->destinations_max) {
        destination = by_number(admission, ++admission->destinations_used);
    } else {
        /* There are more destinations than parts, so one of them is idle. */
        if (list_empty(&admission->idle))
            return NULL;
        destination = LIST_ENTRY(admission->idle.prev, struct destination, use);
        forget(admission, destination);
        *destination = (struct destination){0};
    }
    if (destination == NULL)
        return NULL;
    memcpy(destination->key, kept, keep + 1);
    destination->hash = hash;
    destination->chain = *bucket;
    *bucket = number_of(admission, destination);
    for (int i = 0; i < QUEUES; i++)
        list_init(&destination->queue[i]);
    destination->window = 1;
    destination->held = admission_holds(admission, kept);
    destination->lane = ADMISSION_UNKNOWN;
    destination->charge = ADMISSION_UNKNOWN;
    destination->since = ADMISSION_NEVER;
    destination->last_start = ADMISSION_NEVER;
    destination->last_success = ADMISSION_NEVER;
    destination->last_failure = ADMISSION_NEVER;
    destination->last_answer = ADMISSION_NEVER;
    destination->last_hang = ADMISSION_NEVER;
    destination->any_number = ADMISSION_NEVER;
    destination->doubted = ADMISSION_NEVER;
    destination->join_until = ADMISSION_NEVER;
    list_push_head(&admission->idle, &destination->use);
    admission->count.destinations++;
    return destination;
}

bool destination_busy(const struct destination *destination)
{
    return destination->in_flight > 0 || destination->joined > 0 || destination->parked > 0 ||
           destination->victims > 0 || destination->waiting_first > 0 ||
           destination->waiting_retry > 0;
}

void destination_use(struct admission *admission, struct destination *destination)
{
    list_remove(&destination->use);
    list_push_head(destination_busy(destination) ? &admission->busy : &admission->idle,
                   &destination->use);
}

static void length_unlink(struct admission *admission, struct destination *destination,
                          enum length_order order)
{
    struct length *length = &destination->length[order];
    struct destination *shorter = by_number(admission, length->shorter);
    struct destination *longer = by_number(admission, length->longer);

    if (longer != NULL)
        longer->length[order].shorter = length->shorter;
    else
        admission->lengths[order][length->count] = length->shorter;
    if (shorter != NULL)
        shorter->length[order].longer = length->longer;
    *length = (struct length){0};
}

static void length_link(struct admission *admission, struct destination *destination,
                        enum length_order order, unsigned count)
{
    uint32_t *head = &admission->lengths[order][count];

    destination->length[order] = (struct length){.shorter = *head, .count = count};
    if (*head != 0)
        by_number(admission, *head)->length[order].longer = number_of(admission, destination);
    *head = number_of(admission, destination);
}

/*
 * Lengths mostly change by one, so the longest is a step away. Only when the longest queue of all leaves the order of the victims
 * are more steps needed, down to the next one: no more than it had parts. `longer` and `shorter` are the neighbours in
 * the list of those with the same length; the names only say the direction.
 */
void destination_length_change(struct admission *admission, struct destination *destination,
                               enum length_order order, unsigned count)
{
    unsigned *longest = &admission->longest[order];

    if (destination->length[order].count > 0)
        length_unlink(admission, destination, order);
    if (count > 0)
        length_link(admission, destination, order, count);
    if (count > *longest)
        *longest = count;
    while (*longest > 0 && admission->lengths[order][*longest] == 0)
        --*longest;
}

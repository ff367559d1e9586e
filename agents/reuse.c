#include "agents/reuse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FLAGS (REQUEST_FLAG_CONN_LOAD | REQUEST_FLAG_CONN_STORE)
#define DIGITS_SIZE sizeof "4294967295"

/* FNV-1a: who makes two next hops collide has made two of his own share a place. */
static uint64_t hash_of(const struct request *request, const char *bytes)
{
    const char *nexthop = bytes + request->nexthop.offset;
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < request->nexthop.len; i++)
        hash = (hash ^ (unsigned char)nexthop[i]) * UINT64_C(1099511628211);
    return hash;
}

void reuse_arrived(struct reuse *reuse, const struct request *request, const char *bytes)
{
    uint64_t hash = hash_of(request, bytes);
    struct reuse_place *place = &reuse->place[hash % REUSE_NEXTHOPS];

    place->held++;
    if (place->counted == 0)
        place->first = hash;
    place->counted += place->first == hash;
}

void reuse_left(struct reuse *reuse, const struct request *request, const char *bytes)
{
    uint64_t hash = hash_of(request, bytes);
    struct reuse_place *place = &reuse->place[hash % REUSE_NEXTHOPS];

    if (--place->held == 0)
        place->known = false;
    /* One that was not counted may leave, too: then there are too few for a while, never too many. */
    if (place->counted > 0 && place->first == hash)
        place->counted--;
}

void reuse_answered(struct reuse *reuse, const struct request *request, const char *bytes,
                    uint64_t now)
{
    uint64_t hash = hash_of(request, bytes);
    struct reuse_place *place = &reuse->place[hash % REUSE_NEXTHOPS];

    place->nexthop = hash;
    place->answered = now;
    place->known = true;
}

bool reuse_wanted(const struct reuse *reuse, const struct request *request, const char *bytes,
                  unsigned agents, uint64_t now)
{
    uint64_t hash = hash_of(request, bytes);
    const struct reuse_place *place = &reuse->place[hash % REUSE_NEXTHOPS];

    /* A part differs from its request from the count on. */
    if ((request->flags & FLAGS) == FLAGS || request->flags_digits.offset > request->count.offset)
        return false;
    if (place->first == hash && place->counted > agents)
        return true;
    return place->known && place->nexthop == hash && now - place->answered < REUSE_WITHIN;
}

static size_t digits_of(const struct request *request, char *digits)
{
    return (size_t)snprintf(digits, DIGITS_SIZE, "%" PRIu32, request->flags | FLAGS);
}

size_t reuse_size(const struct request *request, size_t length)
{
    char digits[DIGITS_SIZE];

    return length - request->flags_digits.len + digits_of(request, digits);
}

void reuse_write(const struct request *request, const char *bytes, size_t length, char *buffer)
{
    size_t behind = request->flags_digits.offset + request->flags_digits.len;
    char digits[DIGITS_SIZE];

    buffer = mempcpy(buffer, bytes, request->flags_digits.offset);
    buffer = mempcpy(buffer, digits, digits_of(request, digits));
    memcpy(buffer, bytes + behind, length - behind);
}

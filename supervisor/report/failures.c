#include "supervisor/report/failures.h"

#include <stdio.h>
#include <string.h>

#define WAYS 4 /* places that a key may have */

/* Failures that are further apart are not counted together. Microseconds. */
#define APART UINT64_C(3600000000)

_Static_assert(FAILURES_MAX % WAYS == 0, "a key has WAYS places");

static size_t place_of(const char *key)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * UINT64_C(1099511628211);
    return (size_t)(hash % (FAILURES_MAX / WAYS)) * WAYS;
}

const struct failure *failures_find(const struct failures *failures, const char *key)
{
    const struct failure *place = &failures->place[place_of(key)];

    for (int i = 0; i < WAYS; i++)
        if (strcmp(place[i].key, key) == 0)
            return &place[i];
    return NULL;
}

struct failure *failures_add(struct failures *failures, const char *key, uint64_t now)
{
    struct failure *place = &failures->place[place_of(key)], *found = place;

    for (int i = 0; i < WAYS; i++) {
        if (strcmp(place[i].key, key) == 0) {
            found = &place[i];
            break;
        }
        if (place[i].last < found->last)
            found = &place[i];
    }
    if (strcmp(found->key, key) != 0) {
        *found = (struct failure){0};
        (void)snprintf(found->key, sizeof found->key, "%s", key);
    }
    if (found->count == 0 || now - found->last > APART) {
        found->count = 0;
        found->first = now;
    }
    found->count++;
    found->last = now;
    return found;
}

bool failure_looks(struct failure *failure, uint64_t now)
{
    if (failure->looked != 0 && now - failure->looked < FAILURE_READ_EVERY)
        return false;
    failure->looked = now;
    return true;
}

void failure_text(struct failure *failure, const char *text, uint64_t now)
{
    (void)snprintf(failure->text, sizeof failure->text, "%s", text);
    failure->text_time = now;
}

/* Of the same time: by their places. */
static bool is_older(const struct failure *a, const struct failure *b)
{
    return a->last < b->last || (a->last == b->last && a > b);
}

const struct failure *failures_newest(const struct failures *failures, const struct failure *then)
{
    const struct failure *newest = NULL;

    for (size_t i = 0; i < FAILURES_MAX; i++) {
        const struct failure *at = &failures->place[i];

        if (at->count > 0 && (!then || is_older(at, then)) && (!newest || is_older(newest, at)))
            newest = at;
    }
    return newest;
}

/*
 * Destinations that an operator holds: their mail waits, but for what may not be deferred.
 */

#include "supervisor/admission/destination.h"

#include <string.h>

bool admission_holds(const struct admission *admission, const char *kept)
{
    for (unsigned i = 0; i < admission->held; i++)
        if (strcmp(admission->held_key[i], kept) == 0)
            return true;
    return false;
}

/* Those of the list that are known stand elsewhere now. */
static void place(struct admission *admission, bool held, int64_t now)
{
    for (unsigned i = 0; i < admission->held; i++) {
        const char *key = admission->held_key[i];
        struct destination *destination = destination_find(admission, key, strlen(key));

        if (!destination)
            continue;
        destination->held = held;
        destination_place(admission, destination, PLACE_ARRIVAL, now);
    }
}

void admission_hold(struct admission *admission, const char *const *keys, size_t count, int64_t now)
{
    place(admission, false, now);
    admission->held = 0;
    for (size_t i = 0; i < count && i < ADMISSION_HELD_MAX; i++)
        destination_key(admission->held_key[admission->held++], keys[i], strlen(keys[i]));
    place(admission, true, now);
}

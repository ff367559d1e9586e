/*
 * What is told about destinations: to people, and to the file that keeps it over a restart.
 */

#include "supervisor/admission/destination.h"

#include <errno.h>
#include <string.h>

void admission_count(const struct admission *admission, struct admission_counters *counters)
{
    *counters = admission->count;
    counters->waiting = admission->waiting + admission->parked_count;
    counters->victims = admission->victim_count;
    counters->in_flight = admission->in_flight;
    counters->hanging = admission->hanging_count;
    memcpy(counters->waits, admission->waits, sizeof counters->waits);
    for (int i = 0; i < ADMISSION_LANES; i++)
        counters->lane[i] = admission->lane[i].in_flight;
}

static void view_of(const struct destination *destination, struct admission_view *view)
{
    *view = (struct admission_view){
        .lane = destination->lane,
        .since = destination->since,
        .in_flight = destination->in_flight + destination->joined,
        .hanging = destination->hanging,
        .waiting = destination->waiting_first + destination->waiting_retry + destination->parked,
        .window = destination_window(destination),
        .oldest_start = ADMISSION_NEVER,
        .service = destination->service,
        .last_success = destination->last_success,
        .last_failure = destination->last_failure,
        .deferred = destination->deferred,
        .held = destination->held,
    };
    memcpy(view->key, destination->key, sizeof view->key);
}

int admission_look(const struct admission *admission, const char *key, size_t key_length,
                   struct admission_view *view)
{
    const struct destination *destination = destination_find(admission, key, key_length);

    if (destination == NULL)
        return -ENOENT;
    view_of(destination, view);
    return 0;
}

size_t admission_longest(const struct admission *admission, struct admission_view *views,
                         size_t most)
{
    size_t found = 0;

    for (unsigned length = admission->longest[LENGTH_ALL]; length > 0 && found < most; length--) {
        uint32_t number = admission->lengths[LENGTH_ALL][length];
        while (number != 0 && found < most) {
            const struct destination *destination = &admission->destinations[number - 1];
            view_of(destination, &views[found++]);
            number = destination->length[LENGTH_ALL].shorter;
        }
    }
    return found;
}

static bool seen(const struct admission_view *views, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(views[i].key, key) == 0)
            return true;
    return false;
}

/* One destination can hold half of the limit: so many parts are looked at, no more. */
#define SLOWEST_LOOKS 1000

size_t admission_slowest(const struct admission *admission, struct admission_view *views,
                         size_t most)
{
    const struct list *orders[4] = {&admission->hanging, &admission->lasting,
                                    &admission->unanswered, &admission->started};
    size_t found = 0;
    unsigned looks = 0;

    for (size_t i = 0; i < 4; i++) {
        for (const struct list *link = orders[i]->next;
             link != orders[i] && found < most && looks < SLOWEST_LOOKS; link = link->next) {
            const struct part *part = LIST_ENTRY_CONST(link, struct part, time);
            looks++;
            if (seen(views, found, part->destination->key))
                continue;
            view_of(part->destination, &views[found]);
            views[found++].oldest_start = part->since;
        }
    }
    return found;
}

const char *admission_key(const struct admission *admission, unsigned part)
{
    return admission->part_array[part].destination->key;
}

size_t admission_oldest(const struct admission *admission, unsigned *parts, size_t most)
{
    const struct list *orders[2] = {&admission->hanging, &admission->lasting};
    size_t found = 0;

    for (int i = 0; i < 2; i++)
        for (const struct list *link = orders[i]->next; link != orders[i] && found < most;
             link = link->next)
            parts[found++] =
                (unsigned)(LIST_ENTRY_CONST(link, struct part, time) - admission->part_array);
    return found;
}

/* So many destinations are looked at: 20 us. */
#define TROUBLED_LOOKS 2000

size_t admission_troubled(const struct admission *admission, struct admission_view *views,
                          size_t most)
{
    const struct list *orders[2] = {&admission->busy, &admission->idle};
    size_t found = 0;
    unsigned looks = 0;

    for (int i = 0; i < 2; i++)
        for (const struct list *link = orders[i]->next;
             link != orders[i] && found < most && looks < TROUBLED_LOOKS; link = link->next) {
            const struct destination *destination = LIST_ENTRY_CONST(link, struct destination, use);
            looks++;
            if (destination->deferred > 0 || destination->lane == ADMISSION_SLOW ||
                destination->lane == ADMISSION_DEAD)
                view_of(destination, &views[found++]);
        }
    return found;
}

static int64_t age_of(int64_t when, int64_t now)
{
    return when == ADMISSION_NEVER ? ADMISSION_NEVER : now - when;
}

static bool known(const struct destination *destination)
{
    return destination->last_success != ADMISSION_NEVER ||
           destination->last_failure != ADMISSION_NEVER ||
           destination->last_answer != ADMISSION_NEVER;
}

/* The cursor is the number + 1 of the destination given last; the busy come before the idle. */
bool admission_recall(const struct admission *admission, uint32_t *cursor, int64_t now,
                      struct admission_memory *memory)
{
    const struct list *link =
        *cursor == 0 ? admission->busy.next : admission->destinations[*cursor - 1].use.next;

    for (;;) {
        const struct destination *destination;
        if (link == &admission->idle)
            return false;
        if (link == &admission->busy) {
            link = admission->idle.next;
            continue;
        }
        destination = LIST_ENTRY_CONST(link, struct destination, use);
        if (known(destination)) {
            *cursor = (uint32_t)(destination - admission->destinations) + 1;
            *memory = (struct admission_memory){
                .success_age = age_of(destination->last_success, now),
                .failure_age = age_of(destination->last_failure, now),
                .answer_age = age_of(destination->last_answer, now),
                .service = destination->service,
                .least = destination->least,
                .window = destination->window,
                .hung = destination->hung,
            };
            memcpy(memory->key, destination->key, sizeof memory->key);
            return true;
        }
        link = link->next;
    }
}

/* A hundred years: what is older, or lies in the future, is no age. */
#define AGE_MAX (INT64_C(100) * 366 * 24 * 3600 * ADMISSION_SECOND)

static bool age_valid(int64_t age)
{
    return age == ADMISSION_NEVER || (age >= 0 && age <= AGE_MAX);
}

int admission_teach(struct admission *admission, const struct admission_memory *memory, int64_t now)
{
    size_t length = strnlen(memory->key, sizeof memory->key);
    struct destination *destination;

    if (length == sizeof memory->key || !age_valid(memory->success_age) ||
        !age_valid(memory->failure_age) || !age_valid(memory->answer_age) || memory->service < 0 ||
        memory->service > AGE_MAX || memory->least < 0 || memory->least > AGE_MAX ||
        memory->window == 0)
        return -EINVAL;
    if (destination_find(admission, memory->key, length) != NULL ||
        admission->destinations_used == admission->destinations_max)
        return 0;
    destination = destination_get(admission, memory->key, length);
    if (memory->success_age != ADMISSION_NEVER) {
        destination->last_success = now - memory->success_age;
        /* How much it takes at once is learned again after a while; that it is more than one is known. */
        destination->window = memory->success_age < admission->settings.proven_for
                                  ? memory->window
                                  : admission->settings.window;
    }
    if (memory->failure_age != ADMISSION_NEVER)
        destination->last_failure = now - memory->failure_age;
    if (memory->answer_age != ADMISSION_NEVER)
        destination->last_answer = now - memory->answer_age;
    if (memory->window < destination->window)
        destination->window = memory->window;
    destination->service = memory->service;
    destination->least = memory->least;
    destination->least_time = now;
    destination->hung = memory->hung;
    destination_place(admission, destination, PLACE_KEEP, now);
    list_remove(&destination->use);
    list_push_tail(&admission->idle, &destination->use);
    return 0;
}

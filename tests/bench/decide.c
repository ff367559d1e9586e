/*
 * What tests/bench/decide.sh counts the instructions of.
 *
 *     decide DESTINATIONS ROUNDS proven|unknown|limit
 *
 * `proven` and `unknown`: each destination has one part waiting. A round is what the dispatcher asks admission for one delivery: the
 * part to run, how many more could run, when to ask again; the part starts, ends well, and the next of its destination
 * arrives. Proven ones may all run; unknown ones are retries after a flush, where tokens and shares hold most back.
 * `limit`: a round is a step of the limit, with memory that comes and goes; destinations do not enter into it.
 *
 * The counted functions are named counted_*; callgrind is told to count in them only.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/admission/admission_view.h"
#include "supervisor/limit/limit.h"
#include "tests/lib/limit_defaults.h"

#define LIMIT 100 /* workers */
#define STEP 1000 /* us between two rounds */

#define COUNTED __attribute__((noinline, noclone))

COUNTED struct admission_choice counted_choice(struct admission *admission, int64_t now);
COUNTED void counted_rest(struct admission *admission, const struct admission_choice *choice,
                          const struct admission_arrival *arrival, int64_t now);
COUNTED void counted_limit(const struct limit_settings *settings, struct limit_state *state,
                           const struct memory_sample *sample, const struct limit_demand *demand,
                           struct limit_decision *decision);

COUNTED struct admission_choice counted_choice(struct admission *admission, int64_t now)
{
    struct admission_choice choice = admission_next(admission, LIMIT, now);

    admission_runnable(admission, LIMIT, now, LIMIT, LIMIT);
    admission_due(admission, LIMIT, now);
    return choice;
}

/* What becomes of the part that was chosen. */
COUNTED void counted_rest(struct admission *admission, const struct admission_choice *choice,
                          const struct admission_arrival *arrival, int64_t now)
{
    if (admission_started(admission, choice->part, now) < 0 ||
        admission_finished(admission, choice->part, ADMISSION_DELIVERED, STEP, now + STEP) < 0 ||
        admission_arrive(admission, choice->part, arrival, now + STEP) < 0)
        abort();
}

COUNTED void counted_limit(const struct limit_settings *settings, struct limit_state *state,
                           const struct memory_sample *sample, const struct limit_demand *demand,
                           struct limit_decision *decision)
{
    *decision = limit_step(settings, state, sample, demand);
}

static size_t name(char *text, size_t size, unsigned number)
{
    return (size_t)snprintf(text, size, "destination%u.invalid", number);
}

static int run_admission(unsigned destinations, unsigned rounds, bool proven)
{
    struct admission_settings settings;
    struct admission *admission;
    char key[ADMISSION_KEY];
    int64_t now = 10000 * ADMISSION_SECOND;
    unsigned started = 0;

    admission_defaults(&settings);
    settings.seed[0] = 1;
    settings.seed[1] = 2;
    admission = admission_create(&settings, destinations, destinations);
    if (!admission)
        return EXIT_FAILURE;
    for (unsigned i = 0; i < destinations; i++) {
        struct admission_arrival arrival = {.key = key, .key_length = name(key, sizeof key, i)};
        struct admission_memory memory = {
            .success_age = ADMISSION_SECOND,
            .failure_age = ADMISSION_NEVER,
            .answer_age = ADMISSION_SECOND,
            .service = STEP,
            .window = 5,
        };

        memcpy(memory.key, key, arrival.key_length + 1);
        if ((proven && admission_teach(admission, &memory, now) < 0) ||
            admission_arrive(admission, i, &arrival, now) < 0)
            abort();
    }
    for (unsigned i = 0; i < rounds; i++) {
        struct admission_choice choice = counted_choice(admission, now);

        now += STEP;
        if (choice.answer == ADMISSION_START) {
            struct admission_arrival arrival = {
                .key = key,
                .key_length = name(key, sizeof key, choice.part),
            };

            counted_rest(admission, &choice, &arrival, now);
            started++;
        }
    }
    printf("started %u of %u\n", started, rounds);
    admission_destroy(admission);
    return EXIT_SUCCESS;
}

static int run_limit(unsigned rounds)
{
    struct limit_settings settings = {
        .min = LIMIT_DEFAULT_MIN,
        .max = LIMIT,
        .min_available = LIMIT_AUTO,
        .hold = LIMIT_DEFAULT_HOLD,
        .target = LIMIT_DEFAULT_TARGET,
        .full = LIMIT_DEFAULT_FULL,
        .shed_after = LIMIT_DEFAULT_SHED_AFTER,
    };
    struct memory_sample sample = {
        .time = UINT64_C(7000000000),
        .groups = 1,
        .group[0] = {.known = true, .limit = UINT64_C(400) << 20},
        .machine_known = true,
        .total = UINT64_C(8000) << 20,
        .available = UINT64_C(6000) << 20,
        .pool.known = true,
        .machine.known = true,
        .events_known = true,
    };
    struct limit_demand demand = {.live = 50, .busy = 40, .idle = 10, .waiting = 1000};
    struct limit_state state;
    struct limit_decision decision;

    limit_init(&settings, &state);
    for (unsigned i = 0; i < rounds; i++) {
        sample.time += 1000000;
        sample.group[0].usage = (uint64_t)(100 + i % 300) << 20;
        sample.pool.some += i / 10 % 2 == 0 ? 0 : 20000;
        counted_limit(&settings, &state, &sample, &demand, &decision);
    }
    printf("limit %u\n", decision.limit);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    unsigned destinations = argc == 4 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    unsigned rounds = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

    if (destinations == 0 || rounds == 0) {
        fprintf(stderr, "usage: decide DESTINATIONS ROUNDS proven|unknown|limit\n");
        return 2;
    }
    if (strcmp(argv[3], "limit") == 0)
        return run_limit(rounds);
    return run_admission(destinations, rounds, strcmp(argv[3], "proven") == 0);
}

#ifndef TESTS_UNIT_ADMISSION_HARNESS_H
#define TESTS_UNIT_ADMISSION_HARNESS_H

/* What the tests of admission share: a core with defaults, and calls that must succeed. */

#include "supervisor/admission/admission_view.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SECOND ADMISSION_SECOND
#define MS INT64_C(1000)

static inline struct admission *harness_create(unsigned parts, unsigned destinations)
{
    struct admission_settings settings;
    struct admission *admission;

    admission_defaults(&settings);
    settings.seed[0] = 1;
    settings.seed[1] = 2;
    admission = admission_create(&settings, parts, destinations);
    cr_assert_not_null(admission);
    return admission;
}

enum { RETRY = 0, FIRST = 1, EXEMPT = 2 };

static inline void harness_arrive(struct admission *admission, unsigned part, const char *key,
                                  int kind, int64_t now)
{
    struct admission_arrival arrival = {.key = key,
                                        .key_length = strlen(key),
                                        .first = (kind & FIRST) != 0,
                                        .exempt = (kind & EXEMPT) != 0};

    cr_assert_eq(admission_arrive(admission, part, &arrival, now), 0);
}

/* -> the part that was started, or -1 */
static inline int harness_start(struct admission *admission, unsigned limit, int64_t now)
{
    struct admission_choice choice = admission_next(admission, limit, now);

    if (choice.answer != ADMISSION_START)
        return -1;
    cr_assert_eq(admission_started(admission, choice.part, now), 0);
    return (int)choice.part;
}

/* Starts all that may start; -> how many */
static inline unsigned harness_start_all(struct admission *admission, unsigned limit, int64_t now,
                                         int *parts)
{
    unsigned count = 0;
    int part;

    while ((part = harness_start(admission, limit, now)) >= 0) {
        if (parts != NULL)
            parts[count] = part;
        count++;
    }
    return count;
}

static inline void harness_finish(struct admission *admission, unsigned part,
                                  enum admission_outcome outcome, int64_t service, int64_t now)
{
    cr_assert_eq(admission_finished(admission, part, outcome, service, now), 0);
}

/* One message of this destination goes all the way; the part must be free and nothing else may be waiting. */
static inline void harness_once(struct admission *admission, unsigned part, const char *key,
                                enum admission_outcome outcome, int64_t service, int64_t now)
{
    harness_arrive(admission, part, key, FIRST, now);
    cr_assert_eq(harness_start(admission, 64, now), (int)part);
    harness_finish(admission, part, outcome, service, now + service);
}

static inline struct admission_view harness_look(const struct admission *admission, const char *key)
{
    struct admission_view view;

    cr_assert_eq(admission_look(admission, key, strlen(key), &view), 0, "%s", key);
    return view;
}

#endif

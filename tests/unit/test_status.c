/* supervisor/status/status: what is written is read again; hostile text; the text always fits. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/group.h"
#include "supervisor/admission/admission.h"
#include "supervisor/config/json.h"
#include "supervisor/limit/limit.h"
#include "supervisor/report/status.h"
#include "supervisor/report/status_table.h"

/* Gives every value of a table one of its own. */
static void fill(const struct status_table *table, void *values, unsigned *next)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct status_field *field = &table->field[i];
        void *value = (char *)values + field->offset;

        ++*next;
        switch (field->kind) {
        case STATUS_COUNT:
        case STATUS_BYTES:
            *(uint64_t *)value = *next;
            break;
        case STATUS_TIME:
            *(int64_t *)value = INT64_C(1790000000000000) + *next;
            break;
        case STATUS_NUMBER:
            *(double *)value = *next / 7.0;
            break;
        case STATUS_FLAG:
            *(bool *)value = true;
            break;
        case STATUS_TEXT:
            snprintf(value, field->size, "text \"%u\" \\ und mehr", *next);
            break;
        case STATUS_WORD:
            snprintf(value, field->size, "%s", strrchr(field->words, '|') + 1);
            break;
        }
    }
}

static struct status *full(void)
{
    struct status *status = calloc(1, sizeof *status);
    unsigned next = 0;

    fill(&status_table, status, &next);
    status->format = STATUS_FORMAT;
    status->nexthops = STATUS_NEXTHOPS_MAX;
    status->changes = STATUS_CHANGES_MAX;
    status->destinations = STATUS_DESTINATIONS_MAX;
    status->deliveries = STATUS_DELIVERIES_MAX;
    for (unsigned i = 0; i < STATUS_NEXTHOPS_MAX; i++)
        fill(&status_nexthop_table, &status->nexthop[i], &next);
    for (unsigned i = 0; i < STATUS_CHANGES_MAX; i++)
        fill(&status_change_table, &status->change[i], &next);
    for (unsigned i = 0; i < STATUS_DELIVERIES_MAX; i++)
        fill(&status_delivery_table, &status->delivery[i], &next);
    for (unsigned i = 0; i < STATUS_DESTINATIONS_MAX; i++)
        fill(&status_destination_table, &status->destination[i], &next);
    return status;
}

static struct status *again(const struct status *status)
{
    static char text[STATUS_TEXT_MAX];
    struct status *read = calloc(1, sizeof *read);
    int length = status_write(status, text, sizeof text);

    cr_assert_gt(length, 0);
    cr_assert_eq((size_t)length, strlen(text));
    cr_assert_eq(status_read(text, (size_t)length, read), 0, "%s", text);
    return read;
}

Test(status, every_value_comes_back)
{
    struct status *wanted = full();
    struct status *got = again(wanted);

    /* Both from calloc, and padding is never written. */
    cr_expect_arr_eq(got, wanted, sizeof *got);
    free(wanted);
    free(got);
}

/* A field that is not in the table would be lost in silence. */
Test(status, the_table_names_every_byte)
{
    struct status *status = calloc(1, sizeof *status);
    size_t named = 0;

    for (size_t i = 0; i < status_table.count; i++) {
        const struct status_field *field = &status_table.field[i];

        named += field->size > 0 ? field->size : field->kind == STATUS_FLAG ? 1 : 8;
    }
    named += 4 * sizeof(uint64_t) + sizeof status->nexthop + sizeof status->delivery +
             sizeof status->change + sizeof status->destination;
    /* Flags leave up to seven bytes each. */
    cr_expect_leq(sizeof *status - named, (size_t)70);
    free(status);
}

Test(status, unlimited_is_null)
{
    struct status *status = full();
    struct status *got;
    char *text = malloc(STATUS_TEXT_MAX);

    status->memory.limit = STATUS_UNLIMITED;
    cr_assert_gt(status_write(status, text, STATUS_TEXT_MAX), 0);
    cr_expect_not_null(strstr(text, "\"limit\": null"));
    got = again(status);
    cr_expect_eq(got->memory.limit, STATUS_UNLIMITED);
    free(status);
    free(got);
    free(text);
}

Test(status, worst_text_fits)
{
    struct status *status = full();
    char *text = malloc(STATUS_TEXT_MAX);
    int length;

    for (unsigned i = 0; i < STATUS_CHANGES_MAX; i++) {
        memset(status->change[i].reason, '"', STATUS_REASON_SIZE - 1);
        status->change[i].limit = UINT64_MAX;
        status->change[i].workers = UINT64_MAX;
        status->change[i].waiting = UINT64_MAX;
    }
    for (unsigned i = 0; i < STATUS_NEXTHOPS_MAX; i++) {
        memset(status->nexthop[i].name, '\\', STATUS_KEY_SIZE - 1);
        status->nexthop[i].waiting = status->nexthop[i].destinations = UINT64_MAX;
    }
    for (unsigned i = 0; i < STATUS_DESTINATIONS_MAX; i++) {
        struct status_destination *to = &status->destination[i];

        memset(to->name, '\\', STATUS_KEY_SIZE - 1);
        to->in_flight = to->hanging = to->waiting = to->window = UINT64_MAX;
        to->service = to->deferred = to->failures = UINT64_MAX;
        memset(to->reason, '"', STATUS_REASON_SIZE - 1);
    }
    length = status_write(status, text, STATUS_TEXT_MAX);
    cr_expect_gt(length, 0);
    free(status);
    free(text);
}

Test(status, hostile_names_stay_one_line_of_json)
{
    struct status *status = full();
    struct status *got;

    status_text(status->destination[0].name, sizeof status->destination[0].name,
                "a\x1b[2J\n\xff\xc2\x9b.example\xc3");
    status_text(status->destination[1].name, sizeof status->destination[1].name,
                "m\xc3\xbcnchen.example");
    got = again(status);
    cr_expect_str_eq(got->destination[0].name, "a?[2J????.example?");
    cr_expect_str_eq(got->destination[1].name, "m\xc3\xbcnchen.example");
    free(status);
    free(got);
}

/* mail_owner's file, which root reads: a conquered dispatcher may write anything into it. */
Test(status, hostile_texts_are_cleaned_when_they_are_read)
{
    static const char text[] =
        "{\"format\": 2, \"service\": \"lmtp\\u001b[2J\", \"state\": {\"name\": \"OPEN\\n\", "
        "\"reason\": \"a\\r\\n\\u001b]0;title\\u0007\\u009b\\u202eb\\u2028\"}, "
        "\"memory\": {\"mode\": \"\\u001b\"}, "
        "\"changes\": [{\"state\": \"SHED|OPEN\"}, {\"state\": \"SHED\"}, {\"state\": \"SHE\"}], "
        "\"destinations\": [{\"name\": \"a.example\\n*\\trelay:[203.0.113.66]:25\", "
        "\"lane\": \"dead\\n* relay:[203.0.113.66]:25\"}, "
        "{\"name\": \"m\\u00fcnchen.example\", \"lane\": \"dead\"}]}";
    struct status *status = calloc(1, sizeof *status);

    cr_assert_eq(status_read(text, strlen(text), status), 0);
    cr_expect_str_eq(status->service, "lmtp?[2J");
    cr_expect_str_eq(status->state.name, "?");
    cr_expect_str_eq(status->state.reason, "a???]0;title???b?");
    cr_expect_str_eq(status->memory.mode, "?");
    cr_expect_str_eq(status->change[0].state, "?");
    cr_expect_str_eq(status->change[1].state, "SHED");
    cr_expect_str_eq(status->change[2].state, "?");
    cr_expect_str_eq(status->destination[0].name, "a.example?*?relay:[203.0.113.66]:25");
    cr_expect_str_eq(status->destination[0].lane, "?");
    cr_expect_str_eq(status->destination[1].name, "m\xc3\xbcnchen.example");
    cr_expect_str_eq(status->destination[1].lane, "dead");
    free(status);
}

Test(status, every_word_that_is_written_is_known)
{
    struct status *status = full();
    struct status *got;

    for (int mode = LIMIT_OPEN; mode <= LIMIT_SHED; mode++)
        status_text(status->change[mode].state, STATUS_WORD_SIZE,
                    limit_mode_name((enum limit_mode)mode));
    for (int lane = 0; lane < ADMISSION_LANES; lane++)
        status_text(status->destination[lane].lane, STATUS_WORD_SIZE,
                    admission_lane_name((enum admission_lane)lane));
    for (int mode = GROUP_OBSERVE; mode <= GROUP_UNIT; mode++) {
        status_text(status->memory.mode, STATUS_WORD_SIZE, group_mode_name((enum group_mode)mode));
        got = again(status);
        cr_expect_str_eq(got->memory.mode, status->memory.mode);
        cr_expect_arr_eq(got->change, status->change, sizeof got->change);
        cr_expect_arr_eq(got->destination, status->destination, sizeof got->destination);
        free(got);
    }
    free(status);
}

Test(status, short_buffers_are_refused)
{
    struct status *status = full();
    char *text = malloc(STATUS_TEXT_MAX);
    int length = status_write(status, text, STATUS_TEXT_MAX);

    cr_assert_gt(length, 0);
    for (size_t size = 0; size <= (size_t)length; size += 97) {
        char *small = malloc(size + 1);

        cr_expect_eq(status_write(status, small, size), -ENOSPC, "%zu", size);
        free(small);
    }
    cr_expect_eq(status_write(status, text, (size_t)length + 1), length);
    free(status);
    free(text);
}

static int read_text(const char *text)
{
    struct status *status = calloc(1, sizeof *status);
    int result = status_read(text, strlen(text), status);

    free(status);
    return result;
}

Test(status, what_is_no_snapshot_is_refused)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"service\": \"lmtp\"",
        "{\"service\": 1, \"state\": {\"name\": \"OPEN\"}}",
        "{\"format\": 2, \"service\": \"lmtp\", \"state\": {\"name\": \"OPEN\", \"limit\": -1}}",
        "{\"format\": 2, \"service\": \"lmtp\", \"state\": {\"name\": \"OPEN\", \"limit\": "
        "\"many\"}}",
        "{\"format\": 2, \"service\": \"lmtp\", \"state\": {\"name\": \"OPEN\"}, \"changes\": 3}",
        "{\"format\": 2, \"service\": \"lmtp\", \"state\": {\"name\": \"OPEN\"}, \"destinations\": "
        "[7]}",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(read_text(bad[i]), -EINVAL, "%s", bad[i]);
    /* Names of another format may mean something else. */
    cr_expect_eq(read_text("{\"service\": \"lmtp\", \"state\": {\"name\": \"OPEN\"}}"), -EPROTO);
    cr_expect_eq(
        read_text("{\"format\": 3, \"service\": \"lmtp\", \"state\": {\"name\": \"OPEN\"}}"),
        -EPROTO);
    /* Of another version: less, and more. */
    cr_expect_eq(
        read_text(
            "{\"format\": 2, \"service\": \"lmtp\", \"state\": {\"name\": \"OPEN\", \"mood\": 3}, "
            "\"future\": [1]}"),
        0);
}

Test(status, texts_are_cut_between_characters)
{
    char field[8];

    status_text(field, sizeof field, "seven77");
    cr_expect_str_eq(field, "seven77");
    status_text(field, sizeof field, "seven77\xc3\xbc");
    cr_expect_str_eq(field, "seven77");
    status_text(field, sizeof field, "six666\xc3\xbc");
    cr_expect_str_eq(field, "six666");
}

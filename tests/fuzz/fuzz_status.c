/*
 * Any bytes as status.json, which mail_owner may write and root reads: no crash, no text with which
 * a terminal would do anything, and what was read is read again after it was written.
 */

#include "supervisor/report/status.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Closed with a NUL, one line, nothing that a terminal obeys: C0, DEL, and C1 as UTF-8. */
static void check_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    check(length < size);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i], next = (unsigned char)text[i + 1];

        check(c >= 0x20 && c != 0x7f && !(c == 0xc2 && next >= 0x80 && next < 0xa0));
    }
}

#define TEXT(field) check_text(field, sizeof(field))

static void check_texts(const struct status *status)
{
    TEXT(status->version);
    TEXT(status->service);
    TEXT(status->state.name);
    TEXT(status->state.reason);
    TEXT(status->state.key);
    TEXT(status->settings.workers_bound);
    TEXT(status->workers.why);
    TEXT(status->workers.start);
    check(status->changes <= STATUS_CHANGES_MAX && status->nexthops <= STATUS_NEXTHOPS_MAX &&
          status->destinations <= STATUS_DESTINATIONS_MAX);
    for (size_t i = 0; i < status->changes; i++) {
        TEXT(status->change[i].state);
        TEXT(status->change[i].reason);
    }
    for (size_t i = 0; i < status->nexthops; i++) {
        TEXT(status->nexthop[i].name);
        TEXT(status->nexthop[i].state);
    }
    for (size_t i = 0; i < status->destinations; i++) {
        TEXT(status->destination[i].name);
        TEXT(status->destination[i].lane);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct status status, again;
    static char text[STATUS_TEXT_MAX], second[STATUS_TEXT_MAX];
    char *bytes = malloc(size > 0 ? size : 1);
    int length;

    check(bytes != NULL);
    memcpy(bytes, data, size);
    if (status_read(bytes, size, &status) == 0) {
        check_texts(&status);
        length = status_write(&status, text, sizeof text);
        if (length > 0) {
            check(status_read(text, (size_t)length, &again) == 0);
            check(status_write(&again, second, sizeof second) == length);
            check(memcmp(text, second, (size_t)length) == 0);
        }
    }
    free(bytes);
    return 0;
}

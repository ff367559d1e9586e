#include "supervisor/report/status_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config/json.h"

/* `full` is set by a text that does not fit; from then on nothing is put in. */
struct out {
    char *text;
    size_t size;
    size_t used;
    bool full;
};

static void put(struct out *out, const char *bytes, size_t length)
{
    if (out->full || length >= out->size - out->used) {
        out->full = true;
        return;
    }
    memcpy(out->text + out->used, bytes, length);
    out->used += length;
}

static void put_word(struct out *out, const char *word)
{
    put(out, word, strlen(word));
}

static void put_text(struct out *out, const char *text)
{
    size_t length = strlen(text);
    size_t step;
    bool plain;

    put_word(out, "\"");
    for (size_t at = 0; at < length; at += step) {
        step = json_character(text, at, length, &plain);
        if (!plain) {
            put_word(out, "?");
            step = 1;
            continue;
        }
        if (text[at] == '"' || text[at] == '\\')
            put_word(out, "\\");
        put(out, text + at, step);
    }
    put_word(out, "\"");
}

/* The fewest digits that read as the same number; 17 always do. */
static void put_number(struct out *out, double number)
{
    char text[40];
    int digits = 3;

    do
        snprintf(text, sizeof text, "%.*g", digits++, number);
    while (digits <= 17 && strtod(text, NULL) != number);
    put_word(out, number - number == 0 ? text : "0");
}

static void put_whole(struct out *out, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, number < STATUS_WHOLE_MAX ? number : STATUS_WHOLE_MAX);
    put_word(out, text);
}

static void put_value(struct out *out, const struct status_field *field, const char *value)
{
    switch (field->kind) {
    case STATUS_COUNT:
        put_whole(out, *(const uint64_t *)(const void *)value);
        break;
    case STATUS_BYTES:
        if (*(const uint64_t *)(const void *)value == STATUS_UNLIMITED)
            put_word(out, "null");
        else
            put_whole(out, *(const uint64_t *)(const void *)value);
        break;
    case STATUS_TIME: {
        int64_t time = *(const int64_t *)(const void *)value;

        put_whole(out, time > 0 ? (uint64_t)time : 0);
        break;
    }
    case STATUS_NUMBER:
        put_number(out, *(const double *)(const void *)value);
        break;
    case STATUS_FLAG:
        put_word(out, *(const bool *)(const void *)value ? "true" : "false");
        break;
    case STATUS_TEXT:
    case STATUS_WORD:
        put_text(out, value);
        break;
    }
}

/* The values of a table, one section a line, without the outer braces. */
static void put_table(struct out *out, const struct status_table *table, const void *values)
{
    const char *section = "";

    for (size_t i = 0; i < table->count; i++) {
        const struct status_field *field = &table->field[i];
        bool same = strcmp(field->section, section) == 0;

        if (!same && section[0] != '\0')
            put_word(out, "}");
        if (i > 0)
            put_word(out, same ? ", " : ",\n  ");
        if (!same && field->section[0] != '\0') {
            put_text(out, field->section);
            put_word(out, ": {");
        }
        section = field->section;
        put_text(out, field->name);
        put_word(out, ": ");
        put_value(out, field, (const char *)values + field->offset);
    }
    if (section[0] != '\0')
        put_word(out, "}");
}

static void put_list(struct out *out, const char *name, const struct status_table *table,
                     const void *values, size_t size, size_t count)
{
    put_word(out, ",\n  ");
    put_text(out, name);
    put_word(out, ": [");
    for (size_t i = 0; i < count; i++) {
        put_word(out, i == 0 ? "\n    {" : ",\n    {");
        put_table(out, table, (const char *)values + i * size);
        put_word(out, "}");
    }
    put_word(out, "]");
}

int status_write(const struct status *status, char *text, size_t size)
{
    struct out out = {.text = text, .size = size};
    size_t changes =
        status->changes < STATUS_CHANGES_MAX ? (size_t)status->changes : STATUS_CHANGES_MAX;
    size_t nexthops =
        status->nexthops < STATUS_NEXTHOPS_MAX ? (size_t)status->nexthops : STATUS_NEXTHOPS_MAX;
    size_t deliveries = status->deliveries < STATUS_DELIVERIES_MAX ? (size_t)status->deliveries
                                                                   : STATUS_DELIVERIES_MAX;
    size_t destinations = status->destinations < STATUS_DESTINATIONS_MAX
                              ? (size_t)status->destinations
                              : STATUS_DESTINATIONS_MAX;

    if (size == 0)
        return -ENOSPC;
    put_word(&out, "{\n  ");
    put_table(&out, &status_table, status);
    put_list(&out, "nexthops", &status_nexthop_table, status->nexthop, sizeof status->nexthop[0],
             nexthops);
    put_list(&out, "deliveries", &status_delivery_table, status->delivery,
             sizeof status->delivery[0], deliveries);
    put_list(&out, "changes", &status_change_table, status->change, sizeof status->change[0],
             changes);
    put_list(&out, "destinations", &status_destination_table, status->destination,
             sizeof status->destination[0], destinations);
    put_word(&out, "\n}\n");
    text[out.used] = '\0';
    return out.full ? -ENOSPC : (int)out.used;
}

void status_text(char *field, size_t size, const char *text)
{
    size_t length = strlen(text);
    size_t used = 0;
    size_t step;

    if (length >= size) {
        for (length = 0; used < size; used += step) {
            length = used;
            step = json_utf8_length(text, used, strlen(text));
            step = step == 0 ? 1 : step;
        }
    }
    memcpy(field, text, length);
    field[length] = '\0';
}

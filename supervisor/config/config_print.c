#include "supervisor/config/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_size(uint64_t value, char *buffer, size_t size)
{
    for (size_t i = 0; i < CONFIG_SIZE_UNITS && value != 0; i++)
        if (value % config_size_units[i].factor == 0) {
            snprintf(buffer, size, "\"%" PRIu64 "%c\"", value / config_size_units[i].factor,
                     config_size_units[i].letter);
            return;
        }
    snprintf(buffer, size, "%" PRIu64, value);
}

static void print_time(uint64_t value, char *buffer, size_t size)
{
    unsigned decimals = 6;
    uint64_t fraction = value % CONFIG_MILLIONTHS;

    if (value == 0) {
        snprintf(buffer, size, "0");
        return;
    }
    for (size_t i = 0; i < CONFIG_TIME_UNITS; i++)
        if (value % (config_time_units[i].factor * CONFIG_MILLIONTHS) == 0) {
            snprintf(buffer, size, "\"%" PRIu64 "%c\"",
                     value / (config_time_units[i].factor * CONFIG_MILLIONTHS),
                     config_time_units[i].letter);
            return;
        }
    for (; fraction % 10 == 0; decimals--)
        fraction /= 10;
    snprintf(buffer, size, "\"%" PRIu64 ".%0*" PRIu64 "s\"", value / CONFIG_MILLIONTHS,
             (int)decimals, fraction);
}

/* A whole number plainly; else the fewest digits that read as the same number (17 always do). */
static void print_number(double value, char *buffer, size_t size)
{
    int digits = 0;
    double again;

    if (config_value_whole(value)) {
        snprintf(buffer, size, "%.0f", value);
        return;
    }
    do {
        snprintf(buffer, size, "%.*g", ++digits, value);
        again = strtod(buffer, NULL);
    } while (digits < 17 && again != value);
}

/* Quotes and backslashes are all that a plain path can have to escape. */
static int print_text(const char *text, char *buffer, size_t size)
{
    size_t used = 0;

    if (size < 3)
        return -ENOSPC;
    buffer[used++] = '"';
    for (; *text != '\0'; text++) {
        if (used + 4 > size)
            return -ENOSPC;
        if (*text == '"' || *text == '\\')
            buffer[used++] = '\\';
        buffer[used++] = *text;
    }
    buffer[used++] = '"';
    buffer[used] = '\0';
    return 0;
}

static int print_paces(const struct config_paces *paces, char *buffer, size_t size)
{
    size_t used = 0;

    for (uint32_t i = 0; i < paces->count; i++) {
        char time[64];
        int length;

        print_time(paces->of[i].pace, time, sizeof(time));
        length = snprintf(buffer + used, size - used, "%s\"%s\": %s", i == 0 ? "{" : ", ",
                          paces->of[i].domain, time);
        used += (size_t)length;
        if (used >= size)
            return -ENOSPC;
    }
    return (size_t)snprintf(buffer + used, size - used, paces->count == 0 ? "{}" : "}") <
                   size - used
               ? 0
               : -ENOSPC;
}

int config_print_value(const struct config_key *key, const struct config *config, char *buffer,
                       size_t size)
{
    const void *from = (const char *)config + key->offset;
    char text[64];

    switch (key->type) {
    case CONFIG_NAME:
    case CONFIG_PATH:
        return print_text(from, buffer, size);
    case CONFIG_PACES:
        return print_paces(from, buffer, size);
    case CONFIG_COUNT:
        snprintf(text, sizeof(text), "%" PRIu32, *(const uint32_t *)from);
        break;
    case CONFIG_SIZE:
        if (*(const uint64_t *)from >= CONFIG_SIZE_AUTO)
            snprintf(text, sizeof(text), "\"%s\"", key->word);
        else
            print_size(*(const uint64_t *)from, text, sizeof(text));
        break;
    case CONFIG_TIME:
        print_time(*(const uint64_t *)from, text, sizeof(text));
        break;
    case CONFIG_PERCENT:
        print_number(*(const double *)from, text, sizeof(text));
        break;
    case CONFIG_CHOICE:
        snprintf(text, sizeof(text), "\"%s\"", key->choices[*(const uint32_t *)from]);
        break;
    case CONFIG_BOOLEAN:
        snprintf(text, sizeof(text), "%s", *(const bool *)from ? "true" : "false");
        break;
    }
    if (strlen(text) >= size)
        return -ENOSPC;
    memcpy(buffer, text, strlen(text) + 1);
    return 0;
}

/* A bound as people write it: without the quotes of JSON. */
static void print_bound(const struct config_key *key, double value, char *buffer, size_t size)
{
    char quoted[64];
    size_t length;

    if (key->type == CONFIG_SIZE)
        print_size((uint64_t)value, quoted, sizeof(quoted));
    else if (key->type == CONFIG_TIME || key->type == CONFIG_PACES)
        print_time((uint64_t)value, quoted, sizeof(quoted));
    else
        print_number(value, quoted, sizeof(quoted));
    length = strlen(quoted);
    if (quoted[0] == '"')
        snprintf(buffer, size, "%.*s", (int)length - 2, quoted + 1);
    else
        snprintf(buffer, size, "%s", quoted);
}

static void print_choices(const struct config_key *key, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (size_t i = 0; key->choices[i] != NULL && used < size; i++) {
        const char *before = i == 0 ? "" : key->choices[i + 1] == NULL ? " or " : ", ";

        used += (size_t)snprintf(buffer + used, size - used, "%s\"%s\"", before, key->choices[i]);
    }
}

void config_print_allowed(const struct config_key *key, char *buffer, size_t size)
{
    char from[64];
    char to[64];

    print_bound(key, key->minimum, from, sizeof(from));
    print_bound(key, key->maximum, to, sizeof(to));
    switch (key->type) {
    case CONFIG_NAME:
        snprintf(buffer, size,
                 "a plain name in double quotes, of letters, digits and . _ + - without a slash, "
                 "at most %d characters",
                 CONFIG_NAME_SIZE - 1);
        break;
    case CONFIG_PATH:
        snprintf(buffer, size,
                 "a path in double quotes that begins with / and has no . or .. in it, at most %d "
                 "bytes, or \"\"",
                 CONFIG_PATH_SIZE - 1);
        break;
    case CONFIG_COUNT:
        snprintf(buffer, size, "a whole number from %s to %s", from, to);
        break;
    case CONFIG_SIZE:
        snprintf(
            buffer, size,
            "a size from %s to %s: bytes as a whole number, or with K, M or G as in \"64M\"%s%s%s",
            from, to, key->word != NULL ? ", or \"" : "", key->word != NULL ? key->word : "",
            key->word != NULL ? "\"" : "");
        break;
    case CONFIG_TIME:
        snprintf(buffer, size,
                 "a time from %s to %s: seconds as a number, or with s, m, h or d as in \"5m\"",
                 from, to);
        break;
    case CONFIG_PERCENT:
        snprintf(buffer, size, "a percentage from %s to %s, as in 0.5", from, to);
        break;
    case CONFIG_CHOICE:
        print_choices(key, buffer, size);
        break;
    case CONFIG_BOOLEAN:
        snprintf(buffer, size, "true or false");
        break;
    case CONFIG_PACES:
        snprintf(
            buffer, size,
            "an object in braces with at most %d domains in lower case and for each a time from %s "
            "to %s: seconds as a number, or with s, m, h or d as in \"5m\"",
            CONFIG_PACES_MAX, from, to);
        break;
    }
}

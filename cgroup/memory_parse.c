#include "cgroup/memory_parse.h"

#include <string.h>

/* v1 shows PAGE_COUNTER_MAX pages, LONG_MAX rounded down to a page, when no limit is set; no
 * machine has 2^62 bytes. */
static const uint64_t NO_LIMIT_FROM = UINT64_C(1) << 62;

/* Digits from *at on, saturating. False without any. */
static bool parse_digits(const char **at, const char *end, uint64_t *value)
{
    const char *start = *at;
    uint64_t sum = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        const uint64_t digit = (uint64_t)(**at - '0');
        sum = sum > (UINT64_MAX - digit) / 10 ? UINT64_MAX : sum * 10 + digit;
    }
    if (*at == start)
        return false;
    *value = sum;
    return true;
}

/* The end of the line that begins at `at`, or NULL when it was cut. */
static const char *line_end(const char *at, const char *end)
{
    return at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
}

/* Moves *at behind `word` if it is there. */
static bool skip_word(const char **at, const char *end, const char *word)
{
    const size_t length = strlen(word);
    if ((size_t)(end - *at) < length || memcmp(*at, word, length) != 0)
        return false;
    *at += length;
    return true;
}

bool memory_parse_number(const char *text, size_t length, uint64_t *value)
{
    const char *at = text;
    const char *end = line_end(text, text + length);
    uint64_t number;
    if (end == NULL)
        return false;
    if (skip_word(&at, end, "max"))
        number = MEMORY_UNLIMITED;
    else if (!parse_digits(&at, end, &number))
        return false;
    if (at != end)
        return false;
    *value = number >= NO_LIMIT_FROM ? MEMORY_UNLIMITED : number;
    return true;
}

/* What follows the key in a line: "NUMBER", or blanks, NUMBER and " kB" after a colon. */
static bool parse_value(const char *at, const char *end, uint64_t *value)
{
    uint64_t number;
    const bool colon = at < end && *at == ':';
    if (colon)
        at++;
    if (at >= end || *at != ' ')
        return false;
    while (at < end && *at == ' ')
        at++;
    if (!parse_digits(&at, end, &number))
        return false;
    if (colon && skip_word(&at, end, " kB"))
        number = number > UINT64_MAX / 1024 ? UINT64_MAX : number * 1024;
    if (at != end)
        return false;
    *value = number;
    return true;
}

bool memory_parse_key(const char *text, size_t length, const char *key, uint64_t *value)
{
    const char *const stop = text + length;
    const char *end;
    for (const char *at = text; (end = line_end(at, stop)) != NULL; at = end + 1) {
        const char *rest = at;
        if (skip_word(&rest, end, key) && rest < end && (*rest == ' ' || *rest == ':'))
            return parse_value(rest, end, value);
    }
    return false;
}

/* The number after " total=" in a line, which ends with it. */
static bool parse_total(const char *at, const char *end, uint64_t *value)
{
    while (at < end) {
        if (skip_word(&at, end, " total="))
            return parse_digits(&at, end, value) && at == end;
        at++;
    }
    return false;
}

/* The percentage after " avg10=", which has two decimals, as a fraction; 0 without one. */
static double parse_recent(const char *at, const char *end)
{
    uint64_t whole, part;

    while (at < end) {
        if (skip_word(&at, end, " avg10=")) {
            if (!parse_digits(&at, end, &whole) || whole > 100 || at >= end || *at != '.')
                return 0.0;
            const char *decimals = ++at;
            if (!parse_digits(&at, end, &part) || at - decimals != 2)
                return 0.0;
            return ((double)whole + (double)part / 100) / 100;
        }
        at++;
    }
    return 0.0;
}

bool memory_parse_stall(const char *text, size_t length, struct memory_stall *stall)
{
    const char *const stop = text + length;
    const char *end;
    struct memory_stall found = {0};
    for (const char *at = text; (end = line_end(at, stop)) != NULL; at = end + 1) {
        const char *rest = at;
        if (skip_word(&rest, end, "some ")) {
            if (!parse_total(rest - 1, end, &found.some))
                return false;
            found.known = true;
            found.recent = parse_recent(rest - 1, end);
        } else if (skip_word(&rest, end, "full ") && !parse_total(rest - 1, end, &found.full)) {
            return false;
        }
    }
    if (found.known)
        *stall = found;
    return found.known;
}

bool memory_parse_available(const char *text, size_t length, uint64_t total, uint64_t free,
                            uint64_t *value)
{
    uint64_t inactive, active, slab;

    if (!memory_parse_key(text, length, "inactive_file", &inactive) ||
        !memory_parse_key(text, length, "active_file", &active) ||
        !memory_parse_key(text, length, "slab_reclaimable", &slab))
        return false;
    free += inactive + active + slab;
    *value = free > total / 64 ? free - total / 64 : 0;
    return true;
}

uint64_t memory_parse_working_set(uint64_t usage, uint64_t inactive, uint64_t anonymous)
{
    const uint64_t rest = usage > inactive ? usage - inactive : 0;
    return rest > anonymous ? rest : anonymous;
}

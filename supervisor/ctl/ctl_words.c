#include "supervisor/ctl/ctl_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "supervisor/config/json.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define MIB 1048576.0

const char *ctl_size(double bytes, char text[CTL_WORD_SIZE])
{
    double mib = bytes / MIB;

    if (mib >= 10000)
        snprintf(text, CTL_WORD_SIZE, "%.1fG", mib / 1024);
    else
        snprintf(text, CTL_WORD_SIZE, mib > 0 && mib < 9.95 ? "%.1fM" : "%.0fM", mib);
    return text;
}

const char *ctl_span(int64_t time, char text[CTL_WORD_SIZE])
{
    if (time < 0)
        time = 0;
    if (time < 2 * MINUTE)
        snprintf(text, CTL_WORD_SIZE, "%" PRId64 " s", time / SECOND);
    else if (time < HOUR)
        snprintf(text, CTL_WORD_SIZE, "%" PRId64 " min", time / MINUTE);
    else if (time < DAY)
        snprintf(text, CTL_WORD_SIZE, "%" PRId64 " h %" PRId64 " min", time / HOUR,
                 time % HOUR / MINUTE);
    else
        snprintf(text, CTL_WORD_SIZE, "%" PRId64 " d %" PRId64 " h", time / DAY, time % DAY / HOUR);
    return text;
}

enum style { CLOCK, DAY_ONLY, DATE };

static const char *local(int64_t time, enum style style, char text[CTL_WORD_SIZE])
{
    time_t seconds = time / SECOND;
    struct tm when;
    size_t length = 0;

    if (localtime_r(&seconds, &when))
        length = style == CLOCK      ? strftime(text, CTL_WORD_SIZE, "%H:%M:%S", &when)
                 : style == DAY_ONLY ? strftime(text, CTL_WORD_SIZE, "%b %e", &when)
                                     : strftime(text, CTL_WORD_SIZE, "%Y-%m-%d %H:%M:%S", &when);
    if (length == 0)
        snprintf(text, CTL_WORD_SIZE, "?");
    return text;
}

static bool is_near(int64_t time, int64_t now)
{
    return time > now - 20 * HOUR && time < now + 20 * HOUR;
}

const char *ctl_clock(int64_t time, int64_t now, char text[CTL_WORD_SIZE])
{
    return local(time, is_near(time, now) ? CLOCK : DATE, text);
}

const char *ctl_when(int64_t time, int64_t now, char text[CTL_WORD_SIZE])
{
    return time == 0 ? "-" : local(time, is_near(time, now) ? CLOCK : DAY_ONLY, text);
}

const char *ctl_date(int64_t time, char text[CTL_WORD_SIZE])
{
    return local(time, DATE, text);
}

static bool ago(const char *text, int64_t now, int64_t *time)
{
    static const struct {
        char letter;
        int64_t length;
    } units[] = {{'s', SECOND}, {'m', MINUTE}, {'h', HOUR}, {'d', DAY}};
    unsigned number;
    char unit;
    int end = 0;

    if (text[0] < '0' || text[0] > '9' || sscanf(text, "%6u%c%n", &number, &unit, &end) != 2 ||
        text[end] != '\0')
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].letter == unit) {
            *time = now - number * units[i].length;
            return true;
        }
    return false;
}

bool ctl_moment(const char *text, int64_t now, int64_t *time)
{
    static const char *const forms[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d",
                                        "%H:%M:%S", "%H:%M"};
    time_t seconds = now / SECOND;
    struct tm today;

    if (ago(text, now, time))
        return true;
    if (strcmp(text, "now") == 0) {
        *time = now;
        return true;
    }
    if (!localtime_r(&seconds, &today))
        return false;
    today.tm_hour = today.tm_min = today.tm_sec = 0;
    today.tm_isdst = -1;
    if (strcmp(text, "yesterday") == 0)
        today.tm_mday--;
    else if (strcmp(text, "today") != 0) {
        bool found = false;

        for (size_t i = 0; i < sizeof forms / sizeof forms[0] && !found; i++) {
            struct tm given = today;
            const char *end = strptime(text, forms[i], &given);

            found = end && *end == '\0';
            if (found)
                today = given;
        }
        if (!found)
            return false;
        today.tm_isdst = -1;
    }
    *time = (int64_t)mktime(&today) * SECOND;
    return true;
}

size_t ctl_plain(const char *line, size_t length, size_t width, char *to, size_t size)
{
    size_t characters = 0;
    size_t used = 0;
    size_t step;
    bool plain;

    for (size_t at = 0; at < length && characters < width && used + 5 <= size; at += step) {
        step = json_character(line, at, length, &plain);
        if (plain) {
            memcpy(to + used, line + at, step);
            used += step;
        } else {
            to[used++] = '?';
        }
        characters++;
    }
    to[used] = '\0';
    return characters;
}

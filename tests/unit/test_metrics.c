/*
 * supervisor/status/metrics: a strict parser of Prometheus' text format reads it (format: prometheus.io, "Exposition
 * formats"; and what OpenMetrics adds: families are not interleaved, "# EOF" ends it). promtool does the same in
 * tests/system/ctl.sh where it is installed.
 */

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/report/metrics.h"

#define FAMILIES_MAX 64

struct reading {
    const char *at;
    char family[FAMILIES_MAX][80];
    char type[FAMILIES_MAX][16];
    unsigned samples[FAMILIES_MAX];
    unsigned families;
    bool ended;
};

static size_t name_length(const char *at)
{
    size_t length = 0;

    while (isalpha((unsigned char)at[length]) || at[length] == '_' ||
           (length > 0 && isdigit((unsigned char)at[length])))
        length++;
    return length;
}

/* "name="value", ..." up to the brace. Returns what is behind it, or NULL. */
static const char *labels(const char *at)
{
    for (;;) {
        size_t length = name_length(at);

        if (length == 0 || strncmp(at + length, "=\"", 2) != 0)
            return NULL;
        for (at += length + 2; *at != '"'; at++) {
            if (*at == '\\' && strchr("\\\"n", at[1]) == NULL)
                return NULL;
            if (*at == '\\')
                at++;
            if (*at == '\n' || *at == '\0')
                return NULL;
        }
        at++;
        if (*at == '}')
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

static void declare(struct reading *reading, const char *line)
{
    char name[80] = "";
    char type[16] = "";

    cr_assert_eq(sscanf(line, "# TYPE %79s %15s", name, type), 2, "%s", line);
    cr_assert(strcmp(type, "gauge") == 0 || strcmp(type, "counter") == 0);
    for (unsigned i = 0; i < reading->families; i++)
        cr_assert_str_neq(reading->family[i], name, "declared twice");
    cr_assert_lt(reading->families, FAMILIES_MAX);
    memcpy(reading->family[reading->families], name, sizeof name);
    memcpy(reading->type[reading->families++], type, sizeof type);
    /* A counter is one by its name, and only a counter. */
    cr_expect_eq(strcmp(type, "counter") == 0,
                 strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0, "%s", name);
}

static void line_read(struct reading *reading, const char *line, const char *before)
{
    const char *at = line + name_length(line);
    unsigned of = reading->families - 1;
    char *end;
    double value;

    cr_assert_not(reading->ended, "something is behind # EOF");
    if (strcmp(line, "# EOF") == 0) {
        reading->ended = true;
        return;
    }
    if (strncmp(line, "# HELP ", 7) == 0)
        return;
    if (line[0] == '#') {
        cr_assert_eq(strncmp(before, "# HELP ", 7), 0, "%s has no help before it", line);
        declare(reading, line);
        return;
    }
    cr_assert_gt(reading->families, 0);
    cr_assert_eq(strncmp(line, reading->family[of], (size_t)(at - line)), 0, "%s", line);
    cr_assert_eq(strlen(reading->family[of]), (size_t)(at - line), "%s", line);
    cr_assert_eq(*at, '{');
    at = labels(at + 1);
    cr_assert_not_null(at, "%s", line);
    cr_assert_eq(*at, ' ');
    value = strtod(at + 1, &end);
    cr_assert(end > at + 1 && *end == '\0', "no time stamp, nothing behind the value: %s", line);
    cr_expect(strcmp(reading->type[of], "counter") != 0 || value >= 0);
    reading->samples[of]++;
}

static void parse(struct reading *reading, char *text)
{
    char *rest;
    const char *before = "";

    cr_assert_eq(text[strlen(text) - 1], '\n');
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        line_read(reading, line, before);
        before = line;
    }
    cr_assert(reading->ended);
}

static struct status *example(void)
{
    struct status *status = calloc(1, sizeof *status);

    status_text(status->service, sizeof status->service, "lmtp");
    status_text(status->version, sizeof status->version, "1");
    status_text(status->state.name, sizeof status->state.name, "HOLD");
    status->memory.machine_known = status->memory.pool_known = true;
    status->pressure.pool_known = status->pressure.machine_known = true;
    status->memory.limit = 67108864;
    status->pressure.pool_some = 0.25;
    status->totals.deferred_slow = 17;
    status->totals.requests = UINT64_C(5000000000);
    status_text(status->destination[0].name, sizeof status->destination[0].name, "secret.example");
    status->destinations = 1;
    return status;
}

Test(metrics, are_read_by_a_strict_parser)
{
    struct status *status = example();
    struct reading *reading = calloc(1, sizeof *reading);
    char *text = malloc(METRICS_TEXT_MAX);

    cr_assert_gt(metrics_write(status, text, METRICS_TEXT_MAX), 0);
    parse(reading, text);
    cr_expect_gt(reading->families, 20);
    for (unsigned i = 0; i < reading->families; i++)
        cr_expect_gt(reading->samples[i], 0, "%s", reading->family[i]);
    free(status);
    free(reading);
    free(text);
}

static bool says(const struct status *status, const char *line)
{
    char text[METRICS_TEXT_MAX];

    cr_assert_gt(metrics_write(status, text, sizeof text), 0);
    return strstr(text, line) != NULL;
}

Test(metrics, units_and_figures)
{
    struct status *status = example();

    cr_expect(says(status, "headroom_memory_limit_bytes{service=\"lmtp\"} 67108864\n"));
    cr_expect(says(status, "headroom_pressure_ratio{service=\"lmtp\",of=\"pool\"} 0.0025\n"));
    cr_expect(says(status, "headroom_requests_total{service=\"lmtp\"} 5000000000\n"));
    cr_expect(says(status, "headroom_deferred_total{service=\"lmtp\",reason=\"slow\"} 17\n"));
    cr_expect(says(status, "headroom_state{service=\"lmtp\",state=\"HOLD\"} 1\n"));
    cr_expect(says(status, "headroom_state{service=\"lmtp\",state=\"OPEN\"} 0\n"));
    cr_expect_not(says(status, "secret.example"));
    status->memory.limit = STATUS_UNLIMITED;
    cr_expect_not(says(status, "headroom_memory_limit_bytes"));
    free(status);
}

Test(metrics, any_service_name_is_a_label)
{
    struct status *status = example();
    struct reading *reading = calloc(1, sizeof *reading);
    char *text = malloc(METRICS_TEXT_MAX);

    memset(status->service, '"', STATUS_NAME_SIZE - 1);
    cr_assert_gt(metrics_write(status, text, METRICS_TEXT_MAX), 0);
    parse(reading, text);
    cr_expect_eq(metrics_write(status, text, 500), -ENOSPC);
    free(status);
    free(reading);
    free(text);
}

Test(metrics, paths)
{
    char path[METRICS_PATH_MAX];
    char beside[METRICS_PATH_MAX];

    cr_assert_eq(metrics_paths("/var/lib/x/headroom.prom", "lmtp", path, beside), 0);
    cr_expect_str_eq(path, "/var/lib/x/headroom.prom");
    cr_expect_str_eq(beside, "/var/lib/x/.headroom.prom.new");
    cr_assert_eq(metrics_paths("/var/lib/x/%s.%s.prom", "lmtp", path, beside), 0);
    cr_expect_str_eq(path, "/var/lib/x/lmtp.%s.prom");
    cr_expect_str_eq(beside, "/var/lib/x/.lmtp.%s.prom.new");
}

#include "supervisor/config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 64
#define SECOND UINT64_C(1000000)
#define MIB (UINT64_C(1) << 20)

struct heard {
    unsigned errors;
    unsigned warnings;
    unsigned lines;
    char line[LINES_MAX][CONFIG_LINE_SIZE];
};

static void hear(void *context, enum config_severity severity, const char *line)
{
    struct heard *heard = context;

    if (severity == CONFIG_ERROR)
        heard->errors++;
    else
        heard->warnings++;
    if (heard->lines < LINES_MAX)
        snprintf(heard->line[heard->lines++], CONFIG_LINE_SIZE, "%s", line);
}

static int parse(const char *text, size_t length, struct config *out, struct heard *heard)
{
    char *copy = malloc(length == 0 ? 1 : length);
    int result;

    cr_assert_not_null(copy);
    memcpy(copy, text, length);
    memset(heard, 0, sizeof(*heard));
    result = config_parse(copy, length, "f", "mine", out, hear, heard);
    free(copy);
    /* The promise of the header: 0 without an error, -EINVAL with one at least. */
    cr_expect_eq(result, heard->errors > 0 ? -EINVAL : 0);
    return result;
}

/* Parses {"defaults": SECTION}, which must be free of any problem. */
static struct config good(const char *section)
{
    struct config config;
    struct heard heard;
    char text[4096];

    snprintf(text, sizeof(text), "{\"defaults\": %s}", section);
    cr_expect_eq(parse(text, strlen(text), &config, &heard), 0, "%s: %s", text, heard.line[0]);
    cr_expect_eq(heard.lines, 0, "%s: %s", text, heard.line[0]);
    return config;
}

/* Parses the text, which must be wrong (or, with errors 0, doubtful) in exactly one point. */
static void says(const char *text, unsigned errors, const char *line)
{
    struct config config;
    struct heard heard;

    parse(text, strlen(text), &config, &heard);
    cr_expect_eq(heard.errors, errors, "%s: %u errors", text, heard.errors);
    cr_expect_eq(heard.lines, 1, "%s: %u lines, the second is %s", text, heard.lines,
                 heard.line[1]);
    cr_expect_str_eq(heard.line[0], line);
}

/* The defaults as the issues give them, written as JSON. */
static const struct {
    const char *path;
    const char *value;
} defaults[] = {
    {"agent", "\"lmtp\""},
    {"workers.min", "1"},
    {"workers.max", "500"},
    {"dry_run", "false"},
    {"workers.limit", "\"memory\""},
    {"workers.start", "\"auto\""},
    {"waiting.max", "2000"},
    {"waiting.time", "\"5m\""},
    {"cgroup.mode", "\"auto\""},
    {"cgroup.parent", "\"\""},
    {"memory.min_available", "\"auto\""},
    {"memory.limit", "\"none\""},
    {"memory.high", "\"none\""},
    {"pressure.hold", "0.5"},
    {"pressure.target", "1"},
    {"pressure.full", "10"},
    {"shed.after", "\"10s\""},
    {"shed.grace", "\"5s\""},
    {"destination.key", "\"recipient_domain\""},
    {"destination.split", "true"},
    {"destination.backlog", "30"},
    {"destination.pace", "0"},
    {"destination.paces", "{}"},
    {"destination.slow_after", "\"5s\""},
    {"journal.domains", "false"},
    {"status.public", "false"},
    {"metrics.textfile", "\"\""},
};

#define DEFAULTS (sizeof(defaults) / sizeof(defaults[0]))

Test(config, has_the_keys_and_defaults_of_the_issues)
{
    struct config config;
    size_t count;

    config_keys(&count);
    config_defaults(&config);
    cr_expect_eq(count, DEFAULTS);
    for (size_t i = 0; i < DEFAULTS; i++) {
        const struct config_key *key = config_key_find(defaults[i].path);
        char value[CONFIG_VALUE_SIZE];

        cr_assert_not_null(key, "%s", defaults[i].path);
        cr_assert_eq(config_print_value(key, &config, value, sizeof(value)), 0);
        cr_expect_str_eq(value, defaults[i].value, "%s", key->path);
        cr_expect_gt(strlen(key->meaning), 0);
    }
    /* The fields themselves, in their units. */
    cr_expect_str_eq(config.agent, "lmtp");
    cr_expect_eq(config.workers_max, 500);
    cr_expect_eq(config.workers_limit, CONFIG_LIMIT_MEMORY);
    cr_expect_eq(config.waiting_time, 300 * SECOND);
    cr_expect_eq(config.memory_min_available, CONFIG_SIZE_AUTO);
    cr_expect_eq(config.memory_limit, CONFIG_SIZE_NONE);
    cr_expect_eq(config.pressure_hold, 0.5);
    cr_expect_eq(config.shed_after, 10 * SECOND);
    cr_expect_eq(config.destination_key, CONFIG_DESTINATION_RECIPIENT_DOMAIN);
    cr_expect(config.destination_split);
    cr_expect_not(config.journal_domains);
    cr_expect_null(config_key_find("workers"));
    cr_expect_null(config_key_find(""));
}

Test(config, reads_each_type)
{
    cr_expect_str_eq(good("{\"agent\": \"pipe-2.x_+\"}").agent, "pipe-2.x_+");
    cr_expect_eq(good("{\"workers\": {\"max\": 10000}}").workers_max, 10000);
    cr_expect_eq(good("{\"workers\": {\"max\": 2e2}}").workers_max, 200);
    cr_expect_eq(good("{\"workers\": {\"limit\": \"fixed\"}}").workers_limit, CONFIG_LIMIT_FIXED);
    cr_expect_eq(good("{\"workers\": {\"start\": \"fork\"}}").workers_start, CONFIG_START_FORK);
    cr_expect_eq(good("{\"workers\": {\"start\": \"auto\"}}").workers_start, CONFIG_START_AUTO);
    cr_expect_eq(good("{\"cgroup\": {\"mode\": \"observe\"}}").cgroup_mode, CONFIG_CGROUP_OBSERVE);
    cr_expect_eq(good("{\"cgroup\": {\"mode\": \"unit\"}}").cgroup_mode, CONFIG_CGROUP_UNIT);
    cr_expect_eq(good("{\"cgroup\": {\"mode\": \"hybrid\"}}").cgroup_mode, CONFIG_CGROUP_HYBRID);
    cr_expect_eq(good("{\"destination\": {\"key\": \"nexthop\"}}").destination_key,
                 CONFIG_DESTINATION_NEXTHOP);
    cr_expect_eq(good("{\"destination\": {\"key\": \"recipient\"}}").destination_key,
                 CONFIG_DESTINATION_RECIPIENT);
    cr_expect_eq(good("{\"destination\": {\"split\": false}}").destination_split, false);
    cr_expect_eq(good("{\"journal\": {\"domains\": true}}").journal_domains, true);
    cr_expect_str_eq(
        good("{\"cgroup\": {\"parent\": \"/a.slice/b\\\\x2d.service\"}}").cgroup_parent,
        "/a.slice/b\\x2d.service");
}

Test(config, reads_sizes)
{
    cr_expect_eq(good("{\"memory\": {\"limit\": 67108864}}").memory_limit, 64 * MIB);
    cr_expect_eq(good("{\"memory\": {\"limit\": \"64M\"}}").memory_limit, 64 * MIB);
    cr_expect_eq(good("{\"memory\": {\"limit\": \"64MB\"}}").memory_limit, 64 * MIB);
    cr_expect_eq(good("{\"memory\": {\"limit\": \"64MiB\"}}").memory_limit, 64 * MIB);
    cr_expect_eq(good("{\"memory\": {\"limit\": \"65536K\"}}").memory_limit, 64 * MIB);
    cr_expect_eq(good("{\"memory\": {\"limit\": \"1.5G\"}}").memory_limit, 1536 * MIB);
    cr_expect_eq(good("{\"memory\": {\"limit\": \"65536G\"}}").memory_limit, UINT64_C(1) << 46);
    cr_expect_eq(good("{\"memory\": {\"limit\": \"none\"}}").memory_limit, CONFIG_SIZE_NONE);
    cr_expect_eq(good("{\"memory\": {\"min_available\": 0}}").memory_min_available, 0);
    cr_expect_eq(good("{\"memory\": {\"min_available\": \"auto\"}}").memory_min_available,
                 CONFIG_SIZE_AUTO);
}

Test(config, reads_times_and_percentages)
{
    static const struct {
        const char *text;
        uint64_t time;
    } times[] = {
        {"0", 0},
        {"7", 7 * SECOND},
        {"0.25", SECOND / 4},
        {"0.000001", 1},
        {"\"7s\"", 7 * SECOND},
        {"\"0.1s\"", SECOND / 10},
        {"\"2m\"", 120 * SECOND},
        {"\"0.5m\"", 30 * SECOND},
        {"\"1h\"", 3600 * SECOND},
        {"\"0.01d\"", 864 * SECOND},
    };

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char text[100];

        snprintf(text, sizeof(text), "{\"destination\": {\"pace\": %s}}", times[i].text);
        cr_expect_eq(good(text).destination_pace, times[i].time, "%s", text);
    }
    cr_expect_eq(good("{\"waiting\": {\"time\": \"1d\"}}").waiting_time, 86400 * SECOND);
    cr_expect_eq(good("{\"pressure\": {\"full\": 12.5}}").pressure_full, 12.5);
    cr_expect_eq(good("{\"pressure\": {\"full\": \"0.7%\"}}").pressure_full, 0.7);
}

static uint64_t pace_of(const struct config *config, const char *domain)
{
    return config_pace(config, domain, strlen(domain));
}

Test(config, knows_the_pace_of_each_domain)
{
    const struct config config =
        good("{\"destination\": {\"pace\": \"3s\", \"paces\": {\"m.example\": \"2s\", \"m\": 7,\n"
             "\"slow.example\": \"1m\", \"a\": 0, \"\xc3\xbc.example\": 9}}}");
    char beyond[2 * CONFIG_DOMAIN_SIZE];

    cr_expect_eq(pace_of(&config, "m.example"), 2 * SECOND);
    cr_expect_eq(pace_of(&config, "m"), 7 * SECOND);
    cr_expect_eq(pace_of(&config, "slow.example"), 60 * SECOND);
    cr_expect_eq(pace_of(&config, "a"), 0);
    cr_expect_eq(pace_of(&config, "\xc3\xbc.example"), 9 * SECOND);
    /* Exactly these: nothing below, above, before or behind them. */
    cr_expect_eq(pace_of(&config, "x.m.example"), 3 * SECOND);
    cr_expect_eq(pace_of(&config, "m.exampl"), 3 * SECOND);
    cr_expect_eq(pace_of(&config, "m.examples"), 3 * SECOND);
    cr_expect_eq(pace_of(&config, "0"), 3 * SECOND);
    cr_expect_eq(pace_of(&config, "zzz"), 3 * SECOND);
    cr_expect_eq(pace_of(&config, ""), 3 * SECOND);
    cr_expect_eq(config_pace(&config, "m.example", 1), 7 * SECOND, "read beyond the length");
    memset(beyond, 'm', sizeof(beyond));
    for (size_t length = 2; length <= sizeof(beyond); length++)
        cr_expect_eq(config_pace(&config, beyond, length), 3 * SECOND);
}

/* Also of padding: it was not touched at all. */
static bool same_bytes(const void *left, const void *right, size_t size)
{
    return memcmp(left, right, size) == 0;
}

/* Values that a key must refuse, each where its key's values come from. */
static const struct {
    const char *section;
    const char *name;
    const char *values[28];
} bad[] = {
    {"workers",
     "max",
     {"0", "10001", "-1", "1.5", "\"500\"", "\"many\"", "true", "null", "[1]", "{}", "\"auto\"",
      "1e9", "4294967297", "-1e300"}},
    {"workers", "limit", {"\"Memory\"", "\"\"", "0", "null", "\"memory \"", "true"}},
    {"memory",
     "limit",
     {"\"auto\"",
      "\"64MBB\"",
      "\"64B\"",
      "\"64iB\"",
      "\"B\"",
      "\"64m\"",
      "\"64\"",
      "\"M\"",
      "\"\"",
      "\" 64M\"",
      "\"-64M\"",
      "\"+64M\"",
      "\"64 M\"",
      "1",
      "\"8191K\"",
      "\"65537G\"",
      "\"99999999999999999999G\"",
      "67108864.5",
      "\"64T\"",
      "true",
      "null",
      "\"1e3M\"",
      "\"1.M\"",
      "\".5G\"",
      "\"64M\\n\"",
      "1e300"}},
    {"memory", "min_available", {"\"none\"", "-1", "\"0.1\"", "\"Auto\""}},
    {"shed",
     "after",
     {"-1", "3601", "\"61m\"", "\"2h\"", "\"10\"", "\"10 s\"", "\"10S\"", "\"10ms\"", "\"1w\"",
      "\"s\"", "\"\"", "null", "false", "{\"s\": 1}", "\"1m30s\"", "\"1e1s\"", "\"0.0000001s\"",
      "1e300"}},
    {"waiting", "time", {"0", "0.9", "\"0s\"", "\"2d\""}},
    {"pressure", "target", {"0", "-1", "100.1", "\"1\"", "\"1 %\"", "\"%\"", "null", "\"101%\""}},
    {"destination", "split", {"0", "1", "\"true\"", "\"yes\"", "null", "[]"}},
    {"cgroup",
     "parent",
     {"\"a\"", "\"/a/\"", "\"//\"", "\"/a//b\"", "\"/..\"", "\"/a/../b\"", "\"/.\"", "\"/a\\nb\"",
      "1", "null", "\"/a\\u007f\""}},
};

Test(config, refuses_wrong_values_and_leaves_the_rest_as_it_was)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (size_t j = 0; j < 28 && bad[i].values[j] != NULL; j++) {
            struct config config;
            struct config before;
            struct heard heard;
            char text[200];
            char begin[200];

            memset(&config, 0x5a, sizeof(config));
            before = config;
            snprintf(text, sizeof(text), "{\"defaults\": {\"%s\":\n {\"%s\": %s}}}", bad[i].section,
                     bad[i].name, bad[i].values[j]);
            cr_expect_eq(parse(text, strlen(text), &config, &heard), -EINVAL, "accepted: %s", text);
            cr_expect(same_bytes(&config, &before, sizeof(config)), "changed by %s", text);
            cr_expect_eq(heard.lines, 1, "%s", text);
            snprintf(begin, sizeof(begin), "f:2:%zu: %s.%s is ", strlen(bad[i].name) + 7,
                     bad[i].section, bad[i].name);
            cr_expect_eq(strncmp(heard.line[0], begin, strlen(begin)), 0, "%s: %s", text,
                         heard.line[0]);
            cr_expect_not_null(strstr(heard.line[0], " but must be "), "%s", heard.line[0]);
        }
}

Test(config, runs_nothing_but_a_plain_name_as_agent)
{
    static const char *const names[] = {
        "",        "/bin/sh",   "../lmtp", "a/b", ".",      "..",  ".hidden",      "-c",  "lm tp",
        "lmtp\\n", "l\\u0130p", "a;b",     "$x",  "a\\\\b", "a*b", "lm\xc3\xbctp", "a:b", "~"};
    char name[CONFIG_NAME_SIZE + 1];
    char text[200];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct config config;
        struct heard heard;

        snprintf(text, sizeof(text), "{\"defaults\": {\"agent\": \"%s\"}}", names[i]);
        cr_expect_eq(parse(text, strlen(text), &config, &heard), -EINVAL, "accepted: %s", names[i]);
    }
    memset(name, 'a', sizeof(name));
    for (size_t length = CONFIG_NAME_SIZE - 1; length <= CONFIG_NAME_SIZE; length++) {
        struct config config;
        struct heard heard;

        snprintf(text, sizeof(text), "{\"defaults\": {\"agent\": \"%.*s\"}}", (int)length, name);
        cr_expect_eq(parse(text, strlen(text), &config, &heard),
                     length < CONFIG_NAME_SIZE ? 0 : -EINVAL);
    }
}

Test(config, bounds_the_path_of_the_parent_group)
{
    char text[2 * CONFIG_PATH_SIZE];

    for (size_t length = CONFIG_PATH_SIZE - 2; length <= CONFIG_PATH_SIZE; length++) {
        struct config config;
        struct heard heard;
        size_t used =
            (size_t)snprintf(text, sizeof(text), "{\"defaults\":{\"cgroup\":{\"parent\":\"/");

        memset(text + used, '\\', 2 * (length / 4));
        memset(text + used + 2 * (length / 4), 'a', length - 1 - length / 4);
        snprintf(text + used + length - 1 + length / 4, 5, "\"}}}");
        cr_expect_eq(parse(text, strlen(text), &config, &heard),
                     length < CONFIG_PATH_SIZE ? 0 : -EINVAL, "%zu", length);
        if (length < CONFIG_PATH_SIZE)
            cr_expect_eq(strlen(config.cgroup_parent), length);
    }
}

Test(config, one_line_says_how_to_mend_it)
{
    says("{\"defaults\": {\n  \"workers\": {\n    \"max\": \"many\"}}}", 1,
         "f:3:12: workers.max is \"many\" but must be a whole number from 1 to 10000");
    says("{\"defaults\": {\"memory\": {\"limit\": 5}}}", 1,
         "f:1:35: memory.limit is 5 but must be a size from 8M to 65536G: bytes as a whole number, "
         "or with K, M or G as in \"64M\", or \"none\"");
    says("{\"defaults\": {\"shed\": {\"grace\": [5]}}}", 1,
         "f:1:33: shed.grace is a list but must be a time from 0 to 1h: seconds as a number, or "
         "with s, m, h or d as in \"5m\"");
    says("{\"defaults\": {\"cgroup\": {\"mode\": \"v2\"}}}", 1,
         "f:1:34: cgroup.mode is \"v2\" but must be \"auto\", \"unit\", \"hybrid\" or \"observe\"");
    says("{\"defaults\": {\"workers\": 20}}", 1,
         "f:1:26: workers is 20 but must be an object in braces with min, max, limit, start");
    says("{\"defaults\": []}", 1, "f:1:14: defaults is a list but must be an object in braces");
    says("{\"services\": {\"mine\": null}}", 1,
         "f:1:23: services.mine is null but must be an object in braces");
    says("[]", 1,
         "f:1:1: the file is a list but must be an object in braces with \"defaults\" and "
         "\"services\"");
    says("{\"defaults\": {\"workers\": {\"max\": 5,}}}", 1,
         "f:1:35: found a comma with nothing behind it: remove it before the }");
    says("{\"defaults\": {\"workers\": {\"max\": 5, \"max\": 6}}}", 1,
         "f:1:37: found the key \"max\" again, but it is on line 1, column 27 already");
}

Test(config, unknown_keys_are_warnings_with_the_nearest_key)
{
    static const struct {
        const char *key; /* of "defaults", from column 13 on */
        const char *line;
    } unknown[] = {
        {"{\"wokers\": {}}", "f:1:14: \"wokers\" is not a known key: did you mean workers?"},
        {"{\"Workers\": {}}", "f:1:14: \"Workers\" is not a known key: did you mean workers?"},
        {"{\"agnet\": 1}", "f:1:14: \"agnet\" is not a known key: did you mean agent?"},
        {"{\"workers\": {\"mx\": 1}}",
         "f:1:26: \"mx\" is not a known key of workers: did you mean workers.max?"},
        {"{\"memory\": {\"min-available\": 1}}",
         "f:1:25: \"min-available\" is not a known key of memory: did you mean "
         "memory.min_available?"},
        {"{\"min_available\": 1}",
         "f:1:14: \"min_available\" is not a known key: did you mean memory.min_available?"},
        {"{\"workers.max\": 7}",
         "f:1:14: \"workers.max\" is not a known key: write \"workers\": {\"max\": ...}"},
        {"{\"colour\": 1}",
         "f:1:14: \"colour\" is not a known key, known are: agent, dry_run, workers, "
         "waiting, memory, pressure, shed, destination, cgroup, journal, status, metrics"},
        {"{\"shed\": {\"everything\": 1}}",
         "f:1:23: \"everything\" is not a known key of shed, known are: after, grace"},
        {"{\"a\\u001b[31m\\n\": 1}",
         "f:1:14: \"a?[31m?\" is not a known key, known are: agent, dry_run, workers, waiting, "
         "memory, "
         "pressure, shed, destination, cgroup, journal, status, metrics"},
    };

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        char text[300];

        snprintf(text, sizeof(text), "{\"defaults\":%s}", unknown[i].key);
        says(text, 0, unknown[i].line);
    }
    says("{\"workers\": {\"max\": 1}}", 0,
         "f:1:2: \"workers\" is not used here: it belongs into \"defaults\" or into a service's "
         "entry in \"services\"");
    says("{\"service\": {}}", 0,
         "f:1:2: \"service\" is not a known key here, known are: defaults, services");
    /* An editor finds the schema by this key. */
    cr_expect_eq(good("{}, \"$schema\": \"headroom.schema.json\"").workers_max, 500);
}

Test(config, a_service_wins_over_defaults_over_the_table)
{
    /* Whatever comes first in the text. */
    static const char *const texts[] = {
        "{\"defaults\": {\"workers\": {\"max\": 100, \"min\": 2}, \"agent\": \"smtp\"},"
        " \"services\": {\"other\": {\"workers\": {\"max\": 7}}, \"mine\": {\"workers\": {\"max\": "
        "50}}}}",
        "{\"services\": {\"mine\": {\"workers\": {\"max\": 50}}, \"other\": {\"workers\": "
        "{\"max\": 7}}},"
        " \"defaults\": {\"agent\": \"smtp\", \"workers\": {\"max\": 100, \"min\": 2}}}",
    };

    for (size_t i = 0; i < 2; i++) {
        struct config config;
        struct heard heard;

        cr_assert_eq(parse(texts[i], strlen(texts[i]), &config, &heard), 0);
        cr_expect_eq(heard.lines, 0);
        cr_expect_eq(config.workers_max, 50);
        cr_expect_eq(config.workers_min, 2);
        cr_expect_str_eq(config.agent, "smtp");
        cr_expect_eq(config.waiting_max, 2000);
    }
}

Test(config, problems_of_other_services_are_warnings)
{
    says("{\"services\": {\"other\": {\"agent\": \"/bin/sh\"}}}", 0,
         "f:1:34: agent is \"/bin/sh\" but must be a plain name in double quotes, of letters, "
         "digits "
         "and . _ + - without a slash, at most 63 characters");
    says("{\"services\": {\"other\": 5}}", 0,
         "f:1:24: services.other is 5 but must be an object in braces");
    says("{\"services\": {\"other\": {\"workers\": {\"min\": 600}}}}", 0,
         "f:1:44: workers.min is 600 but must be at most workers.max, which is 500");
    /* An entry is judged on top of the defaults, not on top of ours. */
    cr_expect_eq(good("{}, \"services\": {\"mine\": {\"workers\": {\"max\": 5}}, \"other\": "
                      "{\"workers\": {\"min\": 50}}}")
                     .workers_max,
                 5);
    says("{\"services\": {\"mine\": {\"agent\": 5}, \"other\": {}}}", 1,
         "f:1:33: agent is 5 but must be a plain name in double quotes, of letters, digits and . _ "
         "+ - without a slash, at most 63 characters");
}

Test(config, checks_values_against_each_other)
{
    says("{\"defaults\": {\"workers\": {\"min\": 10, \"max\": 5}}}", 1,
         "f:1:45: workers.max is 5 but must be at least workers.min, which is 10");
    says("{\"defaults\": {\"workers\": {\"min\": 501}}}", 1,
         "f:1:34: workers.min is 501 but must be at most workers.max, which is 500");
    says("{\"services\": {\"mine\": {\"workers\": {\"min\": 20}}},\n"
         " \"defaults\": {\"workers\": {\"max\": 10}}}",
         1, "f:1:43: workers.min is 20 but must be at most workers.max, which is 10");
    says("{\"defaults\": {\"pressure\": {\"target\": 0.25}}}", 0,
         "f:1:38: pressure.target is 0.25 but must be at least pressure.hold, which is 0.5: else "
         "workers are retired before starting them stops");
    says("{\"defaults\": {\"memory\": {\"high\": \"1G\", \"limit\": \"64M\"}}}", 0,
         "f:1:49: memory.limit is \"64M\" but must be at least memory.high, which is \"1G\": else "
         "it "
         "has no effect");
    cr_expect_eq(good("{\"workers\": {\"min\": 5, \"max\": 5}}").workers_min, 5);
    cr_expect_eq(good("{\"memory\": {\"high\": \"1G\"}}").memory_limit, CONFIG_SIZE_NONE);
}

/* A second qmgr(8) as a worker moved the mail that the first one had in its hands: fifty messages were gone. */
Test(config, knows_what_is_no_delivery_agent)
{
    says("{\"defaults\": {\"agent\": \"qmgr\"}}", 1,
         "f:1:24: agent is \"qmgr\" but must be a delivery agent, such as lmtp");
    says("{\"services\": {\"mine\": {\"agent\": \"headroom\"}}}", 1,
         "f:1:33: agent is \"headroom\" but must be a delivery agent, such as lmtp");
    says("{\"services\": {\"other\": {\"agent\": \"cleanup\"}}}", 0,
         "f:1:34: agent is \"cleanup\" but must be a delivery agent, such as lmtp");
    cr_expect_str_eq(good("{\"agent\": \"smtp\"}").agent, "smtp");
    cr_expect_str_eq(good("{\"agent\": \"qmgr-of-ours\"}").agent, "qmgr-of-ours");
}

/* {"DOMAIN_from": 1, ...} up to the domain before `to`. */
static size_t print_domains(char *text, size_t size, unsigned from, unsigned to)
{
    size_t used = (size_t)snprintf(text, size, "{\"destination\": {\"paces\": {");

    for (unsigned i = from; i < to; i++)
        used += (size_t)snprintf(text + used, size - used, "%s\"d%u.example\": %u",
                                 i == from ? "" : ",\n", i, i);
    return used + (size_t)snprintf(text + used, size - used, "}}}");
}

Test(config, says_what_is_wrong_with_a_pace)
{
    static const char *const names[] = {"",          ".",         "a.",   ".a",  "a..b",
                                        "A",         "a.B",       "a b",  "a@b", "a/b",
                                        "[1.2.3.4]", "*.example", "a\\n", "a:b", "a\\u007f"};
    char name[CONFIG_DOMAIN_SIZE + 1];
    char text[500];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct config config;
        struct heard heard;

        snprintf(text, sizeof(text), "{\"defaults\": {\"destination\": {\"paces\": {\"%s\": 1}}}}",
                 names[i]);
        cr_expect_eq(parse(text, strlen(text), &config, &heard), -EINVAL, "accepted: %s", names[i]);
        cr_expect_eq(strncmp(heard.line[0], "f:1:41: destination.paces has \"", 31), 0, "%s",
                     heard.line[0]);
    }
    memset(name, 'a', sizeof(name));
    for (size_t length = CONFIG_DOMAIN_SIZE - 1; length <= CONFIG_DOMAIN_SIZE; length++) {
        struct config config;
        struct heard heard;

        snprintf(text, sizeof(text),
                 "{\"defaults\": {\"destination\": {\"paces\": {\"%.*s\": 1}}}}", (int)length,
                 name);
        cr_expect_eq(parse(text, strlen(text), &config, &heard),
                     length < CONFIG_DOMAIN_SIZE ? 0 : -EINVAL);
    }
    says("{\"defaults\": {\"destination\": {\"paces\": {\"a\": 1,\n \"Example.COM\": 1}}}}", 1,
         "f:2:2: destination.paces has \"Example.COM\" but must have domains in lower case, of "
         "letters, digits, - and _ with dots between, at most 255 bytes");
    says("{\"defaults\": {\"destination\": {\"paces\": {\"a\": 1,\n \"b\": \"10\", \"c\": 1}}}}", 1,
         "f:2:7: destination.paces has \"10\" for \"b\" but must have a time from 0 to 1h: seconds "
         "as a number, or with s, m, h or d as in \"5m\"");
    says("{\"defaults\": {\"destination\": {\"paces\": {\"a\": {\"b\": 1}}}}}", 1,
         "f:1:46: destination.paces has an object for \"a\" but must have a time from 0 to 1h: "
         "seconds as a number, or with s, m, h or d as in \"5m\"");
    says("{\"defaults\": {\"destination\": {\"paces\": \"2s\"}}}", 1,
         "f:1:40: destination.paces is \"2s\" but must be an object in braces with domains and "
         "times");
    says("{\"defaults\": {\"destination\": {\"pace\": {\"a\": 1}}}}", 1,
         "f:1:39: destination.pace is an object but must be a time from 0 to 1h: seconds as a "
         "number, or with s, m, h or d as in \"5m\"");
    says("{\"defaults\": {\"destination\": {\"paces\": {\"a\": 1, \"b\": 2, \"a\": 3}}}}", 1,
         "f:1:57: found the key \"a\" again, but it is on line 1, column 41 already");
    says("{\"services\": {\"other\": {\"destination\": {\"paces\": {\"a\": 3601}}}}}", 0,
         "f:1:56: destination.paces has 3601 for \"a\" but must have a time from 0 to 1h: seconds "
         "as a number, or with s, m, h or d as in \"5m\"");
    /* What stands behind it has its own place. */
    says("{\"defaults\": {\"destination\": {\"paces\": {\"a\": 1, \"b\": 2}, \"split\": 3}}}", 1,
         "f:1:67: destination.split is 3 but must be true or false");
}

Test(config, adds_the_paces_of_a_service_to_those_of_defaults)
{
    static const char text[] =
        "{\"services\": {\"other\": {\"destination\": {\"paces\": {\"d\": 8, \"a\": 8}}},\n"
        "\"mine\": {\"destination\": {\"paces\": {\"c\": 3, \"b\": 0}}}},\n"
        "\"defaults\": {\"destination\": {\"pace\": 9, \"paces\": {\"a\": 1, \"b\": 2}}}}";
    struct config config;
    struct heard heard;

    cr_assert_eq(parse(text, strlen(text), &config, &heard), 0);
    cr_expect_eq(heard.lines, 0);
    cr_expect_eq(pace_of(&config, "a"), 1 * SECOND);
    cr_expect_eq(pace_of(&config, "b"), 0);
    cr_expect_eq(pace_of(&config, "c"), 3 * SECOND);
    cr_expect_eq(pace_of(&config, "d"), 9 * SECOND);
}

Test(config, bounds_the_domains_with_a_pace)
{
    char first[3000];
    char second[3000];
    char text[7000];
    struct config config;
    struct heard heard;

    print_domains(first, sizeof(first), 0, 64);
    config = good(first);
    for (unsigned i = 0; i < 64; i++) {
        snprintf(text, sizeof(text), "d%u.example", i);
        cr_expect_eq(pace_of(&config, text), i * SECOND, "%s", text);
    }
    /* The same ones again are no more. */
    snprintf(text, sizeof(text), "{\"defaults\": %s, \"services\": {\"mine\": %s}}", first, first);
    cr_expect_eq(parse(text, strlen(text), &config, &heard), 0, "%s", heard.line[0]);
    /* One too many in all, in the service's second line. */
    print_domains(second, sizeof(second), 63, 65);
    snprintf(text, sizeof(text), "{\"services\": {\"mine\": %s},\n\"defaults\": %s}", second,
             first);
    says(text, 1,
         "f:2:1: destination.paces has \"d64.example\" but may have 64 domains, those of "
         "\"defaults\" included, and has them");
}

/* The longest that there can be fits into what CONFIG_VALUE_SIZE promises. */
Test(config, prints_the_most_and_longest_paces)
{
    struct config config;
    char domain[CONFIG_DOMAIN_SIZE];
    static char value[CONFIG_VALUE_SIZE];

    config_defaults(&config);
    config.destination_paces.count = CONFIG_PACES_MAX;
    for (unsigned i = 0; i < CONFIG_PACES_MAX; i++) {
        memset(domain, 'a', sizeof(domain) - 1);
        domain[sizeof(domain) - 1] = '\0';
        memcpy(config.destination_paces.of[i].domain, domain, sizeof(domain));
        config.destination_paces.of[i].pace = 3600 * SECOND - 1;
    }
    cr_expect_eq(
        config_print_value(config_key_find("destination.paces"), &config, value, sizeof(value)), 0);
    cr_expect_str_eq(value + strlen(value) - 20, "aa\": \"3599.999999s\"}");
}

Test(config, mends_nothing_that_a_service_has_mended)
{
    /* The order is checked for what is in force, not for "defaults" alone. */
    static const char text[] = "{\"defaults\": {\"workers\": {\"min\": 600}},"
                               " \"services\": {\"mine\": {\"workers\": {\"max\": 700}}}}";
    struct config config;
    struct heard heard;

    cr_expect_eq(parse(text, strlen(text), &config, &heard), 0);
    cr_expect_eq(heard.lines, 0);
    cr_expect_eq(config.workers_min, 600);
}

Test(config, is_not_flooded_by_problems)
{
    static char text[40000];
    struct config config;
    struct heard heard;
    size_t used = (size_t)snprintf(text, sizeof(text), "{\"defaults\": {");

    for (unsigned i = 0; i < 1000; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "\"unknown%u\": 1, ", i);
    used += (size_t)snprintf(text + used, sizeof(text) - used, "\"agent\": 1}}");
    cr_expect_eq(parse(text, used, &config, &heard), -EINVAL);
    /* The error is said although the warnings before it have used up all lines, and one line counts the rest. */
    cr_expect_eq(heard.errors, 1);
    cr_expect_eq(heard.lines, CONFIG_REPORTS_MAX + 2);
    cr_expect_str_eq(heard.line[heard.lines - 1], "f: 980 more problems are not shown");
}

static const char sample[] =
    "{\"$schema\": \"s\", \"defaults\": {\"agent\": \"lmtp\", \"workers\": {\"min\": 2, \"max\": "
    "20,\n"
    "\"limit\": \"fixed\"}, \"memory\": {\"limit\": \"64M\"}, \"shed\": {\"after\": 2.5}},\n"
    "\"services\": {\"mine\": {\"pressure\": {\"hold\": \"0.1%\"}}, \"other\": {\"agent\": "
    "\"smtp\"}}}";

Test(config, refuses_every_truncation)
{
    struct config config;
    struct heard heard;

    for (size_t length = 0; length < sizeof(sample) - 1; length++) {
        cr_expect_eq(parse(sample, length, &config, &heard), -EINVAL, "first %zu bytes", length);
        cr_expect_eq(heard.lines, 1);
    }
    cr_expect_eq(parse(sample, sizeof(sample) - 1, &config, &heard), 0);
    cr_expect_eq(heard.lines, 0);
}

Test(config, every_text_with_a_byte_less_is_refused_or_within_bounds)
{
    for (size_t at = 0; at < sizeof(sample) - 1; at++) {
        struct config config;
        struct heard heard;
        char text[sizeof(sample)];

        memcpy(text, sample, at);
        memcpy(text + at, sample + at + 1, sizeof(sample) - at - 1);
        if (parse(text, sizeof(sample) - 2, &config, &heard) != 0)
            continue;
        cr_expect(config.workers_min >= 1 && config.workers_min <= config.workers_max &&
                  config.workers_max <= 10000);
        cr_expect_null(strchr(config.agent, '/'));
    }
}

/* What config_print_value() prints, read again, gives the same value; so the table, the writer and the reader agree. */
Test(config, prints_what_it_can_read)
{
    static const char *const sections[] = {
        "{}",
        "{\"agent\": \"x\", \"workers\": {\"min\": 3, \"max\": 10000, \"limit\": \"fixed\"}}",
        "{\"cgroup\": {\"mode\": \"hybrid\", \"parent\": \"/a\\\"b/c\\\\d/\xc3\xbc\"}}",
        "{\"memory\": {\"limit\": 67108865, \"high\": \"8M\", \"min_available\": 1536}}",
        "{\"memory\": {\"limit\": \"65536G\", \"min_available\": 0}}",
        "{\"pressure\": {\"hold\": 0.1, \"target\": 33.333333333333336, \"full\": 100}}",
        "{\"shed\": {\"after\": 0, \"grace\": 1.000001}, \"waiting\": {\"time\": 86400}}",
        "{\"destination\": {\"pace\": 0.05, \"slow_after\": 90, \"split\": false}}",
        "{\"destination\": {\"paces\": {\"b_2\": 0.000001, \"a-1.c\": \"1h\", \"\xc3\xbc\": 0}}}",
    };
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        struct config config = good(sections[i]);

        for (size_t j = 0; j < count; j++) {
            char value[CONFIG_VALUE_SIZE];
            char again[CONFIG_VALUE_SIZE];
            char section[2 * CONFIG_VALUE_SIZE];
            struct config reread;
            struct heard heard;
            const char *dot = strchr(keys[j].path, '.');

            cr_assert_eq(config_print_value(&keys[j], &config, value, sizeof(value)), 0);
            cr_expect_eq(config_print_value(&keys[j], &config, again, strlen(value)), -ENOSPC);
            if (dot == NULL)
                snprintf(section, sizeof(section), "{\"defaults\": {\"%s\": %s}}", keys[j].path,
                         value);
            else
                snprintf(section, sizeof(section),
                         "{\"defaults\": {\"workers\": {\"max\": 10000}, \"%.*s\": {\"%s\": %s}}}",
                         (int)(dot - keys[j].path), keys[j].path, dot + 1, value);
            if (strncmp(keys[j].path, "workers.", 8) == 0)
                snprintf(section, sizeof(section), "{\"defaults\": {\"workers\": {\"%s\": %s}}}",
                         dot + 1, value);
            cr_expect_eq(parse(section, strlen(section), &reread, &heard), 0, "%s", heard.line[0]);
            cr_assert_eq(config_print_value(&keys[j], &reread, again, sizeof(again)), 0);
            cr_expect_str_eq(again, value);
        }
    }
}

Test(config, places_are_right_behind_nested_values)
{
    says("{\"defaults\": {\"workers\": {\"min\": 2, \"max\": 3},\n \"shed\": {\"after\": 1, "
         "\"grace\": []}}}",
         1,
         "f:2:32: shed.grace is a list but must be a time from 0 to 1h: seconds as a number, or "
         "with "
         "s, m, h or d as in \"5m\"");
    says("{\"defaults\": {\"workers\": {\"min\": 2}},\n \"foo\": 1}", 0,
         "f:2:2: \"foo\" is not a known key here, known are: defaults, services");
    says("{\"services\": {\"other\": {\"workers\": {\"min\": 2}},\n \"mine\": {\"journal\": 3}}}",
         1, "f:2:22: journal is 3 but must be an object in braces with domains");
}

Test(config, prints_values_as_people_write_them)
{
    static const struct {
        const char *section;
        const char *path;
        const char *value;
    } texts[] = {
        {"{\"destination\": {\"paces\": {\"b.example\": 60, \"a.example\": 0.5, \"c\": 0}}}",
         "destination.paces", "{\"a.example\": \"0.5s\", \"b.example\": \"1m\", \"c\": 0}"},
        {"{\"destination\": {\"pace\": 0.05}}", "destination.pace", "\"0.05s\""},
        {"{\"destination\": {\"pace\": 90.25}}", "destination.pace", "\"90.25s\""},
        {"{\"destination\": {\"pace\": 90}}", "destination.pace", "\"90s\""},
        {"{\"waiting\": {\"time\": 7200}}", "waiting.time", "\"2h\""},
        {"{\"memory\": {\"limit\": \"1024M\"}}", "memory.limit", "\"1G\""},
        {"{\"memory\": {\"limit\": 8388609}}", "memory.limit", "8388609"},
        {"{\"pressure\": {\"full\": \"12.50%\"}}", "pressure.full", "12.5"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config config = good(texts[i].section);
        char value[CONFIG_VALUE_SIZE];

        config_print_value(config_key_find(texts[i].path), &config, value, sizeof(value));
        cr_expect_str_eq(value, texts[i].value);
    }
}

Test(config, the_table_is_sound)
{
    struct config config;
    size_t count;
    const struct config_key *keys = config_keys(&count);

    config_defaults(&config);
    cr_expect_leq(count, 64); /* KEYS_MAX of config.c */
    for (size_t i = 0; i < count; i++) {
        char allowed[300];

        config_print_allowed(&keys[i], allowed, sizeof(allowed));
        cr_expect_lt(strlen(allowed), sizeof(allowed) - 1);
        if (keys[i].type != CONFIG_CHOICE && keys[i].type != CONFIG_BOOLEAN &&
            keys[i].word == NULL && keys[i].standard_text == NULL)
            cr_expect(keys[i].minimum <= keys[i].standard && keys[i].standard <= keys[i].maximum,
                      "%s", keys[i].path);
        cr_expect_eq(keys[i].type == CONFIG_CHOICE, keys[i].choices != NULL);
        for (size_t j = i + 1; j < count; j++) {
            cr_expect_str_neq(keys[i].path, keys[j].path);
            cr_expect_neq(keys[i].offset, keys[j].offset, "%s, %s", keys[i].path, keys[j].path);
        }
    }
}

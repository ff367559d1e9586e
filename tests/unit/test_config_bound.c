/* supervisor/config/config_bound: what workers.max is where the file does not set it. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/config/config_bound.h"

static void ignore(void *context, enum config_severity severity, const char *line)
{
    (void)context;
    (void)severity;
    (void)line;
}

static struct config read_text(const char *text)
{
    struct config config;

    cr_assert_eq(config_parse(text, strlen(text), "file", "lmtp", &config, ignore, NULL), 0);
    return config;
}

Test(config_bound, who_goes_before_whom)
{
    static const struct {
        const char *text;
        int column; /* negative: "-" */
        int process_limit;
        unsigned max;
        enum config_bound bound;
    } cases[] = {
        {"{}", -1, 0, 500, CONFIG_BOUND_DEFAULT},
        {"{}", 0, 0, 500, CONFIG_BOUND_DEFAULT},
        {"{}", 2, 0, 2, CONFIG_BOUND_COLUMN},
        {"{}", 10, 50, 10, CONFIG_BOUND_COLUMN},
        {"{}", -1, 10, 10, CONFIG_BOUND_PROCESS_LIMIT},
        /* "unlimited" is a choice, too: the default of all services is not meant. */
        {"{}", 0, 10, 500, CONFIG_BOUND_DEFAULT},
        {"{}", 2147483647, 0, 10000, CONFIG_BOUND_COLUMN},
        {"{\"defaults\": {\"workers\": {\"max\": 300}}}", 2, 10, 300, CONFIG_BOUND_FILE},
        /* What the file says counts, though it says what is the default. */
        {"{\"services\": {\"lmtp\": {\"workers\": {\"max\": 500}}}}", 2, 10, 500,
         CONFIG_BOUND_FILE},
        {"{\"services\": {\"other\": {\"workers\": {\"max\": 300}}}}", 2, 10, 2,
         CONFIG_BOUND_COLUMN},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config = read_text(cases[i].text);

        cr_expect_not(config_bound_apply(&config, cases[i].column, cases[i].process_limit));
        cr_expect_eq(config.workers_max, cases[i].max, "case %zu: %u", i, config.workers_max);
        cr_expect_eq(config.workers_bound, cases[i].bound, "case %zu", i);
    }
}

/* A dry run has as many workers as master(8) would start, whatever the file says. */
Test(config_bound, a_dry_run_is_as_stock)
{
    static const struct {
        int column, process_limit;
        unsigned stock;
    } cases[] = {{2, 50, 2}, {-1, 50, 50}, {-1, 0, 100}, {0, 50, 10000}, {2147483647, 0, 10000}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config =
            read_text("{\"defaults\": {\"dry_run\": true, \"workers\": {\"max\": 300}}}");

        cr_expect_not(config_bound_apply(&config, cases[i].column, cases[i].process_limit));
        cr_expect_eq(config_workers(&config), cases[i].stock, "case %zu: %u", i,
                     config_workers(&config));
        cr_expect_eq(config.workers_max, 300);
        config.dry_run = false;
        cr_expect_eq(config_workers(&config), 300);
    }
}

Test(config_bound, the_minimum_is_lowered_to_it)
{
    struct config config = read_text("{\"defaults\": {\"workers\": {\"min\": 5}}}");

    cr_expect(config_bound_apply(&config, 2, 0));
    cr_expect_eq(config.workers_max, 2);
    cr_expect_eq(config.workers_min, 2);
}

Test(config_bound, words)
{
    for (int i = 0; i <= CONFIG_BOUND_PROCESS_LIMIT; i++)
        cr_expect_eq(config_bound_of(config_bound_word((enum config_bound)i)), (unsigned)i);
    cr_expect_eq(config_bound_of("something new"), CONFIG_BOUND_DEFAULT);
}

Test(config_bound, which_keys_the_file_sets)
{
    struct config config = read_text(
        "{\"defaults\": {\"agent\": \"lmtp\", \"destination\": {\"paces\": {\"a.example\": 2}}},"
        " \"services\": {\"lmtp\": {\"waiting\": {\"max\": 2000}},"
        " \"other\": {\"waiting\": {\"time\": \"1m\"}}}}");
    static const char *const given[] = {"agent", "destination.paces", "waiting.max"};
    size_t count;
    size_t found = 0;
    const struct config_key *key = config_keys(&count);

    for (size_t i = 0; i < count; i++)
        found += config_given(&config, &key[i]);
    cr_expect_eq(found, sizeof given / sizeof given[0]);
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++)
        cr_expect(config_given(&config, config_key_find(given[i])), "%s", given[i]);
}

/* A directory with a master.cf and a main.cf. */
struct place {
    char directory[64];
    char master[96];
    char main[96];
};

static void put(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");

    cr_assert_not_null(out);
    fputs(text, out);
    cr_assert_eq(fclose(out), 0);
}

static void place_make(struct place *place, const char *main_cf, const char *master_cf)
{
    snprintf(place->directory, sizeof place->directory, "/tmp/headroom-bound-XXXXXX");
    cr_assert_not_null(mkdtemp(place->directory));
    snprintf(place->master, sizeof place->master, "%s/master.cf", place->directory);
    snprintf(place->main, sizeof place->main, "%s/main.cf", place->directory);
    put(place->main, main_cf);
    if (master_cf)
        put(place->master, master_cf);
}

static void place_remove(const struct place *place)
{
    unlink(place->master);
    unlink(place->main);
    rmdir(place->directory);
}

Test(config_bound, finds_what_postfix_says)
{
    struct place place;
    struct config config;
    char note[256];

    place_make(&place, "compatibility_level = 3.6\ndefault_process_limit = 10\n",
               "lmtp unix - - y - - headroom\nfilter unix - - y\n  - 2 headroom\n");
    config = read_text("{}");
    config_bound_find(&config, place.directory, "lmtp", -1, note, sizeof note);
    cr_expect_eq(config.workers_max, 10);
    cr_expect_eq(config.workers_bound, CONFIG_BOUND_PROCESS_LIMIT);
    cr_expect_str_eq(note, "");
    config = read_text("{\"defaults\": {\"workers\": {\"min\": 4}}}");
    config_bound_find(&config, place.directory, "filter", -1, note, sizeof note);
    cr_expect_eq(config.workers_max, 2);
    cr_expect_eq(config.workers_bound, CONFIG_BOUND_COLUMN);
    cr_expect_not_null(strstr(note, "workers.min is 4"), "%s", note);
    place_remove(&place);
    /* What master gave on the command line is left. */
    place_make(&place, "compatibility_level = 3.6\n", NULL);
    config = read_text("{}");
    config_bound_find(&config, place.directory, "lmtp", 1, note, sizeof note);
    cr_expect_eq(config.workers_max, 1);
    cr_expect_not_null(strstr(note, "master.cf: No such file"), "%s", note);
    place_remove(&place);
}

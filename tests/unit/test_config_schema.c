/* The packaged JSON Schema says what the table of keys says: every key, its type, bounds, choices and default. */

#include "supervisor/config/config.h"
#include "supervisor/config/config_file.h"
#include "supervisor/config/config_value.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *schema;
static unsigned leaves; /* keys that the schema knows */

static const cJSON *member(const cJSON *of, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(of, name);
}

static void count_leaves(const cJSON *properties)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, properties)
    {
        if (member(item, "properties") != NULL)
            count_leaves(member(item, "properties"));
        else
            leaves++;
    }
}

static void read_schema(void)
{
    char *text = NULL;
    size_t length = 0;

    cr_assert_eq(config_file_read("packaging/headroom.schema.json", &text, &length), 0,
                 "run from the top of the tree");
    schema = cJSON_ParseWithLength(text, length);
    free(text);
    cr_assert_not_null(schema);
}

static void free_schema(void)
{
    cJSON_Delete(schema);
}

TestSuite(config_schema, .init = read_schema, .fini = free_schema);

static const cJSON *service(void)
{
    return member(member(schema, "$defs"), "service");
}

/* The entry of a key, along its path. */
static const cJSON *entry(const char *path)
{
    const cJSON *at = member(service(), "properties");
    char copy[64];
    char *rest;

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *name = strtok_r(copy, ".", &rest); name != NULL; name = strtok_r(NULL, ".", &rest)) {
        at = member(at, name);
        if (strchr(rest, '\0') != rest || rest[0] != '\0') {
            cr_expect_str_eq(cJSON_GetStringValue(member(at, "type")), "object");
            cr_expect(cJSON_IsFalse(member(at, "additionalProperties")), "%s", path);
            at = member(at, "properties");
        }
    }
    return at;
}

/* The entry allows this JSON type. */
static bool allows(const cJSON *of, const char *type)
{
    const cJSON *types = member(of, "type");
    const cJSON *item;

    if (cJSON_IsString(types))
        return strcmp(types->valuestring, type) == 0;
    cJSON_ArrayForEach(item, types) if (strcmp(item->valuestring, type) == 0) return true;
    return false;
}

static bool matches(const cJSON *of, const char *text)
{
    regex_t regex;
    bool found;

    cr_assert_eq(regcomp(&regex, cJSON_GetStringValue(member(of, "pattern")), REG_EXTENDED), 0);
    found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

Test(config_schema, has_every_key_and_no_other)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < count; i++)
        cr_expect_not_null(entry(keys[i].path), "%s is not in the schema", keys[i].path);
    count_leaves(member(service(), "properties"));
    cr_expect_eq(leaves, count);
    cr_expect(cJSON_IsFalse(member(service(), "additionalProperties")));
}

Test(config_schema, has_the_bounds_of_the_table)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < count; i++) {
        const cJSON *at = entry(keys[i].path);
        double unit = keys[i].type == CONFIG_TIME ? 1e6 : 1;

        switch (keys[i].type) {
        case CONFIG_COUNT:
        case CONFIG_SIZE:
        case CONFIG_TIME:
        case CONFIG_PERCENT:
            cr_assert_not_null(member(at, "minimum"), "%s", keys[i].path);
            cr_assert_not_null(member(at, "maximum"), "%s", keys[i].path);
            cr_expect_eq(member(at, "minimum")->valuedouble * unit, keys[i].minimum, "%s",
                         keys[i].path);
            cr_expect_eq(member(at, "maximum")->valuedouble * unit, keys[i].maximum, "%s",
                         keys[i].path);
            break;
        case CONFIG_NAME:
            cr_expect_eq(member(at, "maxLength")->valuedouble, CONFIG_NAME_SIZE - 1);
            break;
        case CONFIG_PACES:
            cr_expect_eq(member(at, "maxProperties")->valuedouble, CONFIG_PACES_MAX);
            cr_expect_eq(member(member(at, "propertyNames"), "maxLength")->valuedouble,
                         CONFIG_DOMAIN_SIZE - 1);
            at = member(at, "additionalProperties");
            cr_expect_eq(member(at, "minimum")->valuedouble * 1e6, keys[i].minimum);
            cr_expect_eq(member(at, "maximum")->valuedouble * 1e6, keys[i].maximum);
            break;
        case CONFIG_PATH:
            cr_expect_eq(member(at, "maxLength")->valuedouble, CONFIG_PATH_SIZE - 1);
            break;
        default:
            cr_expect_null(member(at, "minimum"), "%s", keys[i].path);
            break;
        }
    }
}

Test(config_schema, has_the_types_and_choices_of_the_table)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < count; i++) {
        const cJSON *at = entry(keys[i].path);
        enum config_type type = keys[i].type;
        bool number = type == CONFIG_TIME || type == CONFIG_PERCENT;
        bool string = type != CONFIG_COUNT && type != CONFIG_BOOLEAN && type != CONFIG_CHOICE &&
                      type != CONFIG_PACES;

        cr_expect_eq(allows(at, "integer"), type == CONFIG_COUNT || type == CONFIG_SIZE, "%s",
                     keys[i].path);
        cr_expect_eq(allows(at, "number"), number, "%s", keys[i].path);
        cr_expect_eq(allows(at, "string"), string, "%s", keys[i].path);
        cr_expect_eq(allows(at, "boolean"), type == CONFIG_BOOLEAN, "%s", keys[i].path);
        cr_expect_eq(allows(at, "object"), type == CONFIG_PACES, "%s", keys[i].path);
        if (type == CONFIG_PACES) {
            cr_expect(allows(member(at, "additionalProperties"), "number"));
            cr_expect(allows(member(at, "additionalProperties"), "string"));
        }
        if (type == CONFIG_CHOICE) {
            const cJSON *choices = member(at, "enum");
            int n = 0;

            for (; keys[i].choices[n] != NULL; n++)
                cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetArrayItem(choices, n)),
                                 keys[i].choices[n]);
            cr_expect_eq(cJSON_GetArraySize(choices), n, "%s", keys[i].path);
        }
    }
}

Test(config_schema, has_the_defaults_and_meanings_of_the_table)
{
    struct config defaults;
    size_t count;
    const struct config_key *keys = config_keys(&count);

    config_defaults(&defaults);
    for (size_t i = 0; i < count; i++) {
        const cJSON *at = entry(keys[i].path);
        char standard[CONFIG_VALUE_SIZE];
        char *printed = cJSON_PrintUnformatted(member(at, "default"));

        cr_assert_eq(config_print_value(&keys[i], &defaults, standard, sizeof(standard)), 0);
        cr_expect_str_eq(printed, standard, "%s", keys[i].path);
        cr_expect_str_eq(cJSON_GetStringValue(member(at, "description")), keys[i].meaning);
        cJSON_free(printed);
    }
}

/* The patterns take and refuse what the reader takes and refuses (the path's needs more than POSIX has). */
Test(config_schema, has_patterns_that_agree_with_the_reader)
{
    static const struct {
        const char *path;
        const char *text;
        bool good;
    } texts[] = {
        {"agent", "lmtp", true},
        {"agent", "a/b", false},
        {"agent", "-c", false},
        {"agent", ".lmtp", false},
        {"agent", "", false},
        {"agent", "pipe-2.x_+", true},
        {"memory.limit", "64M", true},
        {"memory.limit", "none", true},
        {"memory.limit", "1.5G", true},
        {"memory.limit", "auto", false},
        {"memory.limit", "64MB", true},
        {"memory.limit", "64MiB", true},
        {"memory.limit", "64B", false},
        {"memory.limit", "64iB", false},
        {"memory.limit", "64MBB", false},
        {"memory.limit", "64Mi", false},
        {"memory.limit", "64m", false},
        {"memory.limit", "64", false},
        {"memory.min_available", "auto", true},
        {"shed.after", "10s", true},
        {"shed.after", "0.5m", true},
        {"shed.after", "10", false},
        {"shed.after", "1m30s", false},
        {"shed.after", "1w", false},
        {"pressure.hold", "0.5%", true},
        {"pressure.hold", "0.5", false},
        {"pressure.hold", "%", false},
        {"memory.limit", "1.M", false},
        {"shed.after", "0.0000001s", false},
        {"memory.limit", "64M\n", false},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        cr_expect_eq(matches(entry(texts[i].path), texts[i].text), texts[i].good, "%s: %s",
                     texts[i].path, texts[i].text);
}

/* The reader is asked itself; what is not ASCII needs more than POSIX has. */
Test(config_schema, has_a_pattern_for_domains_that_agrees_with_the_reader)
{
    static const char *const names[] = {
        "a",    "example.com", "a-b_c.0", "-a",  "",    ".",         "a.",           ".a",
        "a..b", "A",           "aB.c",    "a b", "a@b", "[1.2.3.4]", "*.example",    "a:b",
        "a/b",  "a\\b",        "a\nb",    "a{b", "a`b", "a^b",       "xn--bcher-kva"};
    const cJSON *of = member(entry("destination.paces"), "propertyNames");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        cr_expect_eq(matches(of, names[i]), config_value_domain(names[i]), "%s", names[i]);
}

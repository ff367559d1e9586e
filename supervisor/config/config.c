#include "supervisor/config/config.h"

#include "supervisor/config/config_nearest.h"
#include "supervisor/config/config_value.h"
#include "supervisor/config/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KEYS_MAX 64        /* more than the table has; checked where it is used */
#define PATH_MAX_SHOWN 100 /* longer than any key's path: what is cut is no key */
#define FOUND_MAX 40       /* characters shown of a value that is wrong */
#define FILE_NAME_SIZE 300 /* shown of the file name, so that the rest of the line remains */

/* Who gave a key its value; the later wins. */
enum layer { LAYER_TABLE, LAYER_DEFAULTS, LAYER_SERVICE };

/* The values as far as they are known, and where they come from, for the checks of one against another. */
struct values {
    struct config config;
    unsigned char layer[KEYS_MAX];
    uint32_t offset[KEYS_MAX];
};

struct walk {
    const char *text;
    size_t length;
    char file_name[FILE_NAME_SIZE];
    const struct json_document *document;
    config_report *report;
    void *context;
    bool other_service; /* errors are warnings: they are not ours */
    unsigned errors;
    unsigned reported;
    unsigned dropped;
};

void config_defaults(struct config *out)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < count; i++)
        config_value_default(&keys[i], out);
}

/* Whether a problem is to be said. The first error always is. */
static bool wanted(struct walk *walk, enum config_severity severity)
{
    bool first_error = severity == CONFIG_ERROR && walk->errors == 0;

    if (severity == CONFIG_ERROR)
        walk->errors++;
    if (walk->reported < CONFIG_REPORTS_MAX || first_error) {
        walk->reported++;
        return true;
    }
    walk->dropped++;
    return false;
}

__attribute__((format(printf, 4, 5))) static void say(const struct walk *walk,
                                                      enum config_severity severity,
                                                      uint32_t offset, const char *format, ...)
{
    char line[CONFIG_LINE_SIZE];
    unsigned row;
    unsigned column;
    int used;
    va_list arguments;

    json_line_column(walk->text, walk->length, offset, &row, &column);
    used = snprintf(line, sizeof(line), "%s:%u:%u: ", walk->file_name, row, column);
    va_start(arguments, format);
    vsnprintf(line + used, sizeof(line) - (size_t)used, format, arguments);
    va_end(arguments);
    walk->report(walk->context, severity, line);
}

static enum config_severity error_severity(const struct walk *walk)
{
    return walk->other_service ? CONFIG_WARNING : CONFIG_ERROR;
}

/* What stands there, as it was written. */
static void found(const struct walk *walk, const cJSON *item, uint32_t index, char *buffer,
                  size_t size)
{
    const struct json_place *place = &walk->document->places[index];

    if (cJSON_IsObject(item))
        snprintf(buffer, size, "an object");
    else if (cJSON_IsArray(item))
        snprintf(buffer, size, "a list");
    else
        json_excerpt(walk->text, place->value, place->end, FOUND_MAX, buffer, size);
}

static bool must_be_object(struct walk *walk, const char *path, const cJSON *item, uint32_t index,
                           const char *with)
{
    char what[200];

    if (cJSON_IsObject(item))
        return true;
    if (!wanted(walk, error_severity(walk)))
        return false;
    found(walk, item, index, what, sizeof(what));
    say(walk, error_severity(walk), walk->document->places[index].value,
        "%s is %s but must be an object in braces%s%s", path, what, with[0] == '\0' ? "" : " with ",
        with);
    return false;
}

static void unknown_key(struct walk *walk, const char *section, const char *path, const char *name,
                        uint32_t index)
{
    uint32_t offset = walk->document->places[index].key;
    char shown[200];
    char near[PATH_MAX_SHOWN];
    char names[200];

    if (!wanted(walk, CONFIG_WARNING))
        return;
    json_excerpt(name, 0, strlen(name), FOUND_MAX, shown, sizeof(shown));
    if (section[0] == '\0' && config_key_find(name) != NULL) { /* a path in the place of a name */
        const char *dot = strchr(name, '.');

        say(walk, CONFIG_WARNING, offset,
            "\"%s\" is not a known key: write \"%.*s\": {\"%s\": ...}", shown, (int)(dot - name),
            name, dot + 1);
    } else if (config_nearest(path, name, near, sizeof(near))) {
        say(walk, CONFIG_WARNING, offset, "\"%s\" is not a known key%s%s: did you mean %s?", shown,
            section[0] == '\0' ? "" : " of ", section, near);
    } else {
        config_names(section, names, sizeof(names));
        say(walk, CONFIG_WARNING, offset, "\"%s\" is not a known key%s%s, known are: %s", shown,
            section[0] == '\0' ? "" : " of ", section, names);
    }
}

static void apply_key(struct walk *walk, const struct config_key *key, const cJSON *item,
                      uint32_t index, enum layer layer, struct values *values)
{
    size_t count;
    size_t number = (size_t)(key - config_keys(&count));
    char what[200];
    char allowed[300];

    if (config_value_set(key, item, &values->config) == 0) {
        if (number < KEYS_MAX) {
            values->layer[number] = (unsigned char)layer;
            values->offset[number] = walk->document->places[index].value;
        }
        return;
    }
    if (!wanted(walk, error_severity(walk)))
        return;
    found(walk, item, index, what, sizeof(what));
    config_print_allowed(key, allowed, sizeof(allowed));
    say(walk, error_severity(walk), walk->document->places[index].value, "%s is %s but must be %s",
        key->path, what, allowed);
}

/* One member of destination.paces: what it says, or what is wrong with it. */
static void apply_pace(struct walk *walk, const struct config_key *key, const cJSON *item,
                       uint32_t index, struct values *values)
{
    const struct json_place *place = &walk->document->places[index];
    struct config_key time = *key;
    bool domain = config_value_domain(item->string);
    int result = domain ? config_value_set_pace(key, item->string, item, &values->config) : -EINVAL;
    char name[200];
    char what[200];
    char allowed[300];

    if (result == 0 || !wanted(walk, error_severity(walk)))
        return;
    json_excerpt(item->string, 0, strlen(item->string), FOUND_MAX, name, sizeof(name));
    if (!domain) {
        say(walk, error_severity(walk), place->key,
            "%s has \"%s\" but must have domains in lower case, of letters, digits, - and _ with "
            "dots between, at most %d bytes",
            key->path, name, CONFIG_DOMAIN_SIZE - 1);
    } else if (result == -ENOSPC) {
        say(walk, error_severity(walk), place->key,
            "%s has \"%s\" but may have %d domains, those of \"defaults\" included, and has them",
            key->path, name, CONFIG_PACES_MAX);
    } else {
        time.type = CONFIG_TIME;
        found(walk, item, index, what, sizeof(what));
        config_print_allowed(&time, allowed, sizeof(allowed));
        say(walk, error_severity(walk), place->value, "%s has %s for \"%s\" but must have %s",
            key->path, what, name, allowed);
    }
}

/* A domain that is not named here keeps what an upper layer gave it. */
static void apply_paces(struct walk *walk, const struct config_key *key, const cJSON *object,
                        uint32_t index, struct values *values)
{
    const cJSON *item;
    uint32_t at = index + 1;

    if (!must_be_object(walk, key->path, object, index, "domains and times"))
        return;
    cJSON_ArrayForEach(item, object)
    {
        apply_pace(walk, key, item, at, values);
        at += walk->document->places[at].values;
    }
}

/* All members of "defaults", of a service, or of a section in them. `section` is "" or the section's path. */
static void apply_object(struct walk *walk, const char *section, const cJSON *object,
                         uint32_t index, enum layer layer, struct values *values)
{
    const cJSON *item;
    uint32_t at = index + 1;

    cJSON_ArrayForEach(item, object)
    {
        char path[PATH_MAX_SHOWN];
        const char *name = item->string;
        bool one_part = strchr(name, '.') == NULL;
        const struct config_key *key;

        snprintf(path, sizeof(path), "%s%s%s", section, section[0] == '\0' ? "" : ".", name);
        key = one_part ? config_key_find(path) : NULL;
        if (key != NULL && key->type == CONFIG_PACES) {
            apply_paces(walk, key, item, at, values);
        } else if (key != NULL) {
            apply_key(walk, key, item, at, layer, values);
        } else if (one_part && config_is_section(path)) {
            char names[200];

            config_names(path, names, sizeof(names));
            if (must_be_object(walk, path, item, at, names))
                apply_object(walk, path, item, at, layer, values);
        } else {
            unknown_key(walk, section, path, name, at);
        }
        at += walk->document->places[at].values;
    }
}

/* Pairs of keys of which the first must not be above the second. */
static const struct {
    const char *low;
    const char *high;
    enum config_severity severity;
    const char *because;
} ordered[] = {
    {"workers.min", "workers.max", CONFIG_ERROR, ""},
    {"pressure.hold", "pressure.target", CONFIG_WARNING,
     ": else workers are retired before starting them stops"},
    {"memory.high", "memory.limit", CONFIG_WARNING, ": else it has no effect"},
};

/* Whether the value of a key is a number, and which. */
static bool number_of(const struct config_key *key, const struct config *config, double *number)
{
    const char *at = (const char *)config + key->offset;

    switch (key->type) {
    case CONFIG_COUNT:
        *number = *(const uint32_t *)(const void *)at;
        return true;
    case CONFIG_PERCENT:
        *number = *(const double *)(const void *)at;
        return true;
    case CONFIG_SIZE:
    case CONFIG_TIME:
        *number = (double)*(const uint64_t *)(const void *)at;
        return *(const uint64_t *)(const void *)at < CONFIG_SIZE_AUTO;
    default:
        return false;
    }
}

/* Checks values against each other where one of them was given in `least` or above it. */
static void check_order(struct walk *walk, const struct values *values, enum layer least)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++) {
        const struct config_key *low = config_key_find(ordered[i].low);
        const struct config_key *high = config_key_find(ordered[i].high);
        enum config_severity severity = walk->other_service ? CONFIG_WARNING : ordered[i].severity;
        size_t blamed;
        bool blame_high;
        double least_number;
        double most_number;
        char low_value[64];
        char high_value[64];

        if (low == NULL || high == NULL || !number_of(low, &values->config, &least_number) ||
            !number_of(high, &values->config, &most_number) || least_number <= most_number)
            continue;
        /* The one that was given last is the one to mend. */
        blame_high = values->layer[high - keys] >= values->layer[low - keys];
        blamed = (size_t)((blame_high ? high : low) - keys);
        if (values->layer[blamed] < least || !wanted(walk, severity))
            continue;
        config_print_value(low, &values->config, low_value, sizeof(low_value));
        config_print_value(high, &values->config, high_value, sizeof(high_value));
        say(walk, severity, values->offset[blamed], "%s is %s but must be at %s %s, which is %s%s",
            keys[blamed].path, blame_high ? high_value : low_value, blame_high ? "least" : "most",
            blame_high ? low->path : high->path, blame_high ? low_value : high_value,
            ordered[i].because);
    }
}

/* A member of the uppermost object and its index. NULL when it has none of that name. */
static const cJSON *find_member(const struct json_document *document, const char *name,
                                uint32_t *index)
{
    const cJSON *item;

    *index = 1;
    cJSON_ArrayForEach(item, document->root)
    {
        if (strcmp(item->string, name) == 0)
            return item;
        *index += document->places[*index].values;
    }
    return NULL;
}

/* Members of the uppermost object that are neither "defaults" nor "services", nor an editor's "$schema". */
static void check_root(struct walk *walk)
{
    const cJSON *item;
    uint32_t at = 1;

    cJSON_ArrayForEach(item, walk->document->root)
    {
        const char *name = item->string;
        bool known = strcmp(name, "defaults") == 0 || strcmp(name, "services") == 0 ||
                     strcmp(name, "$schema") == 0;

        if (!known && wanted(walk, CONFIG_WARNING)) {
            char shown[200];

            json_excerpt(name, 0, strlen(name), FOUND_MAX, shown, sizeof(shown));
            if (config_key_find(name) != NULL || config_is_section(name))
                say(walk, CONFIG_WARNING, walk->document->places[at].key,
                    "\"%s\" is not used here: it belongs into \"defaults\" or into a service's "
                    "entry in \"services\"",
                    shown);
            else
                say(walk, CONFIG_WARNING, walk->document->places[at].key,
                    "\"%s\" is not a known key here, known are: defaults, services", shown);
        }
        at += walk->document->places[at].values;
    }
}

/* Entries of "services", each on top of the values of "defaults"; those of others only to check them. */
static void apply_services(struct walk *walk, const cJSON *services, uint32_t index,
                           const char *service, struct values *values)
{
    const struct values defaults = *values;
    const cJSON *item;
    uint32_t at = index + 1;

    cJSON_ArrayForEach(item, services)
    {
        struct values other = defaults;
        bool ours = strcmp(item->string, service) == 0;
        struct values *to = ours ? values : &other;
        char path[200];
        size_t used;

        walk->other_service = !ours;
        used = (size_t)snprintf(path, sizeof(path), "services.");
        json_excerpt(item->string, 0, strlen(item->string), FOUND_MAX, path + used,
                     sizeof(path) - used);
        if (must_be_object(walk, path, item, at, ""))
            apply_object(walk, "", item, at, LAYER_SERVICE, to);
        if (!ours)
            check_order(walk, to, LAYER_SERVICE);
        walk->other_service = false;
        at += walk->document->places[at].values;
    }
}

static void apply_document(struct walk *walk, const char *service, struct values *values)
{
    const cJSON *item;
    uint32_t index;

    if (!must_be_object(walk, "the file", walk->document->root, 0, "\"defaults\" and \"services\""))
        return;
    check_root(walk);
    item = find_member(walk->document, "defaults", &index);
    if (item != NULL && must_be_object(walk, "defaults", item, index, ""))
        apply_object(walk, "", item, index, LAYER_DEFAULTS, values);
    item = find_member(walk->document, "services", &index);
    if (item != NULL && must_be_object(walk, "services", item, index, "an entry for each service"))
        apply_services(walk, item, index, service, values);
    /* Values that are wrong by themselves were left as they were: nothing follows from them. */
    if (walk->errors == 0)
        check_order(walk, values, LAYER_DEFAULTS);
}

int config_parse(const char *text, size_t length, const char *file_name, const char *service,
                 struct config *out, config_report *report, void *context)
{
    struct json_document document;
    struct json_error error;
    struct values values = {0};
    struct walk walk = {.text = text,
                        .length = length,
                        .document = &document,
                        .report = report,
                        .context = context};
    int result;

    json_excerpt(file_name, 0, strlen(file_name), FILE_NAME_SIZE, walk.file_name,
                 sizeof(walk.file_name));
    result = json_parse(text, length, &document, &error);

    if (result != 0) {
        say(&walk, CONFIG_ERROR, error.offset, "%s", error.text);
        return result;
    }
    config_defaults(&values.config);
    apply_document(&walk, service, &values);
    if (walk.dropped > 0) {
        char line[CONFIG_LINE_SIZE];

        snprintf(line, sizeof(line), "%s: %u more problems are not shown", walk.file_name,
                 walk.dropped);
        report(context, CONFIG_WARNING, line);
    }
    if (walk.errors > 0)
        result = -EINVAL;
    else
        *out = values.config;
    json_free(&document);
    return result;
}

#include "supervisor/config/config.h"

#include "supervisor/config/config_nearest.h"
#include "supervisor/config/config_value.h"
#include "supervisor/config/config_walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void config_defaults(struct config *out)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < count; i++)
        config_value_default(&keys[i], out);
}

static void give(const struct config_key *key, struct config *config)
{
    size_t count;

    config->given |= UINT64_C(1) << (key - config_keys(&count));
    if (key->offset == offsetof(struct config, workers_max))
        config->workers_bound = CONFIG_BOUND_FILE;
}

bool config_given(const struct config *config, const struct config_key *key)
{
    size_t count;

    return (config->given >> (key - config_keys(&count)) & 1) != 0;
}

static void apply_key(struct config_walk *walk, const struct config_key *key, const cJSON *item,
                      uint32_t index, enum config_layer layer, struct config_values *values)
{
    size_t count;
    size_t number = (size_t)(key - config_keys(&count));
    char what[200];
    char allowed[300];

    if (config_value_set(key, item, &values->config) == 0) {
        give(key, &values->config);
        if (number < CONFIG_KEYS_MAX) {
            values->layer[number] = (unsigned char)layer;
            values->offset[number] = walk->document->places[index].value;
        }
        return;
    }
    if (!config_walk_wanted(walk, config_walk_severity(walk)))
        return;
    config_walk_found(walk, item, index, what, sizeof(what));
    config_print_allowed(key, allowed, sizeof(allowed));
    config_walk_say(walk, config_walk_severity(walk), walk->document->places[index].value,
                    "%s is %s but must be %s", key->path, what, allowed);
}

/* One member of destination.paces: what it says, or what is wrong with it. */
static void apply_pace(struct config_walk *walk, const struct config_key *key, const cJSON *item,
                       uint32_t index, struct config_values *values)
{
    const struct json_place *place = &walk->document->places[index];
    struct config_key time = *key;
    bool domain = config_value_domain(item->string);
    int result = domain ? config_value_set_pace(key, item->string, item, &values->config) : -EINVAL;
    char name[200];
    char what[200];
    char allowed[300];

    if (result == 0)
        give(key, &values->config);
    if (result == 0 || !config_walk_wanted(walk, config_walk_severity(walk)))
        return;
    json_excerpt(item->string, 0, strlen(item->string), CONFIG_FOUND_SHOWN, name, sizeof(name));
    if (!domain) {
        config_walk_say(
            walk, config_walk_severity(walk), place->key,
            "%s has \"%s\" but must have domains in lower case, of letters, digits, - and _ with "
            "dots between, at most %d bytes",
            key->path, name, CONFIG_DOMAIN_SIZE - 1);
    } else if (result == -ENOSPC) {
        config_walk_say(
            walk, config_walk_severity(walk), place->key,
            "%s has \"%s\" but may have %d domains, those of \"defaults\" included, and has them",
            key->path, name, CONFIG_PACES_MAX);
    } else {
        time.type = CONFIG_TIME;
        config_walk_found(walk, item, index, what, sizeof(what));
        config_print_allowed(&time, allowed, sizeof(allowed));
        config_walk_say(walk, config_walk_severity(walk), place->value,
                        "%s has %s for \"%s\" but must have %s", key->path, what, name, allowed);
    }
}

/* A domain that is not named here keeps what an upper layer gave it. */
static void apply_paces(struct config_walk *walk, const struct config_key *key, const cJSON *object,
                        uint32_t index, struct config_values *values)
{
    const cJSON *item;
    uint32_t at = index + 1;

    if (!config_walk_object(walk, key->path, object, index, "domains and times"))
        return;
    cJSON_ArrayForEach(item, object)
    {
        apply_pace(walk, key, item, at, values);
        at += walk->document->places[at].values;
    }
}

/* All members of "defaults", of a service, or of a section of these: its path, else "". */
static void apply_object(struct config_walk *walk, const char *section, const cJSON *object,
                         uint32_t index, enum config_layer layer, struct config_values *values)
{
    const cJSON *item;
    uint32_t at = index + 1;

    cJSON_ArrayForEach(item, object)
    {
        char path[CONFIG_PATH_SHOWN];
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
            if (config_walk_object(walk, path, item, at, names))
                apply_object(walk, path, item, at, layer, values);
        } else {
            config_walk_unknown(walk, section, path, name, at);
        }
        at += walk->document->places[at].values;
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

/* Unknown members of the uppermost object. Editors put "$schema" there. */
static void check_root(struct config_walk *walk)
{
    const cJSON *item;
    uint32_t at = 1;

    cJSON_ArrayForEach(item, walk->document->root)
    {
        const char *name = item->string;
        bool known = strcmp(name, "defaults") == 0 || strcmp(name, "services") == 0 ||
                     strcmp(name, "$schema") == 0;

        if (!known && config_walk_wanted(walk, CONFIG_WARNING)) {
            char shown[200];

            json_excerpt(name, 0, strlen(name), CONFIG_FOUND_SHOWN, shown, sizeof(shown));
            if (config_key_find(name) != NULL || config_is_section(name))
                config_walk_say(
                    walk, CONFIG_WARNING, walk->document->places[at].key,
                    "\"%s\" is not used here: it belongs into \"defaults\" or into a service's "
                    "entry in \"services\"",
                    shown);
            else
                config_walk_say(walk, CONFIG_WARNING, walk->document->places[at].key,
                                "\"%s\" is not a known key here, known are: defaults, services",
                                shown);
        }
        at += walk->document->places[at].values;
    }
}

/* What is right by itself may be wrong together with others, or with what the program is. */
static void check_values(struct config_walk *walk, const struct config_values *values,
                         enum config_layer least)
{
    config_order_check(walk, values, least);
    config_agent_check(walk, values, least);
}

/* Each entry of "services" overrides "defaults". Entries of other services are only checked. */
static void apply_services(struct config_walk *walk, const cJSON *services, uint32_t index,
                           const char *service, struct config_values *values)
{
    const struct config_values defaults = *values;
    const cJSON *item;
    uint32_t at = index + 1;

    cJSON_ArrayForEach(item, services)
    {
        struct config_values other = defaults;
        bool ours = strcmp(item->string, service) == 0;
        struct config_values *to = ours ? values : &other;
        char path[200];
        size_t used;

        walk->other_service = !ours;
        used = (size_t)snprintf(path, sizeof(path), "services.");
        json_excerpt(item->string, 0, strlen(item->string), CONFIG_FOUND_SHOWN, path + used,
                     sizeof(path) - used);
        if (config_walk_object(walk, path, item, at, ""))
            apply_object(walk, "", item, at, CONFIG_LAYER_SERVICE, to);
        if (!ours)
            check_values(walk, to, CONFIG_LAYER_SERVICE);
        walk->other_service = false;
        at += walk->document->places[at].values;
    }
}

static void apply_document(struct config_walk *walk, const char *service,
                           struct config_values *values)
{
    const cJSON *item;
    uint32_t index;

    if (!config_walk_object(walk, "the file", walk->document->root, 0,
                            "\"defaults\" and \"services\""))
        return;
    check_root(walk);
    item = find_member(walk->document, "defaults", &index);
    if (item != NULL && config_walk_object(walk, "defaults", item, index, ""))
        apply_object(walk, "", item, index, CONFIG_LAYER_DEFAULTS, values);
    item = find_member(walk->document, "services", &index);
    if (item != NULL &&
        config_walk_object(walk, "services", item, index, "an entry for each service"))
        apply_services(walk, item, index, service, values);
    /* Values that are wrong by themselves were left as they were: nothing follows from them. */
    if (walk->errors == 0)
        check_values(walk, values, CONFIG_LAYER_DEFAULTS);
}

int config_parse(const char *text, size_t length, const char *file_name, const char *service,
                 struct config *out, config_report *report, void *context)
{
    struct json_document document;
    struct json_error error;
    struct config_values values = {0};
    struct config_walk walk = {.text = text,
                               .length = length,
                               .document = &document,
                               .report = report,
                               .context = context};
    int result;

    json_excerpt(file_name, 0, strlen(file_name), CONFIG_FILE_NAME_SIZE, walk.file_name,
                 sizeof(walk.file_name));
    result = json_parse(text, length, &document, &error);

    if (result != 0) {
        config_walk_say(&walk, CONFIG_ERROR, error.offset, "%s", error.text);
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

#include "supervisor/config/config_walk.h"

#include "supervisor/config/config_nearest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool config_walk_wanted(struct config_walk *walk, enum config_severity severity)
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

void config_walk_say(const struct config_walk *walk, enum config_severity severity, uint32_t offset,
                     const char *format, ...)
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

enum config_severity config_walk_severity(const struct config_walk *walk)
{
    return walk->other_service ? CONFIG_WARNING : CONFIG_ERROR;
}

void config_walk_found(const struct config_walk *walk, const cJSON *item, uint32_t index,
                       char *buffer, size_t size)
{
    const struct json_place *place = &walk->document->places[index];

    if (cJSON_IsObject(item))
        snprintf(buffer, size, "an object");
    else if (cJSON_IsArray(item))
        snprintf(buffer, size, "a list");
    else
        json_excerpt(walk->text, place->value, place->end, CONFIG_FOUND_SHOWN, buffer, size);
}

bool config_walk_object(struct config_walk *walk, const char *path, const cJSON *item,
                        uint32_t index, const char *with)
{
    char what[200];

    if (cJSON_IsObject(item))
        return true;
    if (!config_walk_wanted(walk, config_walk_severity(walk)))
        return false;
    config_walk_found(walk, item, index, what, sizeof(what));
    config_walk_say(walk, config_walk_severity(walk), walk->document->places[index].value,
                    "%s is %s but must be an object in braces%s%s", path, what,
                    with[0] == '\0' ? "" : " with ", with);
    return false;
}

void config_walk_unknown(struct config_walk *walk, const char *section, const char *path,
                         const char *name, uint32_t index)
{
    uint32_t offset = walk->document->places[index].key;
    char shown[200];
    char near[CONFIG_PATH_SHOWN];
    char names[200];

    if (!config_walk_wanted(walk, CONFIG_WARNING))
        return;
    json_excerpt(name, 0, strlen(name), CONFIG_FOUND_SHOWN, shown, sizeof(shown));
    if (section[0] == '\0' && config_key_find(name) != NULL) { /* a path in the place of a name */
        const char *dot = strchr(name, '.');

        config_walk_say(walk, CONFIG_WARNING, offset,
                        "\"%s\" is not a known key: write \"%.*s\": {\"%s\": ...}", shown,
                        (int)(dot - name), name, dot + 1);
    } else if (config_nearest(path, name, near, sizeof(near))) {
        config_walk_say(walk, CONFIG_WARNING, offset,
                        "\"%s\" is not a known key%s%s: did you mean %s?", shown,
                        section[0] == '\0' ? "" : " of ", section, near);
    } else {
        config_names(section, names, sizeof(names));
        config_walk_say(walk, CONFIG_WARNING, offset,
                        "\"%s\" is not a known key%s%s, known are: %s", shown,
                        section[0] == '\0' ? "" : " of ", section, names);
    }
}

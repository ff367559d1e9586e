#include "supervisor/report/status_table.h"

#include <errno.h>
#include <string.h>

#include "supervisor/config/json.h"

static bool whole(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 &&
           item->valuedouble <= (double)STATUS_WHOLE_MAX;
}

/* A text that is safe on a terminal, and one line. */
static void take_text(char *value, size_t size, const char *text)
{
    size_t used = 0, step, length;
    bool plain;

    status_text(value, size, text);
    length = strlen(value);
    for (size_t at = 0; at < length; at += step) {
        step = json_character(value, at, length, &plain);
        if (plain)
            memmove(value + used, value + at, step);
        else
            value[used] = '?';
        used += plain ? step : 1;
    }
    value[used] = '\0';
}

static bool is_one_of(const char *words, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = words; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, word, length) == 0 && (at[length] == '|' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* -EINVAL: the value is of another kind than the table says. */
static int take_value(const struct status_field *field, const cJSON *item, char *value)
{
    switch (field->kind) {
    case STATUS_BYTES:
        if (cJSON_IsNull(item)) {
            *(uint64_t *)(void *)value = STATUS_UNLIMITED;
            return 0;
        }
        /* fall through */
    case STATUS_COUNT:
        if (!whole(item))
            return -EINVAL;
        *(uint64_t *)(void *)value = (uint64_t)item->valuedouble;
        return 0;
    case STATUS_TIME:
        if (!whole(item))
            return -EINVAL;
        *(int64_t *)(void *)value = (int64_t)item->valuedouble;
        return 0;
    case STATUS_NUMBER:
        if (!cJSON_IsNumber(item))
            return -EINVAL;
        *(double *)(void *)value = item->valuedouble;
        return 0;
    case STATUS_FLAG:
        if (!cJSON_IsBool(item))
            return -EINVAL;
        *(bool *)(void *)value = cJSON_IsTrue(item);
        return 0;
    case STATUS_TEXT:
        if (!cJSON_IsString(item))
            return -EINVAL;
        take_text(value, field->size, item->valuestring);
        return 0;
    case STATUS_WORD:
        if (!cJSON_IsString(item))
            return -EINVAL;
        if (item->valuestring[0] != '\0')
            status_text(value, field->size,
                        is_one_of(field->words, item->valuestring) ? item->valuestring : "?");
        return 0;
    }
    return -EINVAL;
}

static int take_table(const struct status_table *table, const cJSON *object, void *values)
{
    int result = 0;

    if (!cJSON_IsObject(object))
        return -EINVAL;
    for (size_t i = 0; i < table->count && result == 0; i++) {
        const struct status_field *field = &table->field[i];
        const cJSON *from = object;
        const cJSON *item;

        if (field->section[0] != '\0')
            from = cJSON_GetObjectItemCaseSensitive(object, field->section);
        item = cJSON_GetObjectItemCaseSensitive(from, field->name);
        if (item)
            result = take_value(field, item, (char *)values + field->offset);
    }
    return result;
}

static int take_list(const cJSON *root, const char *name, const struct status_table *table,
                     void *values, size_t size, size_t most, uint64_t *count)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, name);
    const cJSON *item;
    int result = 0;

    if (!list)
        return 0;
    if (!cJSON_IsArray(list))
        return -EINVAL;
    cJSON_ArrayForEach(item, list)
    {
        if (*count == most || result < 0)
            break;
        result = take_table(table, item, (char *)values + *count * size);
        (*count)++;
    }
    return result;
}

int status_read(const char *text, size_t length, struct status *status)
{
    struct json_document document;
    struct json_error error;
    int result = json_parse(text, length, &document, &error);

    if (result < 0)
        return result;
    memset(status, 0, sizeof *status);
    result = take_table(&status_table, document.root, status);
    if (result == 0 && status->service[0] != '\0' && status->format != STATUS_FORMAT)
        result = -EPROTO;
    if (result == 0)
        result = take_list(document.root, "nexthops", &status_nexthop_table, status->nexthop,
                           sizeof status->nexthop[0], STATUS_NEXTHOPS_MAX, &status->nexthops);
    if (result == 0)
        result = take_list(document.root, "deliveries", &status_delivery_table, status->delivery,
                           sizeof status->delivery[0], STATUS_DELIVERIES_MAX, &status->deliveries);
    if (result == 0)
        result = take_list(document.root, "changes", &status_change_table, status->change,
                           sizeof status->change[0], STATUS_CHANGES_MAX, &status->changes);
    if (result == 0)
        result = take_list(document.root, "destinations", &status_destination_table,
                           status->destination, sizeof status->destination[0],
                           STATUS_DESTINATIONS_MAX, &status->destinations);
    if (result == 0 && (status->service[0] == '\0' || status->state.name[0] == '\0'))
        result = -EINVAL;
    json_free(&document);
    return result;
}

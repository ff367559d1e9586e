#include "supervisor/config/json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const char *text;
    size_t length;
    const struct json_document *document;
    struct json_error *error;
};

__attribute__((format(printf, 4, 5))) static int fail(struct json_error *error, int code,
                                                      uint32_t offset, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    error->offset = offset;
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return code;
}

/* Keys are compared as cJSON has decoded them: "a" and "\u0061" are the same key. */
static int check_duplicates(const struct check *check, const cJSON *object, uint32_t index)
{
    const struct json_place *places = check->document->places;
    uint32_t first_index = index + 1;
    const cJSON *first;

    cJSON_ArrayForEach(first, object)
    {
        uint32_t second_index = first_index + places[first_index].values;

        for (const cJSON *second = first->next; second != NULL; second = second->next) {
            if (strcmp(first->string, second->string) == 0) {
                const struct json_place *again = &places[second_index];
                unsigned line;
                unsigned column;
                char key[120];

                json_line_column(check->text, check->length, places[first_index].key, &line,
                                 &column);
                /* The key's end is not written down: what is shown is what cJSON made of it. */
                json_excerpt(second->string, 0, strlen(second->string), 40, key, sizeof(key));
                return fail(check->error, -EINVAL, again->key,
                            "found the key \"%s\" again, but it is on line %u, column %u already",
                            key, line, column);
            }
            second_index += places[second_index].values;
        }
        first_index += places[first_index].values;
    }
    return 0;
}

/* Finds what the scan can't see: too large numbers, duplicate keys. The scan bounds the depth. */
static int check_value(const struct check *check, const cJSON *item, uint32_t index)
{
    uint32_t child_index = index + 1;
    const cJSON *child;
    int result;

    if (cJSON_IsNumber(item) && !isfinite(item->valuedouble))
        return fail(check->error, -EINVAL, check->document->places[index].value,
                    "found a number that is too large");
    if (cJSON_IsObject(item)) {
        result = check_duplicates(check, item, index);
        if (result != 0)
            return result;
    }
    cJSON_ArrayForEach(child, item)
    {
        result = check_value(check, child, child_index);
        if (result != 0)
            return result;
        child_index += check->document->places[child_index].values;
    }
    return 0;
}

int json_parse(const char *text, size_t length, struct json_document *document,
               struct json_error *error)
{
    struct check check = {text, length, document, error};
    int result;

    *document = (struct json_document){0};
    document->places = calloc(JSON_VALUES_MAX, sizeof(*document->places));
    if (document->places == NULL)
        return fail(error, -ENOMEM, 0, "not enough memory to read it");
    result = json_scan(text, length, document->places, &document->count, error);
    if (result == 0) {
        document->root = cJSON_ParseWithLength(text, length);
        /* After the scan cJSON has nothing left to refuse. */
        result = document->root == NULL ? fail(error, -ENOMEM, 0, "not enough memory to read it")
                                        : check_value(&check, document->root, 0);
    }
    if (result != 0)
        json_free(document);
    return result;
}

void json_free(struct json_document *document)
{
    cJSON_Delete(document->root);
    free(document->places);
    *document = (struct json_document){0};
}

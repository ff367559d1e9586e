/*
 * Any bytes as a configuration: no crash, no hang, no leak, and every promise of supervisor/config/config.h and json.h kept.
 *
 *   clang -std=c17 -I. -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *       -o build/fuzz_config tests/fuzz/fuzz_config.c supervisor/config*.c supervisor/json*.c -lcjson
 *   mkdir -p build/corpus && cp packaging/headroom.json build/corpus
 *   build/fuzz_config -max_total_time=60 -timeout=5 -dict=tests/fuzz/config.dict build/corpus
 */

#include "supervisor/config/config.h"
#include "supervisor/config/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

struct heard {
    unsigned lines;
    unsigned errors;
};

static void hear(void *context, enum config_severity severity, const char *line)
{
    struct heard *heard = context;
    size_t length = strlen(line);

    heard->lines++;
    heard->errors += severity == CONFIG_ERROR;
    must(length > 0 && length < CONFIG_LINE_SIZE);
    for (size_t i = 0; i < length; i++)
        must((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
}

/* The place of each value begins with the character that a value of its type begins with. */
static uint32_t check_places(const char *text, const struct json_document *document,
                             const cJSON *item, uint32_t index)
{
    const struct json_place *place = &document->places[index];
    char first = text[place->value];
    uint32_t next = index + 1;
    const cJSON *child;

    must(place->key <= place->value && place->value < place->end);
    if (cJSON_IsObject(item))
        must(first == '{' && text[place->end - 1] == '}');
    else if (cJSON_IsArray(item))
        must(first == '[' && text[place->end - 1] == ']');
    else if (cJSON_IsString(item))
        must(first == '"' && text[place->end - 1] == '"');
    else if (cJSON_IsNumber(item))
        must(first == '-' || (first >= '0' && first <= '9'));
    else
        must(first == 't' || first == 'f' || first == 'n');
    cJSON_ArrayForEach(child, item)
    {
        must((child->string == NULL) !=
             (text[document->places[next].key] == '"' &&
              document->places[next].key != document->places[next].value));
        next = check_places(text, document, child, next);
    }
    must(next == index + place->values);
    return next;
}

static void check_json(const char *text, size_t size)
{
    struct json_document document;
    struct json_error error;
    int result = json_parse(text, size, &document, &error);

    if (result != 0) {
        /* Never -ENOMEM here: that would be cJSON refusing what the scan let pass. */
        must(result == -EINVAL && error.offset <= size);
        return;
    }
    must(check_places(text, &document, document.root, 0) == document.count);
    json_free(&document);
}

static void check_bounds(const struct config *config)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    must(config->workers_min >= 1 && config->workers_min <= config->workers_max &&
         config->workers_max <= 10000);
    must(config->agent[0] != '\0' && strchr(config->agent, '/') == NULL);
    must(config->pressure_target > 0 && config->pressure_target <= 100);
    must(config->memory_limit == CONFIG_SIZE_NONE || config->memory_limit >= 8U << 20);
    for (size_t i = 0; i < count; i++) {
        char value[CONFIG_VALUE_SIZE];

        must(config_print_value(&keys[i], config, value, sizeof(value)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heard heard = {0};
    struct config config;
    char *text = malloc(size == 0 ? 1 : size);

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    check_json(text, size);
    if (config_parse(text, size, "file", "mine", &config, hear, &heard) == 0) {
        must(heard.errors == 0);
        check_bounds(&config);
    } else {
        must(heard.errors > 0);
    }
    must(heard.lines <= CONFIG_REPORTS_MAX + 2);
    free(text);
    return 0;
}

/*
 * Prints the JSON Schema (draft 2020-12) of the configuration, made from the table of keys:
 *
 *   build/lib/config_schema > packaging/headroom.schema.json
 *
 * tests/unit/test_config_schema.c compares the packaged file with the table.
 */

#include "supervisor/config/config.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the unit of a bare number in JSON: times are in seconds there. */
static double bound(const struct config_key *key, double value)
{
    return key->type == CONFIG_TIME || key->type == CONFIG_PACES ? value / 1e6 : value;
}

static void add_type(cJSON *to, const char *number)
{
    cJSON *types = cJSON_AddArrayToObject(to, "type");

    cJSON_AddItemToArray(types, cJSON_CreateString(number));
    cJSON_AddItemToArray(types, cJSON_CreateString("string"));
}

static void add_time(cJSON *to)
{
    add_type(to, "number");
    cJSON_AddStringToObject(to, "pattern", "^[0-9]+(\\.[0-9]{1,6})?[smhd]$");
}

static void add_bounds(cJSON *to, const struct config_key *key)
{
    cJSON_AddNumberToObject(to, "minimum", bound(key, key->minimum));
    cJSON_AddNumberToObject(to, "maximum", bound(key, key->maximum));
}

/* Of a name all ASCII is forbidden but what a domain has. */
#define DOMAIN_PART "[^\x01-,/:-^`{-~.]+"

static void add_paces(cJSON *to, const struct config_key *key)
{
    cJSON *names, *times;

    cJSON_AddStringToObject(to, "type", "object");
    cJSON_AddNumberToObject(to, "maxProperties", CONFIG_PACES_MAX);
    names = cJSON_AddObjectToObject(to, "propertyNames");
    cJSON_AddStringToObject(names, "pattern", "^" DOMAIN_PART "(\\." DOMAIN_PART ")*$");
    cJSON_AddNumberToObject(names, "maxLength", CONFIG_DOMAIN_SIZE - 1);
    times = cJSON_AddObjectToObject(to, "additionalProperties");
    add_time(times);
    add_bounds(times, key);
}

/* Bounds hold for numbers only and patterns for strings only, as the schema language has it. */
static void add_value(cJSON *to, const struct config_key *key)
{
    char pattern[100];

    switch (key->type) {
    case CONFIG_NAME:
        cJSON_AddStringToObject(to, "type", "string");
        cJSON_AddStringToObject(to, "pattern", "^[A-Za-z0-9_+][A-Za-z0-9._+-]*$");
        cJSON_AddNumberToObject(to, "maxLength", CONFIG_NAME_SIZE - 1);
        break;
    case CONFIG_PATH:
        cJSON_AddStringToObject(to, "type", "string");
        cJSON_AddStringToObject(to, "pattern", "^(/|(/(?!\\.{1,2}(/|$))[^/]+)*)$");
        cJSON_AddNumberToObject(to, "maxLength", CONFIG_PATH_SIZE - 1);
        break;
    case CONFIG_COUNT:
        cJSON_AddStringToObject(to, "type", "integer");
        break;
    case CONFIG_SIZE:
        add_type(to, "integer");
        snprintf(pattern, sizeof(pattern), "^([0-9]+(\\.[0-9]{1,6})?[KMG]%s%s)$",
                 key->word != NULL ? "|" : "", key->word != NULL ? key->word : "");
        cJSON_AddStringToObject(to, "pattern", pattern);
        break;
    case CONFIG_TIME:
        add_time(to);
        break;
    case CONFIG_PERCENT:
        add_type(to, "number");
        cJSON_AddStringToObject(to, "pattern", "^[0-9]+(\\.[0-9]{1,6})?%$");
        break;
    case CONFIG_CHOICE: {
        cJSON *choices = cJSON_AddArrayToObject(to, "enum");

        for (size_t i = 0; key->choices[i] != NULL; i++)
            cJSON_AddItemToArray(choices, cJSON_CreateString(key->choices[i]));
        break;
    }
    case CONFIG_BOOLEAN:
        cJSON_AddStringToObject(to, "type", "boolean");
        break;
    case CONFIG_PACES:
        add_paces(to, key);
        break;
    }
    if (key->type == CONFIG_COUNT || key->type == CONFIG_SIZE || key->type == CONFIG_TIME ||
        key->type == CONFIG_PERCENT)
        add_bounds(to, key);
}

static void add_key(cJSON *properties, const struct config_key *key, const struct config *defaults)
{
    const char *dot = strchr(key->path, '.');
    char standard[CONFIG_VALUE_SIZE] = "null";
    char section[64];
    cJSON *to = properties;
    cJSON *value;

    if (dot != NULL) {
        cJSON *object;

        snprintf(section, sizeof(section), "%.*s", (int)(dot - key->path), key->path);
        object = cJSON_GetObjectItemCaseSensitive(properties, section);
        if (object == NULL) {
            object = cJSON_AddObjectToObject(properties, section);
            cJSON_AddStringToObject(object, "type", "object");
            cJSON_AddFalseToObject(object, "additionalProperties");
            cJSON_AddObjectToObject(object, "properties");
        }
        to = cJSON_GetObjectItemCaseSensitive(object, "properties");
    }
    value = cJSON_AddObjectToObject(to, dot != NULL ? dot + 1 : key->path);
    cJSON_AddStringToObject(value, "description", key->meaning);
    add_value(value, key);
    config_print_value(key, defaults, standard, sizeof(standard));
    cJSON_AddRawToObject(value, "default", standard);
}

static cJSON *add_reference(cJSON *to, const char *name)
{
    cJSON *reference = cJSON_AddObjectToObject(to, name);

    cJSON_AddStringToObject(reference, "$ref", "#/$defs/service");
    return reference;
}

int main(void)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *properties;
    cJSON *services;
    cJSON *service;
    struct config defaults;
    size_t count;
    const struct config_key *keys = config_keys(&count);
    char *text;

    config_defaults(&defaults);
    cJSON_AddStringToObject(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    cJSON_AddStringToObject(root, "title", "headroom.json");
    cJSON_AddStringToObject(root, "type", "object");
    cJSON_AddFalseToObject(root, "additionalProperties");
    properties = cJSON_AddObjectToObject(root, "properties");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(properties, "$schema"), "type", "string");
    cJSON_AddStringToObject(add_reference(properties, "defaults"), "description",
                            "What holds for every service that does not say otherwise.");
    services = cJSON_AddObjectToObject(properties, "services");
    cJSON_AddStringToObject(services, "description",
                            "What holds for one service, by its name in master.cf.");
    cJSON_AddStringToObject(services, "type", "object");
    add_reference(services, "additionalProperties");
    service = cJSON_AddObjectToObject(cJSON_AddObjectToObject(root, "$defs"), "service");
    cJSON_AddStringToObject(service, "type", "object");
    cJSON_AddFalseToObject(service, "additionalProperties");
    properties = cJSON_AddObjectToObject(service, "properties");
    for (size_t i = 0; i < count; i++)
        add_key(properties, &keys[i], &defaults);
    text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text == NULL || puts(text) == EOF || fflush(stdout) != 0)
        return 1;
    cJSON_free(text);
    return 0;
}

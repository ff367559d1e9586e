#include "supervisor/config/config_value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SIZE_TEXT 32                 /* holds any size that is taken */
#define WHOLE_MAX 9007199254740992.0 /* 2^53: up to here a double holds every whole number */

/* Largest first: printing takes the first that divides. */
const struct config_unit config_size_units[CONFIG_SIZE_UNITS] = {
    {'G', (uint64_t)1 << 30}, {'M', (uint64_t)1 << 20}, {'K', (uint64_t)1 << 10}};
const struct config_unit config_time_units[CONFIG_TIME_UNITS] = {
    {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

static void *field(const struct config_key *key, struct config *config)
{
    return (char *)config + key->offset;
}

static uint64_t word_value(const struct config_key *key)
{
    return strcmp(key->word, "auto") == 0 ? CONFIG_SIZE_AUTO : CONFIG_SIZE_NONE;
}

void config_value_default(const struct config_key *key, struct config *out)
{
    void *to = field(key, out);

    switch (key->type) {
    case CONFIG_NAME:
    case CONFIG_PATH:
        memcpy(to, key->standard_text, strlen(key->standard_text) + 1);
        break;
    case CONFIG_COUNT:
    case CONFIG_CHOICE:
        *(uint32_t *)to = (uint32_t)key->standard;
        break;
    case CONFIG_SIZE:
        *(uint64_t *)to = key->word != NULL ? word_value(key) : (uint64_t)key->standard;
        break;
    case CONFIG_TIME:
        *(uint64_t *)to = (uint64_t)key->standard;
        break;
    case CONFIG_PERCENT:
        *(double *)to = key->standard;
        break;
    case CONFIG_BOOLEAN:
        *(bool *)to = key->standard != 0;
        break;
    case CONFIG_PACES:
        memset(to, 0, sizeof(struct config_paces));
        break;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

size_t config_value_decimal(const char *text, uint64_t *millionths)
{
    size_t at = 0;
    uint64_t whole = 0;
    uint64_t fraction = 0;
    unsigned decimals = 0;

    for (; is_digit(text[at]); at++) {
        whole = whole * 10 + (uint64_t)(text[at] - '0');
        if (whole > UINT64_C(1000000000000))
            return 0;
    }
    if (at == 0)
        return 0;
    if (text[at] == '.') {
        for (at++; is_digit(text[at]); at++) {
            fraction = fraction * 10 + (uint64_t)(text[at] - '0');
            if (++decimals > 6)
                return 0;
        }
        if (decimals == 0)
            return 0;
        for (; decimals < 6; decimals++)
            fraction *= 10;
    }
    *millionths = whole * CONFIG_MILLIONTHS + fraction;
    return at;
}

/* Without libm, of which nothing else is needed. */
bool config_value_whole(double value)
{
    return value >= 0 && value <= WHOLE_MAX && (double)(uint64_t)value == value;
}

static double nearest_whole(double value)
{
    return value >= 0 && value < WHOLE_MAX ? (double)(uint64_t)(value + 0.5) : value;
}

static bool in_bounds(const struct config_key *key, double value)
{
    return value >= key->minimum && value <= key->maximum;
}

/* A decimal and one unit, and nothing else: value * factor in millionths. 0 or -EINVAL. */
static int with_unit(const char *text, const struct config_unit *units, size_t count,
                     double *millionths)
{
    uint64_t number;
    size_t length = config_value_decimal(text, &number);

    if (length == 0 || text[length] == '\0' || text[length + 1] != '\0')
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (units[i].letter == text[length]) {
            *millionths = (double)number * (double)units[i].factor;
            return 0;
        }
    return -EINVAL;
}

static int get_count(const struct config_key *key, const cJSON *item, uint32_t *to)
{
    double value = item->valuedouble;

    if (!cJSON_IsNumber(item) || !in_bounds(key, value) || !config_value_whole(value))
        return -EINVAL;
    *to = (uint32_t)value;
    return 0;
}

/* "64MB" and "64MiB" mean 64M. Copies the text without what follows the letter. */
static const char *without_b(const char *text, char copy[SIZE_TEXT])
{
    size_t length = strlen(text);
    size_t end = length;

    if (end > 2 && text[end - 1] == 'B')
        end -= text[end - 2] == 'i' ? 2 : 1;
    if (end == length || end >= SIZE_TEXT || is_digit(text[end - 1]))
        return text;
    memcpy(copy, text, end);
    copy[end] = '\0';
    return copy;
}

static int get_size(const struct config_key *key, const cJSON *item, uint64_t *to)
{
    char copy[SIZE_TEXT];
    double value;

    if (cJSON_IsNumber(item)) {
        value = item->valuedouble;
    } else if (cJSON_IsString(item)) {
        if (key->word != NULL && strcmp(item->valuestring, key->word) == 0) {
            *to = word_value(key);
            return 0;
        }
        if (with_unit(without_b(item->valuestring, copy), config_size_units, CONFIG_SIZE_UNITS,
                      &value) != 0)
            return -EINVAL;
        value /= CONFIG_MILLIONTHS;
    } else {
        return -EINVAL;
    }
    if (!in_bounds(key, value) || !config_value_whole(value))
        return -EINVAL;
    *to = (uint64_t)value;
    return 0;
}

static int get_time(const struct config_key *key, const cJSON *item, uint64_t *to)
{
    double value;

    if (cJSON_IsNumber(item))
        value = nearest_whole(item->valuedouble * CONFIG_MILLIONTHS);
    else if (!cJSON_IsString(item) ||
             with_unit(item->valuestring, config_time_units, CONFIG_TIME_UNITS, &value) != 0)
        return -EINVAL;
    if (!in_bounds(key, value))
        return -EINVAL;
    *to = (uint64_t)value;
    return 0;
}

static int get_percent(const struct config_key *key, const cJSON *item, double *to)
{
    static const struct config_unit percent[] = {{'%', 1}};
    double value;

    if (cJSON_IsNumber(item)) {
        value = item->valuedouble;
    } else if (cJSON_IsString(item)) {
        if (with_unit(item->valuestring, percent, 1, &value) != 0)
            return -EINVAL;
        value /= CONFIG_MILLIONTHS;
    } else {
        return -EINVAL;
    }
    if (!in_bounds(key, value))
        return -EINVAL;
    *to = value;
    return 0;
}

static int get_choice(const struct config_key *key, const cJSON *item, uint32_t *to)
{
    if (!cJSON_IsString(item))
        return -EINVAL;
    for (uint32_t i = 0; key->choices[i] != NULL; i++)
        if (strcmp(key->choices[i], item->valuestring) == 0) {
            *to = i;
            return 0;
        }
    return -EINVAL;
}

/* A program in daemon_directory that root runs: no path, no hidden file, no option. */
static bool name_is_plain(const char *name)
{
    if (name[0] == '\0' || name[0] == '.' || name[0] == '-')
        return false;
    for (const char *c = name; *c != '\0'; c++)
        if (!is_digit(*c) && !(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') &&
            strchr("._+-", *c) == NULL)
            return false;
    return strlen(name) < CONFIG_NAME_SIZE;
}

/* Empty, or absolute without empty, "." or ".." parts, which could lead out of the group tree. */
static bool path_is_plain(const char *path)
{
    const char *part = path;

    if (path[0] == '\0' || strcmp(path, "/") == 0)
        return true;
    if (strlen(path) >= CONFIG_PATH_SIZE)
        return false;
    while (*part == '/') {
        size_t length = strcspn(++part, "/");

        if (length == 0 || (length == 1 && part[0] == '.') ||
            (length == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        for (size_t i = 0; i < length; i++)
            if ((unsigned char)part[i] < 0x20 || part[i] == 0x7f)
                return false;
        part += length;
    }
    return *part == '\0';
}

static int get_text(const cJSON *item, bool (*plain)(const char *), char *to)
{
    if (!cJSON_IsString(item) || !plain(item->valuestring))
        return -EINVAL;
    memcpy(to, item->valuestring, strlen(item->valuestring) + 1);
    return 0;
}

int config_value_set(const struct config_key *key, const cJSON *item, struct config *out)
{
    void *to = field(key, out);

    switch (key->type) {
    case CONFIG_NAME:
        return get_text(item, name_is_plain, to);
    case CONFIG_PATH:
        return get_text(item, path_is_plain, to);
    case CONFIG_COUNT:
        return get_count(key, item, to);
    case CONFIG_SIZE:
        return get_size(key, item, to);
    case CONFIG_TIME:
        return get_time(key, item, to);
    case CONFIG_PERCENT:
        return get_percent(key, item, to);
    case CONFIG_CHOICE:
        return get_choice(key, item, to);
    case CONFIG_BOOLEAN:
        if (!cJSON_IsBool(item))
            return -EINVAL;
        *(bool *)to = cJSON_IsTrue(item);
        return 0;
    case CONFIG_PACES:
        break;
    }
    return -EINVAL;
}

int config_value_set_pace(const struct config_key *key, const char *domain, const cJSON *item,
                          struct config *out)
{
    uint64_t pace;
    int result = get_time(key, item, &pace);

    return result != 0 ? result : config_paces_set(field(key, out), domain, pace);
}

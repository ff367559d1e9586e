#include "agents/postconf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/capture.h"

/* -o of one master.cf line (MASTER_SETTINGS_MAX of agents/master.h). */
#define OVERRIDES_MAX 256

enum kind { TEXT, TEXT_OR_EMPTY, NUMBER, TIME };

struct parameter {
    const char *name;
    size_t offset;
    size_t size; /* of a text */
    enum kind kind;
    char unit; /* of a time without one; differs by parameter, see postconf(5) */
};

#define TEXT_OF(member, how)                                                                       \
    {                                                                                              \
        .name = #member, .offset = offsetof(struct postconf, member),                              \
        .size = sizeof(((struct postconf *)0)->member), .kind = (how)                              \
    }
#define INT_OF(member, how, without)                                                               \
    {                                                                                              \
        .name = #member, .offset = offsetof(struct postconf, member), .size = sizeof(int),         \
        .kind = (how), .unit = (without)                                                           \
    }

static const struct parameter parameters[] = {
    TEXT_OF(config_directory, TEXT),
    TEXT_OF(queue_directory, TEXT),
    TEXT_OF(data_directory, TEXT),
    TEXT_OF(daemon_directory, TEXT),
    TEXT_OF(maillog_file, TEXT_OR_EMPTY),
    TEXT_OF(content_filter, TEXT_OR_EMPTY),
    TEXT_OF(mail_owner, TEXT),
    TEXT_OF(syslog_name, TEXT),
    TEXT_OF(syslog_facility, TEXT),
    TEXT_OF(postlog_service_name, TEXT),
    TEXT_OF(myhostname, TEXT),
    TEXT_OF(hash_queue_names, TEXT_OR_EMPTY),
    INT_OF(hash_queue_depth, NUMBER, '\0'),
    INT_OF(maximal_queue_lifetime, TIME, 'd'),
    INT_OF(bounce_queue_lifetime, TIME, 'd'),
    INT_OF(daemon_timeout, TIME, 's'),
    INT_OF(ipc_timeout, TIME, 's'),
    INT_OF(max_use, NUMBER, '\0'),
    INT_OF(default_process_limit, NUMBER, '\0'),
    INT_OF(qmgr_message_active_limit, NUMBER, '\0'),
    INT_OF(default_destination_concurrency_limit, NUMBER, '\0'),
};

#define PARAMETERS (sizeof parameters / sizeof parameters[0])

/* Digits at the front of `text`; the rest goes to `end`. */
static int digits(const char *text, const char **end, int *out)
{
    int value = 0;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value))
            return -EINVAL;
    *end = text;
    *out = value;
    return 0;
}

int postconf_time(const char *text, char unit, int *seconds)
{
    static const struct {
        char unit;
        int seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    const char *rest;
    int value;

    if (digits(text, &rest, &value) < 0)
        return -EINVAL;
    if (rest[0] != '\0') {
        if (rest[1] != '\0')
            return -EINVAL;
        unit = rest[0];
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].unit == unit)
            return __builtin_mul_overflow(value, units[i].seconds, seconds) ? -EINVAL : 0;
    return -EINVAL;
}

static int value_store(const struct parameter *parameter, const char *value, struct postconf *out,
                       char *error, size_t error_size)
{
    unsigned char *place = (unsigned char *)out + parameter->offset;
    size_t length = strlen(value);
    const char *rest;
    int number = 0;
    int result = 0;

    switch (parameter->kind) {
    case TEXT:
    case TEXT_OR_EMPTY:
        if (length == 0 && parameter->kind == TEXT) {
            (void)snprintf(error, error_size, "%s is empty", parameter->name);
            return -EINVAL;
        }
        if (length >= parameter->size) {
            (void)snprintf(error, error_size, "%s is longer than %zu bytes", parameter->name,
                           parameter->size - 1);
            return -EINVAL;
        }
        memcpy(place, value, length + 1);
        return 0;
    case NUMBER:
        result = digits(value, &rest, &number);
        if (result == 0 && *rest != '\0')
            result = -EINVAL;
        break;
    case TIME:
        result = postconf_time(value, parameter->unit, &number);
        break;
    }
    if (result < 0)
        (void)snprintf(error, error_size, "%s = %.64s: not a %s", parameter->name, value,
                       parameter->kind == TIME ? "time" : "number");
    else
        memcpy(place, &number, sizeof number);
    return result;
}

/* Cuts "name = value" in two; false when it is nothing of the kind. */
static bool line_split(char *line, char **value)
{
    char *equals = strchr(line, '=');
    char *end;

    if (equals == NULL)
        return false;
    *value = equals + 1 + strspn(equals + 1, " \t");
    for (end = equals; end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
        ;
    *end = '\0';
    for (end = *value + strlen(*value); end > *value && (end[-1] == ' ' || end[-1] == '\t'); end--)
        ;
    *end = '\0';
    return true;
}

int postconf_parse(char *text, struct postconf *out, char *error, size_t error_size)
{
    bool found[PARAMETERS] = {false};
    char *line;
    char *value;

    memset(out, 0, sizeof *out);
    while ((line = strsep(&text, "\n")) != NULL) {
        if (!line_split(line, &value))
            continue;
        for (size_t i = 0; i < PARAMETERS; i++) {
            if (strcmp(line, parameters[i].name) != 0)
                continue;
            int result = value_store(&parameters[i], value, out, error, error_size);

            if (result < 0)
                return result;
            found[i] = true;
        }
    }
    for (size_t i = 0; i < PARAMETERS; i++)
        if (!found[i]) {
            (void)snprintf(error, error_size, "%s: this Postfix does not know the parameter",
                           parameters[i].name);
            return -EINVAL;
        }
    return 0;
}

/*
 * postconf -x [-c DIRECTORY] [-o SETTING ...] NAME ... ; without -h, because a parameter that this
 * Postfix does not know gives no line at all, and the values after it would be taken for others.
 */
static int words_make(const char *program, const char *config_directory,
                      const char *const *overrides, const char **words, size_t size)
{
    size_t count = 0;

    words[count++] = program;
    words[count++] = "-x";
    if (config_directory != NULL) {
        words[count++] = "-c";
        words[count++] = config_directory;
    }
    for (; overrides != NULL && *overrides != NULL; overrides++) {
        if (count + 2 + PARAMETERS + 1 > size)
            return -E2BIG;
        words[count++] = "-o";
        words[count++] = *overrides;
    }
    for (size_t i = 0; i < PARAMETERS; i++)
        words[count++] = parameters[i].name;
    words[count] = NULL;
    return 0;
}

int postconf_read_with(const char *program, int timeout, const char *config_directory,
                       const char *const *overrides, struct postconf *out, char *error,
                       size_t error_size)
{
    const char *words[4 + 2 * OVERRIDES_MAX + PARAMETERS + 1];
    char *output = malloc(POSTCONF_OUTPUT_MAX);
    int result;

    result = output == NULL ? -ENOMEM
                            : words_make(program, config_directory, overrides, words,
                                         sizeof words / sizeof words[0]);
    if (result < 0)
        (void)snprintf(error, error_size, "%s cannot be asked: %s", program,
                       strerrordesc_np(-result));
    if (result == 0)
        result = capture_run(words, timeout, output, POSTCONF_OUTPUT_MAX, error, error_size);
    if (result == 0)
        result = postconf_parse(output, out, error, error_size);
    free(output);
    return result;
}

int postconf_read(const char *config_directory, const char *const *overrides, struct postconf *out,
                  char *error, size_t error_size)
{
    return postconf_read_with(COMMAND_DIRECTORY "/postconf", POSTCONF_TIMEOUT_SECONDS * 1000,
                              config_directory, overrides, out, error, error_size);
}

static FILE *main_open(const char *config_directory)
{
    char path[PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/main.cf", config_directory);
    return fopen(path, "re");
}

/* Whether main.cf has the name anywhere, if only in a comment. What cannot be read may have it. */
static bool mentioned(const char *config_directory, const char *name)
{
    FILE *file = main_open(config_directory);
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool found = false;

    if (!file)
        return true;
    while (!found && (length = getline(&line, &size, file)) >= 0)
        found = memmem(line, (size_t)length, name, strlen(name)) != NULL;
    found = found || !feof(file);
    free(line);
    fclose(file);
    return found;
}

int postconf_concurrency(const struct postconf *postconf, const char *service)
{
    FILE *file = main_open(postconf->config_directory);
    int found = postconf->default_destination_concurrency_limit, number;
    char *line = NULL, *value;
    char name[POSTCONF_NAME_SIZE];
    const char *rest;
    size_t size = 0;

    snprintf(name, sizeof name, "%.200s_destination_concurrency_limit", service);
    while (file && getline(&line, &size, file) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        if (line_split(line, &value) && strcmp(line, name) == 0 &&
            digits(value, &rest, &number) == 0 && *rest == '\0')
            found = number;
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

int postconf_main_number(const char *program, const char *config_directory, const char *name,
                         int *number, char *error, size_t error_size)
{
    const char *const words[] = {program ? program : COMMAND_DIRECTORY "/postconf",
                                 "-c",
                                 config_directory,
                                 "-nx",
                                 name,
                                 NULL};
    char output[POSTCONF_NAME_SIZE * 2];
    const char *end;
    char *value;
    int result;

    if (!mentioned(config_directory, name))
        return 0;
    result = capture_run(words, POSTCONF_TIMEOUT_SECONDS * 1000, output, sizeof output, error,
                         error_size);
    if (result < 0)
        return result;
    output[strcspn(output, "\n")] = '\0';
    return line_split(output, &value) && strcmp(output, name) == 0 &&
           digits(value, &end, number) == 0 && *end == '\0';
}

#include "supervisor/journal/journal_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int journal_facility(const char *name)
{
    static const struct {
        const char *name;
        int facility;
    } table[] = {
        {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
        {"daemon", LOG_DAEMON}, {"ftp", LOG_FTP},           {"kern", LOG_KERN},
        {"lpr", LOG_LPR},       {"mail", LOG_MAIL},         {"news", LOG_NEWS},
        {"syslog", LOG_SYSLOG}, {"user", LOG_USER},         {"uucp", LOG_UUCP},
        {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2},
        {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},     {"local5", LOG_LOCAL5},
        {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
    };

    for (size_t i = 0; name != NULL && i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].facility;
    return -EINVAL;
}

/* A line break would end a field, and a terminal obeys control characters. */
static void sanitise(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

/* Marks a text that snprintf (which returned `length`) cut to `most`. Returns the real length. */
static size_t cut(char *text, int length, size_t most)
{
    if (length < 0) {
        *text = '\0';
        return 0;
    }
    if ((size_t)length <= most)
        return (size_t)length;
    memcpy(text + most - 3, "...", 3);
    return most;
}

int journal_identity_make(struct journal_identity *identity, const struct journal_options *options,
                          pid_t pid)
{
    int facility = journal_facility(options->syslog_facility);
    int length;

    memset(identity, 0, sizeof *identity);
    if (options->syslog_name == NULL || options->syslog_name[0] == '\0')
        return -EINVAL;
    length = snprintf(identity->tag, sizeof identity->tag, "%s/headroom", options->syslog_name);
    if (length < 0 || (size_t)length >= sizeof identity->tag)
        return -EINVAL;
    sanitise(identity->tag);
    if (options->host != NULL)
        (void)snprintf(identity->host, sizeof identity->host, "%s", options->host);
    else if (gethostname(identity->host, sizeof identity->host - 1) < 0)
        identity->host[0] = '\0';
    sanitise(identity->host);
    identity->host[strcspn(identity->host, ".")] = '\0';
    if (identity->host[0] == '\0')
        memcpy(identity->host, "localhost", sizeof "localhost");

    identity->facility = facility < 0 ? LOG_MAIL : facility;
    identity->pid = pid;
    (void)snprintf(identity->identifier_field, sizeof identity->identifier_field,
                   "SYSLOG_IDENTIFIER=%s", identity->tag);
    (void)snprintf(identity->facility_field, sizeof identity->facility_field, "SYSLOG_FACILITY=%d",
                   LOG_FAC(identity->facility));
    (void)snprintf(identity->pid_field, sizeof identity->pid_field, "SYSLOG_PID=%ld", (long)pid);
    if (options->service != NULL) {
        (void)snprintf(identity->service_field, sizeof identity->service_field,
                       "HEADROOM_SERVICE=%s", options->service);
        sanitise(identity->service_field);
    }
    return 0;
}

/* Adds a field whose text outlives the line. */
static void field_refer(struct journal_line *line, const char *text)
{
    union {
        const char *given;
        void *taken;
    } same = {.given = text}; /* an iovec has no const; it is only read here */

    line->field[line->fields++] = (struct iovec){.iov_base = same.taken, .iov_len = strlen(text)};
}

/* Adds the field at the end of bytes[], `length` bytes and a NUL. */
static void field_add(struct journal_line *line, size_t length)
{
    line->field[line->fields++] =
        (struct iovec){.iov_base = line->bytes + line->used, .iov_len = length};
    line->used += length + 1;
}

__attribute__((format(printf, 2, 3))) static void fixed_add(struct journal_line *line,
                                                            const char *format, ...)
{
    va_list list;
    int length;

    va_start(list, format);
    length = vsnprintf(line->bytes + line->used, sizeof line->bytes - line->used, format, list);
    va_end(list);
    if (length > 0 && (size_t)length < sizeof line->bytes - line->used)
        field_add(line, (size_t)length);
}

__attribute__((format(printf, 2, 0))) static void text_add(struct journal_line *line,
                                                           const char *format, va_list list)
{
    static const char name[] = "MESSAGE=";
    const size_t length = sizeof name - 1;
    char *text = line->bytes + line->used + length;

    memcpy(line->bytes + line->used, name, length);
    line->text = text;
    size_t used = cut(text, vsnprintf(text, JOURNAL_TEXT_MAX + 1, format, list), JOURNAL_TEXT_MAX);

    sanitise(text);
    field_add(line, length + used);
}

static bool name_usable(const char *name)
{
    static const char prefix[] = "HEADROOM_";
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    return name[length] == '\0' && length <= JOURNAL_NAME_MAX && length >= sizeof prefix &&
           strncmp(name, prefix, sizeof prefix - 1) == 0;
}

static void caller_field_add(struct journal_line *line, const struct journal_field *field)
{
    size_t name = strlen(field->name) + 1;
    char *place = line->bytes + line->used;
    char *value = place + name;
    int length;

    (void)snprintf(place, name + 1, "%s=", field->name);
    if (field->text != NULL)
        length = snprintf(value, JOURNAL_VALUE_MAX + 1, "%s", field->text);
    else
        length = snprintf(value, JOURNAL_VALUE_MAX + 1, "%" PRId64, field->number);
    size_t used = cut(value, length, JOURNAL_VALUE_MAX);

    sanitise(value);
    field_add(line, name + used);
}

void journal_line_make(struct journal_line *line, const struct journal_identity *identity,
                       enum journal_event event, int priority, const struct journal_field *fields,
                       size_t count, const char *format, va_list list)
{
    line->priority = priority;
    line->fields = 0;
    line->used = 0;
    text_add(line, format, list);
    fixed_add(line, "PRIORITY=%d", LOG_PRI(priority));
    fixed_add(line, "MESSAGE_ID=%s", event_message_id(event));
    fixed_add(line, "HEADROOM_EVENT=%s", event_name(event));
    field_refer(line, identity->identifier_field);
    field_refer(line, identity->facility_field);
    field_refer(line, identity->pid_field);
    if (identity->service_field[0] != '\0')
        field_refer(line, identity->service_field);
    for (size_t i = 0, taken = 0; i < count && taken < JOURNAL_FIELDS_MAX; i++)
        if (name_usable(fields[i].name)) {
            caller_field_add(line, &fields[i]);
            taken++;
        }
}

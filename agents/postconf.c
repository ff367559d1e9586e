#include "agents/postconf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* -o of one master.cf line (MASTER_SETTINGS_MAX of agents/master.h). */
#define OVERRIDES_MAX 256
/* What postconf may complain; only its first lines are of use. */
#define COMPLAINT_SIZE 4096

enum kind { TEXT, TEXT_OR_EMPTY, NUMBER, TIME };

struct parameter {
    const char *name;
    enum kind kind;
    size_t offset;
    size_t size; /* of a text */
    char
        unit; /* of a time that has none: Postfix's own default differs by parameter (postconf(5)) */
};

#define TEXT_OF(member, how)                                                                       \
    {                                                                                              \
#member, how, offsetof(struct postconf, member), sizeof(((struct postconf *)0)->member),   \
            '\0'                                                                                   \
    }
#define INT_OF(member, how, unit)                                                                  \
    {                                                                                              \
#member, how, offsetof(struct postconf, member), sizeof(int), unit                         \
    }

static const struct parameter parameters[] = {
    TEXT_OF(config_directory, TEXT),
    TEXT_OF(queue_directory, TEXT),
    TEXT_OF(data_directory, TEXT),
    TEXT_OF(daemon_directory, TEXT),
    TEXT_OF(command_directory, TEXT),
    TEXT_OF(maillog_file, TEXT_OR_EMPTY),
    TEXT_OF(mail_owner, TEXT),
    TEXT_OF(setgid_group, TEXT),
    TEXT_OF(syslog_name, TEXT),
    TEXT_OF(syslog_facility, TEXT),
    TEXT_OF(postlog_service_name, TEXT),
    TEXT_OF(myhostname, TEXT),
    TEXT_OF(hash_queue_names, TEXT_OR_EMPTY),
    TEXT_OF(mail_version, TEXT),
    INT_OF(hash_queue_depth, NUMBER, '\0'),
    INT_OF(maximal_queue_lifetime, TIME, 'd'),
    INT_OF(bounce_queue_lifetime, TIME, 'd'),
    INT_OF(minimal_backoff_time, TIME, 's'),
    INT_OF(maximal_backoff_time, TIME, 's'),
    INT_OF(daemon_timeout, TIME, 's'),
    INT_OF(ipc_timeout, TIME, 's'),
    INT_OF(max_idle, TIME, 's'),
    INT_OF(max_use, NUMBER, '\0'),
    INT_OF(default_process_limit, NUMBER, '\0'),
    INT_OF(service_throttle_time, TIME, 's'),
};

#define PARAMETERS (sizeof parameters / sizeof parameters[0])

__attribute__((format(printf, 3, 4))) static void say(char *error, size_t size, const char *format,
                                                      ...)
{
    va_list list;

    va_start(list, format);
    (void)vsnprintf(error, size, format, list);
    va_end(list);
}

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
            say(error, error_size, "%s is empty", parameter->name);
            return -EINVAL;
        }
        if (length >= parameter->size) {
            say(error, error_size, "%s is longer than %zu bytes", parameter->name,
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
        say(error, error_size, "%s = %.64s: not a %s", parameter->name, value,
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
            say(error, error_size, "%s: this Postfix does not know the parameter",
                parameters[i].name);
            return -EINVAL;
        }
    return 0;
}

static long long milliseconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One of the child's two streams, kept up to a bound; what is beyond is an error (output) or dropped (complaints). */
struct stream {
    int fd; /* -1 after its end */
    char *text;
    size_t size;
    size_t length;
    bool overflow;
};

static void stream_close(struct stream *stream)
{
    if (stream->fd >= 0)
        (void)close(stream->fd);
    stream->fd = -1;
}

static int stream_read(struct stream *stream)
{
    char beyond[512];
    size_t room = stream->size - 1 - stream->length;
    ssize_t got = read(stream->fd, room > 0 ? stream->text + stream->length : beyond,
                       room > 0 ? room : sizeof beyond);

    if (got < 0)
        return errno == EINTR ? 0 : -errno;
    if (got == 0)
        stream_close(stream);
    else if (room > 0)
        stream->length += (size_t)got;
    else
        stream->overflow = true;
    stream->text[stream->length] = '\0';
    return 0;
}

/* Reads both until they end. -ETIMEDOUT, -EMSGSIZE when there is more than fits, or what read said. */
static int streams_read(struct stream *output, struct stream *complaint, long long deadline)
{
    struct stream *both[2] = {output, complaint};

    while (output->fd >= 0 || complaint->fd >= 0) {
        struct pollfd wait[2] = {{.fd = output->fd, .events = POLLIN},
                                 {.fd = complaint->fd, .events = POLLIN}};
        long long left = deadline - milliseconds();
        int ready = left > 0 ? poll(wait, 2, (int)left) : 0;

        if (ready == 0)
            return -ETIMEDOUT;
        if (ready < 0 && errno != EINTR)
            return -errno;
        for (size_t i = 0; i < 2 && ready > 0; i++)
            if (wait[i].revents != 0) {
                int result = stream_read(both[i]);

                if (result < 0)
                    return result;
            }
        if (output->overflow)
            return -EMSGSIZE;
    }
    return 0;
}

/* Its streams are at their end, so it is about to exit: ask for it every millisecond. Kills it when time is up. */
static int child_reap(pid_t child, long long deadline, int *status)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    bool killed = false;
    pid_t got;

    for (;;) {
        if (!killed && milliseconds() >= deadline) {
            (void)kill(child, SIGKILL);
            killed = true;
        }
        got = waitpid(child, status, killed ? 0 : WNOHANG);
        if (got == child)
            return killed ? -ETIMEDOUT : 0;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            (void)nanosleep(&moment, NULL);
    }
}

/* In the child: nothing but async-signal-safe calls. */
_Noreturn static void child_run(const char *program, const char *const *words, int output,
                                int complaint)
{
    union {
        const char *const *given;
        char *const *taken;
    } argv = {.given = words}; /* execv writes to neither the array nor the words */
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(complaint, STDERR_FILENO) >= 0) {
        /* master's descriptors are not for postconf; where the kernel cannot, it gets them */
        (void)close_range(3, ~0U, 0);
        (void)execv(program, argv.taken);
    }
    _exit(127);
}

/* The line that says why: not a warning when there is one that is none; without its "postconf: ". */
static const char *complaint_line(char *text)
{
    char *first = NULL;
    char *line;

    while ((line = strsep(&text, "\n")) != NULL) {
        if (*line == '\0')
            continue;
        if (first == NULL)
            first = line;
        if (strstr(line, "warning:") == NULL)
            return line;
    }
    return first != NULL ? first : "it said nothing";
}

static int outcome(int result, int status, const char *program, char *complaint, char *error,
                   size_t error_size)
{
    if (result == -ETIMEDOUT) {
        say(error, error_size, "%s did not end in time and was killed", program);
        return result;
    }
    if (result == -EMSGSIZE) {
        say(error, error_size, "%s wrote more than %d bytes", program, POSTCONF_OUTPUT_MAX - 1);
        return -EPROTO;
    }
    if (result < 0) {
        say(error, error_size, "%s: %s", program, strerrordesc_np(-result));
        return result;
    }
    if (WIFSIGNALED(status)) {
        say(error, error_size, "%s was ended by signal %d", program, WTERMSIG(status));
        return -EPROTO;
    }
    if (WEXITSTATUS(status) == 127) {
        say(error, error_size, "%s cannot be run", program);
        return -EPROTO;
    }
    if (WEXITSTATUS(status) != 0) {
        say(error, error_size, "%s failed: %.300s", program, complaint_line(complaint));
        return -EPROTO;
    }
    return 0;
}

/*
 * postconf -x [-c DIRECTORY] [-o SETTING ...] NAME ... ; without -h, because a parameter that this Postfix does not know
 * gives no line at all, and the values after it would be taken for others.
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
    long long deadline = milliseconds() + timeout;
    struct stream output = {.fd = -1, .size = POSTCONF_OUTPUT_MAX};
    struct stream complaint = {.fd = -1, .size = COMPLAINT_SIZE};
    int output_end[2] = {-1, -1};
    int complaint_end[2] = {-1, -1};
    int status = 0;
    int result;
    int reaped;
    pid_t child = -1;

    output.text = calloc(1, output.size);
    complaint.text = calloc(1, complaint.size);
    result = words_make(program, config_directory, overrides, words, sizeof words / sizeof *words);
    if (result == 0 && (output.text == NULL || complaint.text == NULL))
        result = -ENOMEM;
    if (result == 0 && (pipe2(output_end, O_CLOEXEC) < 0 || pipe2(complaint_end, O_CLOEXEC) < 0 ||
                        (child = fork()) < 0))
        result = -errno;
    if (result < 0) {
        (void)outcome(result, 0, program, NULL, error, error_size);
        goto done;
    }
    if (child == 0)
        child_run(program, words, output_end[1], complaint_end[1]);
    (void)close(output_end[1]);
    (void)close(complaint_end[1]);
    output_end[1] = complaint_end[1] = -1;
    output.fd = output_end[0];
    complaint.fd = complaint_end[0];
    output_end[0] = complaint_end[0] = -1;

    result = streams_read(&output, &complaint, deadline);
    stream_close(&output);
    stream_close(&complaint);
    reaped = child_reap(child, result < 0 ? 0 : deadline, &status);
    if (result == 0)
        result = reaped;
    result = outcome(result, status, program, complaint.text, error, error_size);
    if (result == 0)
        result = postconf_parse(output.text, out, error, error_size);

done:
    for (size_t i = 0; i < 2; i++) {
        if (output_end[i] >= 0)
            (void)close(output_end[i]);
        if (complaint_end[i] >= 0)
            (void)close(complaint_end[i]);
    }
    free(output.text);
    free(complaint.text);
    return result;
}

int postconf_read(const char *config_directory, const char *const *overrides, struct postconf *out,
                  char *error, size_t error_size)
{
    return postconf_read_with(COMMAND_DIRECTORY "/postconf", POSTCONF_TIMEOUT_SECONDS * 1000,
                              config_directory, overrides, out, error, error_size);
}

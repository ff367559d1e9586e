#include "supervisor/config/config_file.h"

#include "supervisor/base/file.h"
#include "supervisor/config/json.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Passes warnings on and keeps the first error, which becomes part of the one warning. */
struct collector {
    config_report *report; /* NULL: warnings are dropped */
    void *context;
    char error[CONFIG_LINE_SIZE];
};

static void collect(void *context, enum config_severity severity, const char *line)
{
    struct collector *collector = context;

    if (severity == CONFIG_ERROR) {
        if (collector->error[0] == '\0')
            snprintf(collector->error, sizeof(collector->error), "%s", line);
    } else if (collector->report != NULL) {
        collector->report(collector->context, CONFIG_WARNING, line);
    }
}

__attribute__((format(printf, 3, 4))) static void warn(config_report *report, void *context,
                                                       const char *format, ...)
{
    char line[2 * CONFIG_LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    line[CONFIG_LINE_SIZE - 1] = '\0';
    report(context, CONFIG_WARNING, line);
}

int config_file_read(const char *path, char **text, size_t *length)
{
    /* O_NONBLOCK: a FIFO in its place must not stop the start. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int result;

    if (descriptor < 0)
        return -errno;
    result = file_read(descriptor, JSON_TEXT_MAX, text, length);
    close(descriptor);
    return result;
}

/* In a directory with the sticky bit others cannot replace what is root's. */
static bool loose(const char *path, bool link, char *line, size_t size)
{
    struct stat found;
    char shown[300];
    char by[64] = "";

    if ((link ? lstat(path, &found) : stat(path, &found)) < 0)
        return false;
    if (found.st_uid != 0)
        snprintf(by, sizeof by, "belongs to user %u", (unsigned)found.st_uid);
    else if (!S_ISLNK(found.st_mode) && (found.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
             !(S_ISDIR(found.st_mode) && (found.st_mode & S_ISVTX) != 0))
        snprintf(by, sizeof by, "can be written by others than root (mode %o)",
                 (unsigned)found.st_mode & 07777);
    if (by[0] == '\0')
        return false;
    json_excerpt(path, 0, strlen(path), sizeof(shown), shown, sizeof(shown));
    snprintf(line, size,
             "%s %s, who can so choose the program that root runs (agent); chown root and chmod "
             "go-w",
             shown, by);
    return true;
}

/* Of the file as it is named, and of where a link leads. */
bool config_file_doubt(const char *path, char *line, size_t size)
{
    char real[PATH_MAX];
    char name[PATH_MAX];

    if (!realpath(path, real) || snprintf(name, sizeof name, "%s", path) >= PATH_MAX)
        return false;
    if (loose(path, true, line, size) || loose(real, false, line, size))
        return true;
    return loose(dirname(name), false, line, size) || loose(dirname(real), false, line, size);
}

const char *config_file_error(int error)
{
    if (error == -EINVAL)
        return "not a regular file";
    if (error == -EFBIG)
        return "larger than 1 MiB";
    return strerror(-error);
}

/*
 * Reads the last good copy. *distrust says why it was refused when that is more than its absence;
 * NULL otherwise.
 */
static int read_last_good(int directory, char **text, size_t *length, time_t *since,
                          const char **distrust)
{
    struct stat status;
    int descriptor;
    int result = 0;

    *distrust = NULL;
    if (directory < 0)
        return -ENOENT;
    descriptor = openat(directory, CONFIG_LAST_GOOD,
                        O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (descriptor < 0) {
        result = -errno;
        if (result != -ENOENT)
            *distrust = result == -ELOOP ? "a symbolic link" : strerror(-result);
        return result;
    }
    if (fstat(descriptor, &status) != 0) {
        result = -errno;
        *distrust = strerror(-result);
    } else if (!S_ISREG(status.st_mode)) {
        *distrust = "not a regular file";
    } else if (status.st_uid != 0 && status.st_uid != geteuid()) {
        *distrust = "owned by somebody else";
    } else if (status.st_nlink != 1) {
        *distrust = "linked elsewhere too";
    } else if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        *distrust = "writable by others";
    } else {
        result = file_read(descriptor, JSON_TEXT_MAX, text, length);
        if (result != 0)
            *distrust = config_file_error(result);
        *since = status.st_mtime;
    }
    close(descriptor);
    return *distrust != NULL && result == 0 ? -EPERM : result;
}

/* Keeps the text as the last good one, if it is not that already. */
static void keep(int directory, const char *text, size_t length, config_report *report,
                 void *context)
{
    char *last = NULL;
    size_t last_length = 0;
    time_t since;
    const char *distrust;
    int result;

    if (directory < 0 || text == NULL)
        return;
    result = read_last_good(directory, &last, &last_length, &since, &distrust);
    if (result != 0 || last == NULL || last_length != length || memcmp(last, text, length) != 0) {
        result = file_replace(directory, CONFIG_LAST_GOOD, CONFIG_LAST_GOOD ".new",
                              S_IRUSR | S_IWUSR, true, text, length);
        if (result != 0)
            warn(report, context,
                 "the configuration is good, but no copy can be kept in " CONFIG_LAST_GOOD
                 " of the state directory: %s",
                 strerror(-result));
    }
    free(last);
}

/* The file can't be used: takes the last good copy or the defaults, with one warning. */
static enum config_source fall_back(const char *reason, int directory, const char *service,
                                    struct config *out, config_report *report, void *context)
{
    struct collector collector = {0};
    enum config_source source = CONFIG_FROM_DEFAULTS;
    char *text = NULL;
    size_t length = 0;
    time_t since = 0;
    const char *distrust;
    int result = read_last_good(directory, &text, &length, &since, &distrust);

    if (result == 0) {
        result = config_parse(text, length, CONFIG_LAST_GOOD, service, out, collect, &collector);
        free(text);
        if (result == 0) {
            struct tm local;
            char date[40] = "an unknown time";

            if (localtime_r(&since, &local) != NULL)
                strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S %z", &local);
            warn(report, context, "%.700s; the last good configuration is used, of %s", reason,
                 date);
            source = CONFIG_FROM_LAST_GOOD;
        } else {
            config_defaults(out);
            warn(report, context,
                 "%.700s; the defaults are used, for the last good copy is wrong too: %s", reason,
                 collector.error);
        }
    } else {
        config_defaults(out);
        if (distrust != NULL)
            warn(report, context,
                 "%.700s; the defaults are used, for the last good copy is not trusted: it is %s",
                 reason, distrust);
        else
            warn(report, context, "%.700s; the defaults are used, for there is no last good copy",
                 reason);
    }
    return source;
}

enum config_source config_file_load(const char *path, bool named, int state_directory,
                                    const char *service, struct config *out, config_report *report,
                                    void *context)
{
    struct collector collector = {.report = report, .context = context};
    char *text = NULL;
    size_t length = 0;
    struct stat status;
    int result = config_file_read(path, &text, &length);

    /* A symbolic link that leads nowhere is a mistake, not the absence of a configuration. */
    if (result == -ENOENT && !named && lstat(path, &status) != 0 && errno == ENOENT) {
        config_defaults(out);
        return CONFIG_FROM_DEFAULTS;
    }
    if (result != 0) {
        char shown[300];

        json_excerpt(path, 0, strlen(path), sizeof(shown), shown, sizeof(shown));
        snprintf(collector.error, sizeof(collector.error), "%s: can't be read: %s", shown,
                 config_file_error(result));
    } else {
        result = config_parse(text, length, path, service, out, collect, &collector);
        if (result == 0)
            keep(state_directory, text, length, report, context);
        free(text);
    }
    if (result != 0)
        return fall_back(collector.error, state_directory, service, out, report, context);
    return CONFIG_FROM_FILE;
}

const char *config_source_text(enum config_source source)
{
    switch (source) {
    case CONFIG_FROM_FILE:
        return "the file";
    case CONFIG_FROM_LAST_GOOD:
        return "the last good copy";
    case CONFIG_FROM_DEFAULTS:
        break;
    }
    return "the defaults";
}

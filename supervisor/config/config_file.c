#include "supervisor/config/config_file.h"

#include "supervisor/config/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMPORARY CONFIG_LAST_GOOD ".new"

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

/* Reads a regular file whole, up to JSON_TEXT_MAX. The descriptor stays open. */
static int read_whole(int descriptor, const struct stat *status, char **text, size_t *length)
{
    size_t size = 4096;
    size_t used = 0;
    char *buffer = NULL;
    int result;

    if (S_ISDIR(status->st_mode))
        return -EISDIR;
    if (!S_ISREG(status->st_mode))
        return -EINVAL;
    if (status->st_size > (off_t)JSON_TEXT_MAX)
        return -EFBIG;
    if ((size_t)status->st_size >= size)
        size = (size_t)status->st_size + 1;
    buffer = malloc(size);
    if (buffer == NULL)
        return -ENOMEM;
    for (;;) { /* to the end of file, which may have moved since fstat */
        ssize_t got;

        if (used == size) {
            result = -EFBIG;
            goto failed;
        }
        got = read(descriptor, buffer + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            result = -errno;
            goto failed;
        }
        if (got == 0)
            break;
        used += (size_t)got;
    }
    *text = buffer;
    *length = used;
    return 0;

failed:
    free(buffer);
    return result;
}

int config_file_read(const char *path, char **text, size_t *length)
{
    struct stat status;
    /* O_NONBLOCK: a FIFO in its place must not stop the start. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int result;

    if (descriptor < 0)
        return -errno;
    result =
        fstat(descriptor, &status) != 0 ? -errno : read_whole(descriptor, &status, text, length);
    close(descriptor);
    return result;
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
 * Reads the last good copy. *distrust says why it was refused when that is more than its absence; NULL otherwise.
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
        result = read_whole(descriptor, &status, text, length);
        if (result != 0)
            *distrust = config_file_error(result);
        *since = status.st_mtime;
    }
    close(descriptor);
    return *distrust != NULL && result == 0 ? -EPERM : result;
}

static int write_whole(int descriptor, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t put = write(descriptor, text, length);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        text += put;
        length -= (size_t)put;
    }
    return fsync(descriptor) != 0 ? -errno : 0;
}

/* Replaces the last good copy. What may lie under the temporary name is not ours to open: it goes. */
static int save_last_good(int directory, const char *text, size_t length)
{
    int descriptor;
    int result;

    if (unlinkat(directory, TEMPORARY, 0) != 0 && errno != ENOENT)
        return -errno;
    descriptor = openat(directory, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        S_IRUSR | S_IWUSR);
    if (descriptor < 0)
        return -errno;
    result = write_whole(descriptor, text, length);
    if (close(descriptor) != 0 && result == 0)
        result = -errno;
    if (result == 0 && renameat(directory, TEMPORARY, directory, CONFIG_LAST_GOOD) != 0)
        result = -errno;
    if (result != 0) {
        unlinkat(directory, TEMPORARY, 0);
        return result;
    }
    return fsync(directory) != 0 ? -errno : 0;
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
        result = save_last_good(directory, text, length);
        if (result != 0)
            warn(report, context,
                 "the configuration is good, but no copy can be kept in " CONFIG_LAST_GOOD
                 " of the state directory: %s",
                 strerror(-result));
    }
    free(last);
}

/* The file can't be used, for the reason given: the last good copy, or the defaults, and one warning. */
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

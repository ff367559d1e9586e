#include "agents/defer_log.h"

#include "agents/limits.h"
#include "agents/queue_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct text {
    const char *at;
    size_t length;
};

/* What a record says of the recipient, as far as it was read. */
struct record {
    struct text recipient;
    struct text status;
    struct text reason;
};

static bool take(struct text *text, const char *name, const char *line, size_t length)
{
    size_t skip = strlen(name);

    if (length <= skip || memcmp(line, name, skip) != 0)
        return false;
    *text = (struct text){line + skip, length - skip};
    return true;
}

static bool is_of(const struct text *recipient, const char *domain)
{
    size_t length = domain ? strlen(domain) : 0;
    const char *from = recipient->at + recipient->length - length;

    if (!domain)
        return true;
    return recipient->length >= length && strncasecmp(from, domain, length) == 0 &&
           (recipient->length == length || from[-1] == '@');
}

int defer_log_find(const char *log, size_t length, const char *domain, char *text, size_t size)
{
    struct record record = {0};
    const char *end = log + length;
    int result = -ENOENT;

    for (const char *line = log; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t line_length = (size_t)((newline ? newline : end) - line);

        if (line_length == 0)
            record = (struct record){0};
        else if (!take(&record.recipient, "recipient=", line, line_length) &&
                 !take(&record.status, "status=", line, line_length))
            (void)take(&record.reason, "reason=", line, line_length);
        if (record.reason.at && record.recipient.at && is_of(&record.recipient, domain)) {
            (void)snprintf(text, size, "%.*s%s%.*s", (int)record.status.length,
                           record.status.at ? record.status.at : "", record.status.at ? " " : "",
                           (int)record.reason.length, record.reason.at);
            result = 0;
            record = (struct record){0};
        }
        line += line_length + 1;
    }
    return result;
}

int defer_log_reason(int queue_directory, const char *queue_id, const char *hash_queue_names,
                     unsigned hash_queue_depth, const char *domain, char *text, size_t size)
{
    char path[QUEUE_PATH_SIZE], log[DEFER_LOG_TAIL];
    struct stat status;
    ssize_t length = 0;
    int file;
    int result =
        queue_file_path(path, sizeof path, "defer", queue_id, hash_queue_names, hash_queue_depth);

    if (result < 0)
        return result;
    file = openat(queue_directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return -errno;
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
        result = -EINVAL;
    else
        length = pread(file, log, sizeof log,
                       status.st_size > DEFER_LOG_TAIL ? status.st_size - DEFER_LOG_TAIL : 0);
    if (length < 0)
        result = -errno;
    close(file);
    return result < 0 ? result : defer_log_find(log, (size_t)length, domain, text, size);
}

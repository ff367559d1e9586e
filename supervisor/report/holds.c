#include "supervisor/report/holds.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/file.h"

bool hold_takes(const char *destination)
{
    size_t length = strlen(destination);

    if (length == 0 || length >= sizeof((struct hold *)0)->destination || destination[0] == '#')
        return false;
    for (const char *c = destination; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    return true;
}

bool hold_is_of(const struct hold *hold, const char *service)
{
    return strcmp(hold->service, "-") == 0 || strcmp(hold->service, service) == 0;
}

static int parse(char *text, int64_t now, struct holds *holds)
{
    for (char *line; (line = strsep(&text, "\n"));) {
        struct hold hold = {0};
        int end = 0;

        if (sscanf(line, "%95s %127s %" SCNd64 " %" SCNd64 " %32s%n", hold.destination,
                   hold.service, &hold.since, &hold.until, hold.who, &end) != 5 ||
            line[end] != '\0' || !hold_takes(hold.destination) ||
            (hold.until != 0 && hold.until <= now))
            continue;
        if (holds->count == HOLDS_MAX)
            return -E2BIG;
        holds->hold[holds->count++] = hold;
    }
    return 0;
}

int holds_read(const char *directory, unsigned owner, int64_t now, struct holds *holds)
{
    char path[4096 + sizeof HOLDS_FILE];
    char *text = NULL, *line;
    struct stat status;
    size_t length = 0;
    int fd, result;

    holds->count = 0;
    holds->cure = "";
    snprintf(path, sizeof path, "%.4000s/" HOLDS_FILE, directory);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &status) < 0)
        result = -errno;
    else if (status.st_uid != owner) {
        holds->cure = "belongs to another user than root (chown root)";
        result = -EPERM;
    } else if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        holds->cure = "others than root may write it (chmod go-w)";
        result = -EPERM;
    } else {
        result = file_read(fd, HOLDS_TEXT_MAX, &text, &length);
    }
    close(fd);
    if (result < 0)
        return result;
    line = text ? strndup(text, length) : NULL;
    free(text);
    if (!line)
        return -ENOMEM;
    result = parse(line, now, holds);
    free(line);
    return result;
}

int holds_write(const char *directory, const struct holds *holds)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = fd < 0 ? -errno : 0;

    if (out)
        fputs("# Written by headroomctl hold and release: destination, service, since, until, "
              "who.\n",
              out);
    for (size_t i = 0; out && i < holds->count; i++) {
        const struct hold *hold = &holds->hold[i];

        fprintf(out, "%s %s %" PRId64 " %" PRId64 " %s\n", hold->destination, hold->service,
                hold->since, hold->until, hold->who);
    }
    if (!out || fclose(out) != 0)
        result = -ENOMEM;
    if (result == 0)
        result = file_replace(fd, HOLDS_FILE, HOLDS_FILE ".new", 0644, true, text, length);
    free(text);
    if (fd >= 0)
        close(fd);
    return result;
}

#include "supervisor/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAST ((size_t)4096)

/* Reads to the end of file, which may have moved since fstat(2). Fills at most `size` bytes. */
static ssize_t read_all(int descriptor, char *text, size_t size)
{
    size_t used = 0;
    ssize_t got = 1;

    while (got != 0 && used < size) {
        got = read(descriptor, text + used, size - used);
        if (got > 0)
            used += (size_t)got;
        else if (got < 0 && errno != EINTR)
            return -errno;
    }
    return (ssize_t)used;
}

int file_read(int descriptor, size_t most, char **text, size_t *length)
{
    struct stat status;
    ssize_t got;
    size_t size;

    if (fstat(descriptor, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    if (status.st_size > (off_t)most)
        return -EFBIG;
    /* A file that grows meanwhile is read too, as far as there is room; a full one is too large. */
    size = (size_t)status.st_size < LEAST ? LEAST : (size_t)status.st_size + 1;
    *text = malloc(size);
    if (!*text)
        return -ENOMEM;
    got = read_all(descriptor, *text, size);
    if (got == (ssize_t)size || got > (ssize_t)most)
        got = -EFBIG;
    if (got < 0) {
        free(*text);
        *text = NULL;
        return (int)got;
    }
    *length = (size_t)got;
    return 0;
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t wrote = write(fd, text, length);

        if (wrote < 0 && errno != EINTR)
            return -errno;
        if (wrote > 0) {
            text += wrote;
            length -= (size_t)wrote;
        }
    }
    return 0;
}

int file_replace(int directory, const char *name, const char *beside, mode_t mode, bool durable,
                 const char *text, size_t length)
{
    int fd;
    int result;

    if (unlinkat(directory, beside, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(directory, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    result = write_all(fd, text, length);
    /* The umask of the process is not what decides who may read it. */
    if (result == 0 && fchmod(fd, mode) < 0)
        result = -errno;
    if (result == 0 && durable && fsync(fd) < 0)
        result = -errno;
    if (close(fd) < 0 && result == 0)
        result = -errno;
    if (result == 0 && renameat(directory, beside, directory, name) < 0)
        result = -errno;
    if (result < 0)
        unlinkat(directory, beside, 0);
    else if (durable && fsync(directory) < 0)
        result = -errno;
    return result;
}

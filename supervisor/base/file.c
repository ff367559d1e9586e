#include "supervisor/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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

int replace_file(int directory, const char *name, const char *beside, mode_t mode, const char *text,
                 size_t length)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(directory, beside, flags, mode);
    int result;

    if (fd < 0)
        return -errno;
    result = write_all(fd, text, length);
    /* The umask of the process is not what decides who may read it. */
    if (result == 0 && fchmod(fd, mode) < 0)
        result = -errno;
    if (close(fd) < 0 && result == 0)
        result = -errno;
    if (result == 0 && renameat(directory, beside, directory, name) < 0)
        result = -errno;
    if (result < 0)
        unlinkat(directory, beside, 0);
    return result;
}

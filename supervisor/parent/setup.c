#include "supervisor/parent/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A predecessor ends within milliseconds; flock(2) has no way to wait for it and for master. */
#define LOCK_POLL_MS 20

int setup_lock(const char *service, int status, int milliseconds)
{
    char path[256];
    int fd;

    if ((size_t)snprintf(path, sizeof path, "pid/headroom.%s", service) >= sizeof path)
        return -ENAMETOOLONG;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_POLL_MS) {
        struct pollfd watch = {.fd = status, .events = POLLIN};
        int error = errno == EINTR ? EWOULDBLOCK : errno;

        if (error == EWOULDBLOCK && waited < milliseconds && poll(&watch, 1, LOCK_POLL_MS) == 0)
            continue;
        close(fd);
        return watch.revents ? -EPIPE : -error;
    }
    return fd;
}

int setup_state_directory(const char *data_directory, const char *service,
                          const struct passwd *owner)
{
    char name[256];
    struct stat found;
    int above = -1, fd = -1, result;

    if ((size_t)snprintf(name, sizeof name, "headroom.%s", service) >= sizeof name)
        return -ENAMETOOLONG;
    above = open(data_directory, O_DIRECTORY | O_CLOEXEC | O_RDONLY);
    if (above < 0)
        return -errno;
    result = mkdirat(above, name, 0700) < 0 ? -errno : 1;
    if (result < 0 && result != -EEXIST)
        goto out;
    fd = openat(above, name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_RDONLY);
    if (fd < 0 || fstat(fd, &found) < 0) {
        result = -errno;
        goto out;
    }
    /* Only what was made here is given away: a directory of root's may have been moved there. */
    if (result == 1 && fchown(fd, owner->pw_uid, owner->pw_gid) < 0) {
        result = -errno;
        goto out;
    }
    if (result != 1 && found.st_uid != owner->pw_uid) {
        result = -EPERM;
        goto out;
    }
    result = fchmod(fd, 0700) < 0 ? -errno : 0;
out:
    close(above);
    if (result == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return result;
}

int setup_copy_directory(const char *service)
{
    char path[256];
    int fd;

    if ((size_t)snprintf(path, sizeof path, "pid/headroom-copy.%s", service) >= sizeof path)
        return -ENAMETOOLONG;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_RDONLY);
    return fd < 0 ? -errno : fd;
}

int setup_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

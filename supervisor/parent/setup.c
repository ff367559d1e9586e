#include "supervisor/parent/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/parent/rights.h"

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

/* What is found must be the owner's; others get no rights to it. 0 or a negative errno. */
static int directory_check(int fd, const struct passwd *owner)
{
    struct stat found;

    if (fstat(fd, &found) < 0)
        return -errno;
    if (found.st_uid != owner->pw_uid)
        return -EPERM;
    if ((found.st_mode & 07777) == 0700)
        return 0;
    return fchmod(fd, 0700) < 0 ? -errno : 0;
}

/* With the rights of `owner`. */
static int directory_open(int at, const char *path, const struct passwd *owner)
{
    int fd, result;

    if (mkdirat(at, path, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(at, path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_RDONLY);
    if (fd < 0)
        return -errno;
    result = directory_check(fd, owner);
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

int setup_directory(int at, const char *path, const struct passwd *owner)
{
    int result = rights_borrow(owner);

    if (result < 0)
        return result;
    result = directory_open(at, path, owner);
    rights_return();
    return result;
}

int setup_state_directory(const char *data_directory, const char *service,
                          const struct passwd *owner)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof path, "%s/headroom.%s", data_directory, service) >=
        sizeof path)
        return -ENAMETOOLONG;
    return setup_directory(AT_FDCWD, path, owner);
}

const char *setup_cure(int error)
{
    switch (-error) {
    case ENOSPC:
    case EDQUOT:
        return "; make room there";
    case EROFS:
        return "; mount it writable (ReadWritePaths= of Postfix's unit)";
    case EPERM:
    case EACCES:
    case ENOTDIR:
        return "; remove what is there, and see that Postfix's mail_owner may write there";
    default:
        return "";
    }
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

int setup_word(const char *path, off_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);

    if (fd < 0)
        return -errno;
    /* Whatever umask(2) says. A summary that was public before may not be now. */
    if (fchmod(fd, 0644) == 0 && ftruncate(fd, size) == 0)
        return fd;
    close(fd);
    return -EPERM;
}

int setup_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

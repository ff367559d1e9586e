#include "agents/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agents/conversation.h"
#include "agents/master.h"

#define PREFIX "worker."
#define PREFIX_LEFT "left."

/* Only the dispatcher connects, and only to a worker without a request. */
#define BACKLOG 4

static struct sockaddr_un address_of(unsigned number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof address.sun_path, PREFIX "%u", number);
    return address;
}

int worker_listen(unsigned number)
{
    struct sockaddr_un address = address_of(number);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error, kept = 0;

    if (fd < 0)
        return -errno;
    if (unlink(address.sun_path) < 0)
        kept = -errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    /* An old name that cannot be taken away is not the cause, but why it cannot. */
    error = errno == EADDRINUSE && kept < 0 ? kept : -errno;
    close(fd);
    return error;
}

int worker_connect(unsigned number)
{
    struct sockaddr_un address = address_of(number);

    return conversation_connect(&address);
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

int worker_sweep(void (*left)(void *context, int fd), void *context)
{
    DIR *directory = opendir(".");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct dirent *entry;
    char kept[32], to[sizeof kept + sizeof entry->d_name];
    int fd;

    if (!directory)
        return -errno;
    snprintf(kept, sizeof kept, PREFIX_LEFT "%d.", (int)getpid());
    while ((entry = readdir(directory))) {
        const char *name = entry->d_name;

        /* One that was renamed just now may be read again. */
        if ((!has_prefix(name, PREFIX) && !has_prefix(name, PREFIX_LEFT)) ||
            (left && has_prefix(name, kept)))
            continue;
        snprintf(address.sun_path, sizeof address.sun_path, "%.100s", name);
        fd = left || has_prefix(name, PREFIX_LEFT) ? conversation_connect(&address) : -ENOENT;
        if (fd < 0) {
            unlink(name);
            continue;
        }
        if (!left) {
            close(fd);
            continue;
        }
        /* Its number is for a new worker, but a successor of ours must find it, too. */
        if (has_prefix(name, PREFIX)) {
            snprintf(to, sizeof to, "%s%s", kept, name + strlen(PREFIX));
            (void)rename(name, to);
        }
        left(context, fd);
    }
    closedir(directory);
    return 0;
}

_Noreturn void worker_execute(const char *path, char *const argv[], char *const environment[],
                              int listening, int status)
{
    /* The two may have been given each other's places: move them out of the way first. */
    int high_listening = fcntl(listening, F_DUPFD_CLOEXEC, MASTER_LISTEN_FD + 1);
    int high_status = fcntl(status, F_DUPFD_CLOEXEC, MASTER_LISTEN_FD + 1);

    if (high_listening >= 0 && high_status >= 0 && dup2(high_status, MASTER_STATUS_FD) >= 0 &&
        dup2(high_listening, MASTER_LISTEN_FD) >= 0) {
        umask(077);
        execve(path, argv, environment);
    }
    _exit(127);
}

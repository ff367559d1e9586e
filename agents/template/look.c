/*
 * May this process be forked? Judged by looking at it: threads, descriptors, shared memory. What is
 * not known to be safe is not.
 */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agents/master.h"
#include "agents/template/parts.h"

struct seen {
    unsigned pollers;
    char pipe[TEMPLATE_DETAIL_SIZE]; /* what both its ends are called */
};

static DIR *open_directory(int proc, const char *name)
{
    int fd = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !directory)
        close(fd);
    return directory;
}

static enum template_reason look_threads(int proc, char detail[TEMPLATE_DETAIL_SIZE])
{
    DIR *directory = open_directory(proc, "task");
    const struct dirent *entry;
    unsigned threads = 0;

    if (!directory)
        return TEMPLATE_NO_PROC;
    while ((entry = readdir(directory)))
        threads += entry->d_name[0] != '.';
    closedir(directory);
    snprintf(detail, TEMPLATE_DETAIL_SIZE, "%u threads", threads);
    return threads == 1 ? TEMPLATE_FINE : TEMPLATE_THREADS;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);

    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Where a socket leads to, "" where that is not a name. Returns its type, or -1. */
static int socket_peer(int fd, char name[sizeof((struct sockaddr_un *)0)->sun_path + 1])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address, type_length = sizeof(int);
    int type = -1;

    name[0] = '\0';
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) < 0)
        return -1;
    if (getpeername(fd, (struct sockaddr *)&address, &length) == 0 && address.ss_family == AF_UNIX)
        snprintf(name, sizeof((struct sockaddr_un *)0)->sun_path + 1, "%.*s",
                 (int)sizeof((struct sockaddr_un *)0)->sun_path,
                 ((const struct sockaddr_un *)&address)->sun_path);
    return type;
}

/* syslog(3) and postlogd(8): each line is one datagram. */
static bool is_log(int type, const char *peer)
{
    return type == SOCK_DGRAM && (ends_with(peer, "/dev/log") || ends_with(peer, "/dev-log") ||
                                  ends_with(peer, "public/postlog"));
}

/* Whether `link` is the same as that of a pipe's other end, or the first end of the only pipe. */
static bool is_own_pipe(struct template_places *places, int fd, const char *link, char *first)
{
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE, waiting = -1;
    int end = mode == O_RDONLY ? 0 : 1;

    if (strncmp(link, "pipe:", strlen("pipe:")) != 0 || mode == O_RDWR || places->pipe[end] >= 0 ||
        (first[0] != '\0' && strcmp(first, link) != 0) || ioctl(fd, FIONREAD, &waiting) < 0 ||
        waiting > 0)
        return false;
    snprintf(first, TEMPLATE_DETAIL_SIZE, "%s", link);
    places->pipe[end] = fd;
    return true;
}

static enum template_reason look_descriptor(struct template_places *places, int fd,
                                            struct seen *seen, char detail[TEMPLATE_DETAIL_SIZE])
{
    char peer[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    char name[32], link[TEMPLATE_DETAIL_SIZE - 32];
    ssize_t length;
    int type;

    if (fd <= MASTER_LISTEN_FD || fd == places->root || fd == places->proc)
        return TEMPLATE_FINE;
    snprintf(name, sizeof name, "fd/%d", fd);
    length = readlinkat(places->proc, name, link, sizeof link - 1);
    if (length < 0)
        return TEMPLATE_NO_PROC;
    link[length] = '\0';
    if (strcmp(link, "anon_inode:[eventpoll]") == 0 && ++seen->pollers == 1)
        return TEMPLATE_FINE;
    if (is_own_pipe(places, fd, link, seen->pipe) || template_table_take(places, fd))
        return TEMPLATE_FINE;
    snprintf(detail, TEMPLATE_DETAIL_SIZE, "descriptor %d is %s", fd, link);
    if (strncmp(link, "socket:", strlen("socket:")) != 0)
        return TEMPLATE_FILE;
    type = socket_peer(fd, peer);
    if (is_log(type, peer))
        return TEMPLATE_FINE;
    snprintf(detail, TEMPLATE_DETAIL_SIZE, "descriptor %d is a socket of %.90s", fd,
             peer[0] != '\0' ? peer : "unknown");
    return TEMPLATE_CONNECTION;
}

static enum template_reason look_descriptors(struct template_places *places,
                                             char detail[TEMPLATE_DETAIL_SIZE])
{
    DIR *directory = open_directory(places->proc, "fd");
    enum template_reason reason = TEMPLATE_FINE, worst = TEMPLATE_FINE;
    const struct dirent *entry;
    struct seen seen = {0};
    char one[TEMPLATE_DETAIL_SIZE];

    if (!directory)
        return TEMPLATE_NO_PROC;
    places->pipe[0] = places->pipe[1] = -1;
    places->tables = 0;
    while ((entry = readdir(directory))) {
        int fd = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : -1;

        if (fd < 0 || fd == dirfd(directory))
            continue;
        reason = look_descriptor(places, fd, &seen, one);
        /* A connection may go by itself; what cannot is to be told. */
        if (reason != TEMPLATE_FINE && (worst == TEMPLATE_FINE || worst == TEMPLATE_CONNECTION)) {
            worst = reason;
            memcpy(detail, one, sizeof one);
        }
    }
    closedir(directory);
    if (worst == TEMPLATE_FINE && (places->pipe[0] < 0) != (places->pipe[1] < 0)) {
        snprintf(detail, TEMPLATE_DETAIL_SIZE, "one end of a pipe");
        worst = TEMPLATE_FILE;
    }
    return worst;
}

static enum template_reason look_memory(int proc, char detail[TEMPLATE_DETAIL_SIZE])
{
    int fd = openat(proc, "maps", O_RDONLY | O_CLOEXEC);
    FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
    enum template_reason reason = TEMPLATE_FINE;
    char *line = NULL;
    size_t size = 0;
    char mode[5];

    if (!maps) {
        if (fd >= 0)
            close(fd);
        return TEMPLATE_NO_PROC;
    }
    while (reason == TEMPLATE_FINE && getline(&line, &size, maps) > 0) {
        const char *path = strchr(line, '/');

        if (sscanf(line, "%*s %4s", mode) != 1)
            reason = TEMPLATE_NO_PROC;
        else if (mode[1] == 'w' && mode[3] == 's')
            reason = TEMPLATE_MAPPED;
        if (reason == TEMPLATE_MAPPED)
            snprintf(detail, TEMPLATE_DETAIL_SIZE, "%.100s", path ? path : "memory without a name");
    }
    free(line);
    fclose(maps);
    detail[strcspn(detail, "\n")] = '\0';
    return reason;
}

enum template_reason template_look(struct template_places *places,
                                   char detail[TEMPLATE_DETAIL_SIZE])
{
    enum template_reason reason;

    detail[0] = '\0';
    if (places->root < 0 || places->proc < 0)
        return TEMPLATE_NO_PROC;
    reason = look_threads(places->proc, detail);
    if (reason == TEMPLATE_FINE)
        reason = look_descriptors(places, detail);
    if (reason == TEMPLATE_FINE)
        reason = look_memory(places->proc, detail);
    return reason;
}

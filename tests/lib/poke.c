/*
 * poke: talks to Postfix's private sockets as nobody should, and plays tricks with master(8).
 *
 *     poke talk SOCKET SECONDS [open]  connects to the stream socket, sends the standard input and then the end of file
 *                                      (with `open`: no end of file), and writes to the standard output what comes back,
 *                                      until the other end closes
 *     poke taken PID                   tells master(8), in the name of its child PID, that it is taken: what two writes
 *                                      in the place of one would do at the worst moment
 *
 * Status of talk: 0 when the other end closed the connection, 2 when it did not within SECONDS, 1 for errors. Needs root.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define STATUS_FD 5 /* postfix-protocol.md 1.2 */

static int complain(const char *what)
{
    fprintf(stderr, "poke: %s: %s\n", what, strerror(errno));
    return 1;
}

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* The path is relative to its directory, so that it may be longer than an address. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char directory[4096];
    int fd;

    if (slash) {
        if ((size_t)(slash - path) >= sizeof directory) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(directory, path, (size_t)(slash - path));
        directory[slash - path] = '\0';
        if (chdir(directory) < 0)
            return -1;
    }
    if (strlen(name) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, name, strlen(name) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* What has been read from the standard input and not been sent yet. */
struct outgoing {
    char bytes[65536];
    size_t at, length;
    bool ended;
};

/* Sends what there is; at the end of the input, says so. Returns false when nothing more can be sent. */
static bool send_some(int fd, struct outgoing *out, bool keep_open)
{
    ssize_t sent;

    if (out->at == out->length) {
        ssize_t got = read(STDIN_FILENO, out->bytes, sizeof out->bytes);

        if (got <= 0) {
            if (!keep_open)
                shutdown(fd, SHUT_WR);
            return false;
        }
        out->at = 0;
        out->length = (size_t)got;
    }
    sent = send(fd, out->bytes + out->at, out->length - out->at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    out->at += (size_t)sent;
    return true;
}

static int talk(const char *path, double seconds, bool keep_open)
{
    static struct outgoing out;
    const long long until = now_ms() + (long long)(seconds * 1000);
    bool sending = true;
    long long left;
    int fd = connect_to(path);

    if (fd < 0)
        return complain(path);
    while ((left = until - now_ms()) > 0) {
        struct pollfd watch = {.fd = fd, .events = (short)(sending ? POLLIN | POLLOUT : POLLIN)};
        char bytes[4096];

        if (poll(&watch, 1, (int)left) <= 0)
            continue;
        /* Read first: a peer that answers and closes in the middle of our sending must be heard. */
        if (watch.revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

            if (got == 0 || (got < 0 && errno == ECONNRESET))
                return 0;
            if (got > 0 && write(STDOUT_FILENO, bytes, (size_t)got) != got)
                return complain("standard output");
        }
        if (sending && (watch.revents & POLLOUT))
            sending = send_some(fd, &out, keep_open);
    }
    return 2;
}

/* GENERATION of the process: octal, from its environment. */
static int generation_of(pid_t pid, unsigned *generation)
{
    static char bytes[65536];
    char path[64];
    size_t length;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return -1;
    length = fread(bytes, 1, sizeof bytes - 1, file);
    fclose(file);
    bytes[length] = '\0';
    for (const char *at = bytes; at < bytes + length; at += strlen(at) + 1)
        if (strncmp(at, "GENERATION=", 11) == 0) {
            *generation = (unsigned)strtoul(at + 11, NULL, 8);
            return 0;
        }
    errno = ENOENT;
    return -1;
}

static int taken(pid_t pid)
{
    struct {
        int pid;
        unsigned generation;
        int available;
    } message = {.pid = pid};
    int process, fd;

    if (generation_of(pid, &message.generation) < 0)
        return complain("GENERATION");
    process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0)
        return complain("pidfd_open");
    fd = (int)syscall(SYS_pidfd_getfd, process, STATUS_FD, 0);
    if (fd < 0)
        return complain("pidfd_getfd");
    if (send(fd, &message, sizeof message, MSG_NOSIGNAL) != (ssize_t)sizeof message)
        return complain("the status channel");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "talk") == 0)
        return talk(argv[2], strtod(argv[3], NULL), argc > 4 && strcmp(argv[4], "open") == 0);
    if (argc == 3 && strcmp(argv[1], "taken") == 0)
        return taken((pid_t)strtol(argv[2], NULL, 10));
    fputs("usage: poke talk SOCKET SECONDS [open] | poke taken PID\n", stderr);
    return 1;
}

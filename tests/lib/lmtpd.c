/*
 * lmtpd: an LMTP server (RFC 2033) that misbehaves on request. One process, good for as many connections as there are
 * descriptors.
 *
 *     lmtpd --listen ADDRESS:PORT|PATH [--control PATH] [--log FILE] [--stats FILE] [COMMAND...]
 *     lmtpd --tell PATH COMMAND...
 *
 * A client that says EHLO gets the same answers, and so those of SMTP to a message with one recipient.
 *
 * How a recipient is treated is said by its local part or its domain: behaviour.h. Commands, each one argument at start
 * or the words of one --tell, which prints the answer (status 1 when it begins with "error"):
 *
 *     set NAME AS [SECONDS]  treat recipients of this name as those of another; "set dead ok", "set ok dead 5"
 *     heal                   everybody is well, also greeting and listening, and those who wait are answered
 *     release                those who wait for an answer or a greeting get it now
 *     in-turn on|off         on: recipients of a message that are held are so one after the other, not at the same time
 *     greet-delay SECONDS    before the greeting of every new connection
 *     greet-close on|off     close new connections instead of greeting them
 *     refuse PERCENT         greet so many of the new connections with 421, at random
 *     extensions on|off      on: DSN and AUTH PLAIN are offered, and every password is right
 *     recipients COUNT       of a transaction, 452 for more; 0: no bound
 *     queue COUNT            deliver one message after the other, each in its time; 421 to the end of one for which more than
 *                            COUNT would have to wait; 0: all at a time
 *     replies COUNT          to a message, then the connection is closed; 0: all
 *     listen on|off          off: connections are refused by the kernel
 *     stats                  figures, one a line: NAME VALUE
 *     quit
 *
 * The log gets one line, with one write, for every recipient whose message was accepted, before the client is told:
 *
 *     TIME delivered MESSAGE-ID RECIPIENT SECONDS
 *
 * TIME in seconds with microseconds, SECONDS since the message's X-Sent-At, or -. When the message is a delivery status
 * report (it has no sender), there is also, for every recipient that it gives up, a line
 *
 *     TIME bounced ORIGINAL-MESSAGE-ID RECIPIENT -
 *
 * On SIGUSR1 and at exit (quit, SIGTERM, SIGINT) the figures are written to the file of --stats.
 *
 * Bounds: a line of 4095 bytes (longer ones of a message are taken in pieces, longer commands end the connection), 200
 * recipients a message, 64 KiB of answers that the client does not read.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tests/lib/lmtpd/server.h"

#define HEAP_MAX (1U << 20) /* connections, where descriptors are not limited */

static int server_open(struct server *server, const char *log_path)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct endpoint control;
    struct rlimit limit;
    sigset_t set;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    server->heap_size = limit.rlim_cur < HEAP_MAX ? limit.rlim_cur : HEAP_MAX;
    server->heap = calloc(server->heap_size, sizeof(struct connection *));
    if (server->heap == NULL)
        return -ENOMEM;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0)
        return -errno;
    if (log_path != NULL &&
        (server->log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0)
        return -errno;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    server->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    event.data.ptr = &server->signals;
    if (server->signals < 0 || epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->signals, &event) < 0)
        return -errno;
    if (server->control_path != NULL) {
        if (strchr(server->control_path, '/') == NULL ||
            endpoint_parse(server->control_path, &control) < 0)
            return -EINVAL;
        unlink(server->control_path);
        server->control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        event.data.ptr = &server->control;
        if (server->control < 0 ||
            bind(server->control, &control.address.any, control.length) < 0 ||
            epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->control, &event) < 0)
            return -errno;
    }
    return 0;
}

static void server_run(struct server *server)
{
    struct epoll_event events[EVENTS_MAX];
    struct signalfd_siginfo signal;
    struct connection *connection;
    uint64_t now;
    int count;

    while (!server->quit) {
        count = epoll_wait(server->epoll, events, EVENTS_MAX, waiting_timeout(server));
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &server->listener) {
                listener_accept(server);
            } else if (events[i].data.ptr == &server->control) {
                control_serve(server);
            } else if (events[i].data.ptr == &server->signals) {
                if (read(server->signals, &signal, sizeof(signal)) != sizeof(signal))
                    continue;
                control_write_figures(server);
                server->quit |= signal.ssi_signo != SIGUSR1;
            } else {
                connection_event(server, events[i].data.ptr, events[i].events);
            }
        }
        now = clock_us(CLOCK_MONOTONIC);
        while ((connection = waiting_due(server, now)) != NULL)
            connection_due(server, connection, now);
    }
    control_write_figures(server);
    listener_stop(server);
    if (server->control_path != NULL)
        unlink(server->control_path);
}

static int usage(void)
{
    fprintf(stderr, "usage: lmtpd --listen ADDRESS:PORT|PATH [--control PATH] [--log FILE] "
                    "[--stats FILE] [COMMAND...]\n"
                    "       lmtpd --tell PATH COMMAND...\n");
    return 2;
}

int main(int argc, char **argv)
{
    /* Static for its size alone. */
    static struct server server = {
        .listener = -1, .control = -1, .log = -1, .random = 88172645463325252U};
    const char *log_path = NULL;
    char reply[CONTROL_MAX];
    int result;
    int i;

    if (argc > 3 && strcmp(argv[1], "--tell") == 0)
        return control_tell(argv[2], argv + 3, argc - 3);
    for (i = 1; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (strcmp(argv[i], "--listen") == 0)
            server.listen_text = argv[i + 1];
        else if (strcmp(argv[i], "--control") == 0)
            server.control_path = argv[i + 1];
        else if (strcmp(argv[i], "--log") == 0)
            log_path = argv[i + 1];
        else if (strcmp(argv[i], "--stats") == 0)
            server.stats_path = argv[i + 1];
        else
            return usage();
    }
    if (server.listen_text == NULL || endpoint_parse(server.listen_text, &server.listen_at) < 0)
        return usage();
    behaviour_defaults(server.behaviours);
    result = server_open(&server, log_path);
    for (; result == 0 && i < argc; i++) {
        control_obey(&server, argv[i], reply, sizeof(reply));
        if (strncmp(reply, "error", 5) == 0)
            return usage();
    }
    if (result == 0)
        result = listener_start(&server);
    if (result < 0) {
        fprintf(stderr, "lmtpd: %s: %s\n", server.listen_text, strerror(-result));
        return 1;
    }
    server_run(&server);
    return 0;
}

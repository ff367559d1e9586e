/* Where the LMTP server listens, and new connections. See server.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/lmtpd/server.h"

#define BACKLOG 4096

void listener_pause(struct server *server, bool pause)
{
    struct epoll_event event = {.events = pause ? 0 : EPOLLIN, .data.ptr = &server->listener};

    if (server->listener >= 0)
        epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listener, &event);
    server->listener_paused = pause;
}

int listener_start(struct server *server)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server->listener};
    const int on = 1;
    int result;

    if (server->listener >= 0)
        return 0;
    server->listener = socket(server->listen_at.address.any.sa_family,
                              SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listener < 0)
        return -errno;
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (server->listen_at.address.any.sa_family == AF_UNIX)
        unlink(server->listen_at.address.local.sun_path);
    if (bind(server->listener, &server->listen_at.address.any, server->listen_at.length) < 0 ||
        listen(server->listener, BACKLOG) < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &event) < 0) {
        result = -errno;
        close(server->listener);
        server->listener = -1;
        return result;
    }
    if (server->listen_at.address.any.sa_family == AF_UNIX)
        chmod(server->listen_at.address.local.sun_path, 0666); /* the agents are not root */
    return 0;
}

void listener_stop(struct server *server)
{
    if (server->listener < 0)
        return;
    close(server->listener);
    server->listener = -1;
    server->listener_paused = false;
    if (server->listen_at.address.any.sa_family == AF_UNIX)
        unlink(server->listen_at.address.local.sun_path);
}

void listener_accept(struct server *server)
{
    struct epoll_event event = {.events = EPOLLRDHUP};
    struct connection *connection;
    int fd;

    for (int i = 0; i < EVENTS_MAX; i++) {
        fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                listener_pause(server, true);
            return;
        }
        connection = server->open < server->heap_size ? malloc(sizeof(*connection)) : NULL;
        if (connection == NULL) {
            close(fd);
            return;
        }
        memset(connection, 0, offsetof(struct connection, input));
        connection->fd = fd;
        connection->held_row = -1;
        connection->due = NEVER;
        connection->heap_index = SIZE_MAX;
        connection->interest = event.events;
        event.data.ptr = connection;
        server->connections++;
        if (++server->open > server->open_max)
            server->open_max = server->open;
        if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
            connection_free(server, connection, false);
            return;
        }
        if (server->greet_delay > 0)
            waiting_until(server, connection, clock_us(CLOCK_MONOTONIC) + server->greet_delay, -1);
        else
            connection_due(server, connection, 0);
    }
}

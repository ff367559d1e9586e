/* One connection of the LMTP server: its greeting, what it reads and writes, its end. See server.h. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/lib/lmtpd/server.h"

#define DRAIN_TIME 5000000U /* us that a client has to hang up after the last answer */

void connection_free(struct server *server, struct connection *connection, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    waiting_until(server, connection, NEVER, -1);
    if (reset)
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(connection->fd);
    dialogue_forget(connection);
    free(connection->output);
    free(connection);
    server->open--;
    if (server->listener_paused)
        listener_pause(server, false);
}

void server_answer(struct server *server, const char *format, ...)
{
    size_t room = sizeof(server->out) - server->out_length;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(server->out + server->out_length, room, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < room)
        server->out_length += (size_t)length;
}

/* Sends what was answered; false when the connection is of no use any more. */
static bool connection_flush(struct server *server, struct connection *connection)
{
    ssize_t sent;
    char *grown;

    if (server->out_length > 0 && connection->output_length == 0) {
        sent = send(connection->fd, server->out, server->out_length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent > 0) {
            server->out_length -= (size_t)sent;
            memmove(server->out, server->out + sent, server->out_length);
        }
    }
    if (server->out_length > 0) {
        if (connection->output_length + server->out_length > OUTPUT_MAX)
            return false;
        grown = realloc(connection->output, connection->output_length + server->out_length);
        if (grown == NULL)
            return false;
        connection->output = grown;
        memcpy(grown + connection->output_length, server->out, server->out_length);
        connection->output_length += server->out_length;
        server->out_length = 0;
    }
    if (connection->output_length > 0) {
        sent = send(connection->fd, connection->output, connection->output_length,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent > 0) {
            connection->output_length -= (size_t)sent;
            memmove(connection->output, connection->output + sent, connection->output_length);
        }
    }
    return true;
}

/* Tells the client what was found, asks epoll for what is needed next. Frees the connection when it is over. */
static void settle(struct server *server, struct connection *connection, bool alive)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = connection};

    if (!alive || !connection_flush(server, connection)) {
        server->out_length = 0;
        connection_free(server, connection, !alive);
        return;
    }
    /* Closing with input unread would be a reset, which may take the last answer from the client. */
    if (connection->closing && connection->output_length == 0 && connection->stage != STAGE_DRAIN) {
        shutdown(connection->fd, SHUT_WR);
        connection->stage = STAGE_DRAIN;
        waiting_until(server, connection, clock_us(CLOCK_MONOTONIC) + DRAIN_TIME, -1);
    }
    /* A client that hangs up while it waits is noticed; its pipelined input stays in the kernel. */
    if (connection->stage == STAGE_DRAIN ||
        ((connection->stage == STAGE_COMMAND || connection->stage == STAGE_DATA) &&
         !connection->closing))
        event.events |= EPOLLIN;
    if (connection->output_length > 0)
        event.events |= EPOLLOUT;
    if (event.events != connection->interest)
        epoll_ctl(server->epoll, EPOLL_CTL_MOD, connection->fd, &event);
    connection->interest = event.events;
}

static void greet(struct server *server, struct connection *connection)
{
    waiting_until(server, connection, NEVER, -1);
    if (server->greet_close) {
        connection->closing = true;
        return;
    }
    server->random ^= server->random << 13; /* xorshift64 */
    server->random ^= server->random >> 7;
    server->random ^= server->random << 17;
    if (server->random % 100 < server->refuse_percent) {
        server->refused++;
        server_answer(server, "421 4.3.2 too busy\r\n");
        connection->closing = true;
    } else {
        server_answer(server, "220 lmtpd LMTP\r\n");
        connection->stage = STAGE_COMMAND;
    }
}

/* The answer that a connection has been waiting for. */
void connection_due(struct server *server, struct connection *connection, uint64_t now)
{
    bool alive = true;

    switch (connection->stage) {
    case STAGE_GREETING:
        greet(server, connection);
        break;
    case STAGE_DRAIN:
        connection_free(server, connection, false);
        return;
    case STAGE_RECIPIENT_HELD:
        waiting_until(server, connection, NEVER, -1);
        connection->stage = STAGE_COMMAND;
        server_answer(server, "451 4.2.1 try again later\r\n");
        break;
    default:
        alive = dialogue_answer_message(server, connection, now);
    }
    settle(server, connection, alive && dialogue_lines(server, connection));
}

void connection_event(struct server *server, struct connection *connection, uint32_t events)
{
    ssize_t length;
    bool alive = true;

    if ((events & EPOLLIN) != 0) {
        length = recv(connection->fd, connection->input + connection->input_length,
                      INPUT_MAX - connection->input_length, MSG_DONTWAIT);
        if (length == 0 || (length < 0 && errno != EAGAIN)) {
            connection_free(server, connection, false);
            return;
        }
        if (length > 0)
            connection->input_length += (size_t)length;
        if (connection->stage == STAGE_DRAIN)
            connection->input_length = 0;
        alive = dialogue_lines(server, connection);
    } else if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        server->abandoned++;
        connection_free(server, connection, false);
        return;
    }
    settle(server, connection, alive);
}

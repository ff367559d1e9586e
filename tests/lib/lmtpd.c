/*
 * lmtpd: an LMTP server (RFC 2033) that misbehaves on request. One process, good for as many connections as there are
 * descriptors.
 *
 *     lmtpd --listen ADDRESS:PORT|PATH [--control PATH] [--log FILE] [--stats FILE] [COMMAND...]
 *     lmtpd --tell PATH COMMAND...
 *
 * How a recipient is treated is said by its local part or its domain: behaviour.h. Commands, each one argument at start
 * or the words of one --tell, which prints the answer (status 1 when it begins with "error"):
 *
 *     set NAME AS [SECONDS]  treat recipients of this name as those of another; "set dead ok", "set ok dead 5"
 *     heal                   everybody is well, also greeting and listening, and those who wait are answered
 *     release                those who wait for an answer or a greeting get it now
 *     greet-delay SECONDS    before the greeting of every new connection
 *     greet-close on|off     close new connections instead of greeting them
 *     refuse PERCENT         greet so many of the new connections with 421, at random
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

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/behaviour.h"
#include "tests/lib/endpoint.h"
#include "tests/lib/message_scan.h"

#define INPUT_MAX 4096
#define RECIPIENTS_MAX 200
#define OUTPUT_MAX 65536
#define CONTROL_MAX 8192
#define EVENTS_MAX 256
#define BACKLOG 4096
#define HEAP_MAX (1U << 20) /* connections, where descriptors are not limited */
#define NEVER UINT64_MAX
#define DRAIN_TIME 5000000U /* us that a client has to hang up after the last answer */
#define TELL_TIMEOUT 5      /* s */

enum stage {
    STAGE_GREETING,
    STAGE_COMMAND,
    STAGE_RECIPIENT_HELD,
    STAGE_DATA,
    STAGE_ANSWERS,
    STAGE_DRAIN
};

struct recipient {
    char *address;
    int row; /* of the behaviour table, when RCPT was answered */
};

struct connection {
    int fd;
    enum stage stage;
    bool closing; /* after what is in `output` */
    bool report;  /* MAIL FROM:<> */
    bool in_mail;
    bool released;     /* answer without further waiting */
    uint32_t interest; /* what epoll was told */
    int held_row;      /* behaviour that it is counted as waiting for, or -1 */
    uint64_t due;      /* when the next answer is given, us; NEVER when none is waited for */
    size_t heap_index; /* place in the heap of the due ones, SIZE_MAX when not there */
    uint64_t data_end; /* when the whole message was there */
    unsigned answered; /* recipients that have been answered after the message */
    unsigned recipients_count;
    struct recipient *recipients;
    struct message_scan *scan;
    size_t output_length;
    char *output; /* what the client has not read yet */
    size_t input_length;
    char input[INPUT_MAX];
};

struct figures {
    uint64_t recipients; /* RCPT commands */
    uint64_t holding, holding_max;
};

struct server {
    int epoll, listener, control, log, signals;
    const char *listen_text, *control_path, *stats_path;
    struct endpoint listen_at;
    struct behaviour behaviours[BEHAVIOUR_COUNT];
    struct figures figures[BEHAVIOUR_COUNT];
    uint64_t connections, open, open_max, refused, abandoned, delivered, bounced, messages;
    uint64_t greet_delay;
    bool greet_close, quit, listener_paused;
    unsigned refuse_percent;
    uint64_t random;
    struct connection **heap; /* binary, the earliest first */
    size_t heap_count, heap_size;
    char out[OUTPUT_MAX]; /* answers collected while one connection is served */
    size_t out_length;
};

static uint64_t clock_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

/* --- the heap of those who wait --- */

static void heap_put(struct server *server, size_t at, struct connection *connection)
{
    server->heap[at] = connection;
    connection->heap_index = at;
}

static void heap_settle(struct server *server, size_t at)
{
    struct connection *moving = server->heap[at];
    size_t child;

    while (at > 0 && server->heap[(at - 1) / 2]->due > moving->due) {
        heap_put(server, at, server->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    while ((child = 2 * at + 1) < server->heap_count) {
        if (child + 1 < server->heap_count &&
            server->heap[child + 1]->due < server->heap[child]->due)
            child++;
        if (server->heap[child]->due >= moving->due)
            break;
        heap_put(server, at, server->heap[child]);
        at = child;
    }
    heap_put(server, at, moving);
}

static void heap_remove(struct server *server, struct connection *connection)
{
    size_t at = connection->heap_index;

    if (at == SIZE_MAX)
        return;
    connection->heap_index = SIZE_MAX;
    server->heap_count--;
    if (at < server->heap_count) {
        heap_put(server, at, server->heap[server->heap_count]);
        heap_settle(server, at);
    }
}

/*
 * Waits for its answer (row: for whose sake) or, with NEVER and -1, not any more. Those who wait for ever are in the heap
 * too, where `heal` finds them. The heap always has room for every open connection.
 */
static void wait_until(struct server *server, struct connection *connection, uint64_t due, int row)
{
    heap_remove(server, connection);
    connection->due = due;
    if (due != NEVER || row >= 0) {
        heap_put(server, server->heap_count++, connection);
        heap_settle(server, connection->heap_index);
    }
    if (connection->held_row == row)
        return;
    if (connection->held_row >= 0)
        server->figures[connection->held_row].holding--;
    connection->held_row = row;
    if (row >= 0 && ++server->figures[row].holding > server->figures[row].holding_max)
        server->figures[row].holding_max = server->figures[row].holding;
}

/* --- connections --- */

static void forget_transaction(struct connection *connection)
{
    for (unsigned i = 0; i < connection->recipients_count; i++)
        free(connection->recipients[i].address);
    free(connection->recipients);
    free(connection->scan);
    connection->recipients = NULL;
    connection->scan = NULL;
    connection->recipients_count = 0;
    connection->answered = 0;
    connection->in_mail = false;
    connection->released = false;
}

static void listener_pause(struct server *server, bool pause)
{
    struct epoll_event event = {.events = pause ? 0 : EPOLLIN, .data.ptr = &server->listener};

    if (server->listener >= 0)
        epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listener, &event);
    server->listener_paused = pause;
}

static void connection_free(struct server *server, struct connection *connection, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    wait_until(server, connection, NEVER, -1);
    if (reset)
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(connection->fd);
    forget_transaction(connection);
    free(connection->output);
    free(connection);
    server->open--;
    if (server->listener_paused)
        listener_pause(server, false);
}

__attribute__((format(printf, 2, 3))) static void answer(struct server *server, const char *format,
                                                         ...)
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

/* One line of the log for each recipient, and for each that a report gives up; one write. */
static void record_delivery(struct server *server, struct connection *connection,
                            const char *recipient, bool last)
{
    const struct message_scan *scan = connection->scan;
    uint64_t now = clock_us(CLOCK_REALTIME);
    static char text[(MESSAGE_FAILED_MAX + 1) * (MESSAGE_ADDRESS_MAX + MESSAGE_ID_MAX + 64)];
    char seconds[32] = "-";
    size_t length;

    if (scan->sent_at >= 0)
        snprintf(seconds, sizeof(seconds), "%.6f", (double)now / 1e6 - scan->sent_at);
    length =
        (size_t)snprintf(text, sizeof(text), "%llu.%06llu delivered %s %s %s\n",
                         (unsigned long long)(now / 1000000U), (unsigned long long)(now % 1000000U),
                         scan->id[0] != '\0' ? scan->id : "-", recipient, seconds);
    server->delivered++;
    for (unsigned i = 0; connection->report && last && i < scan->failed_count; i++) {
        length += (size_t)snprintf(
            text + length, sizeof(text) - length, "%llu.%06llu bounced %s %s -\n",
            (unsigned long long)(now / 1000000U), (unsigned long long)(now % 1000000U),
            scan->original_id[0] != '\0' ? scan->original_id : "-", scan->failed[i]);
        server->bounced++;
    }
    if (server->log >= 0 && write(server->log, text, length) != (ssize_t)length)
        perror("lmtpd: log");
}

/* Answers the message for as many recipients as are due; false when the connection has to be reset. */
static bool answer_message(struct server *server, struct connection *connection, uint64_t now)
{
    const struct behaviour *behaviour;
    const struct recipient *recipient;

    for (; connection->answered < connection->recipients_count; connection->answered++) {
        recipient = &connection->recipients[connection->answered];
        behaviour = &server->behaviours[recipient->row];
        if (behaviour->action == BEHAVIOUR_SILENT) {
            wait_until(server, connection, NEVER, recipient->row);
            return true;
        }
        if (connection->data_end + behaviour->hold > now && !connection->released) {
            wait_until(server, connection, connection->data_end + behaviour->hold, recipient->row);
            return true;
        }
        switch (behaviour->action) {
        case BEHAVIOUR_RESET:
            return false;
        case BEHAVIOUR_DEFER_MESSAGE:
            answer(server, "451 4.4.1 <%s> the next server does not answer\r\n",
                   recipient->address);
            break;
        default:
            record_delivery(server, connection, recipient->address,
                            connection->answered + 1 == connection->recipients_count);
            answer(server, "250 2.0.0 <%s> Ok\r\n", recipient->address);
        }
    }
    wait_until(server, connection, NEVER, -1);
    forget_transaction(connection);
    connection->stage = STAGE_COMMAND;
    return true;
}

/* --- commands of the client --- */

/* The address between the angle brackets of MAIL and RCPT; false when there is none. */
static bool parse_path(const char *line, char *address, size_t size)
{
    const char *start = strchr(line, '<');
    const char *end = start == NULL ? NULL : strchr(start, '>');
    size_t length;

    if (end == NULL || (length = (size_t)(end - start) - 1) >= size)
        return false;
    memcpy(address, start + 1, length);
    address[length] = '\0';
    for (const char *c = address; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false; /* it would spoil the log */
    return true;
}

static int add_recipient(struct connection *connection, const char *address, int row)
{
    struct recipient *recipient;

    if (connection->recipients == NULL) {
        connection->recipients = calloc(RECIPIENTS_MAX, sizeof(*connection->recipients));
        if (connection->recipients == NULL)
            return -ENOMEM;
    }
    if (connection->recipients_count == RECIPIENTS_MAX)
        return -ENOSPC;
    recipient = &connection->recipients[connection->recipients_count];
    recipient->address = strdup(address);
    if (recipient->address == NULL)
        return -ENOMEM;
    recipient->row = row;
    connection->recipients_count++;
    return 0;
}

static void command_recipient(struct server *server, struct connection *connection,
                              const char *line)
{
    char address[MESSAGE_ADDRESS_MAX];
    enum behaviour_action action;
    const char *at;
    int row;

    if (!connection->in_mail || !parse_path(line, address, sizeof(address)) || address[0] == '\0') {
        answer(server, "501 5.5.4 RCPT TO:<address> after MAIL\r\n");
        return;
    }
    row = behaviour_of(server->behaviours, address);
    server->figures[row].recipients++;
    action = server->behaviours[row].action;
    if (action == BEHAVIOUR_BURST) {
        at = strrchr(address, '@');
        action = behaviour_in_burst(at == NULL ? "" : at + 1, clock_us(CLOCK_MONOTONIC))
                     ? BEHAVIOUR_BUSY
                     : BEHAVIOUR_ACCEPT;
    }
    switch (action) {
    case BEHAVIOUR_REJECT_RECIPIENT:
        answer(server, "550 5.1.1 <%s> unknown\r\n", address);
        return;
    case BEHAVIOUR_BUSY:
        answer(server, "421 4.3.2 too busy\r\n");
        connection->closing = true;
        return;
    case BEHAVIOUR_DEFER_RECIPIENT:
        if (server->behaviours[row].hold > 0) {
            connection->stage = STAGE_RECIPIENT_HELD;
            wait_until(server, connection, clock_us(CLOCK_MONOTONIC) + server->behaviours[row].hold,
                       row);
        } else {
            answer(server, "451 4.2.1 <%s> try again later\r\n", address);
        }
        return;
    default:
        if (add_recipient(connection, address, row) < 0)
            answer(server, "452 4.5.3 too many recipients\r\n");
        else
            answer(server, "250 2.1.5 Ok\r\n");
    }
}

static void command_data(struct server *server, struct connection *connection)
{
    if (connection->recipients_count == 0) {
        answer(server, "503 5.5.1 no recipients\r\n");
        return;
    }
    connection->scan = malloc(sizeof(*connection->scan));
    if (connection->scan == NULL) {
        answer(server, "452 4.3.1 out of memory\r\n");
        return;
    }
    message_scan_begin(connection->scan);
    connection->stage = STAGE_DATA;
    answer(server, "354 End with .\r\n");
}

static void command(struct server *server, struct connection *connection, const char *line)
{
    char address[MESSAGE_ADDRESS_MAX];

    if (strncasecmp(line, "LHLO ", 5) == 0) {
        answer(server, "250-lmtpd\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-SIZE\r\n250 "
                       "8BITMIME\r\n");
    } else if (strncasecmp(line, "MAIL FROM:", 10) == 0) {
        if (connection->in_mail || !parse_path(line, address, sizeof(address))) {
            answer(server, "503 5.5.1 MAIL FROM:<address>, once\r\n");
            return;
        }
        connection->in_mail = true;
        connection->report = address[0] == '\0';
        answer(server, "250 2.1.0 Ok\r\n");
    } else if (strncasecmp(line, "RCPT TO:", 8) == 0) {
        command_recipient(server, connection, line);
    } else if (strcasecmp(line, "DATA") == 0) {
        command_data(server, connection);
    } else if (strcasecmp(line, "RSET") == 0) {
        forget_transaction(connection);
        answer(server, "250 2.0.0 Ok\r\n");
    } else if (strcasecmp(line, "NOOP") == 0) {
        answer(server, "250 2.0.0 Ok\r\n");
    } else if (strcasecmp(line, "QUIT") == 0) {
        answer(server, "221 2.0.0 Bye\r\n");
        connection->closing = true;
    } else {
        answer(server, "500 5.5.2 unknown command\r\n");
    }
}

/* Works off whole lines until there is none, or an answer has to wait; false when the connection has to be reset. */
static bool serve_lines(struct server *server, struct connection *connection)
{
    size_t used = 0;
    size_t length;
    char *line;
    char *end;
    bool alive = true;

    while (alive && !connection->closing &&
           (connection->stage == STAGE_COMMAND || connection->stage == STAGE_DATA)) {
        line = connection->input + used;
        end = memchr(line, '\n', connection->input_length - used);
        if (end == NULL) {
            if (used > 0 || connection->input_length < INPUT_MAX)
                break;
            if (connection->stage == STAGE_COMMAND)
                return false;
            used = connection
                       ->input_length; /* the piece of a very long line; it has nothing to tell */
            break;
        }
        length = (size_t)(end - line);
        used += length + 1;
        if (length > 0 && line[length - 1] == '\r')
            length--;
        line[length] = '\0';
        if (connection->stage == STAGE_COMMAND) {
            command(server, connection, line);
        } else if (length == 1 && line[0] == '.') {
            server->messages++;
            connection->stage = STAGE_ANSWERS;
            connection->data_end = clock_us(CLOCK_MONOTONIC);
            alive = answer_message(server, connection, connection->data_end);
        } else {
            message_scan_line(connection->scan, line[0] == '.' ? line + 1 : line,
                              line[0] == '.' ? length - 1 : length);
        }
    }
    connection->input_length -= used;
    memmove(connection->input, connection->input + used, connection->input_length);
    return alive;
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
        wait_until(server, connection, clock_us(CLOCK_MONOTONIC) + DRAIN_TIME, -1);
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
    wait_until(server, connection, NEVER, -1);
    if (server->greet_close) {
        connection->closing = true;
        return;
    }
    server->random ^= server->random << 13; /* xorshift64 */
    server->random ^= server->random >> 7;
    server->random ^= server->random << 17;
    if (server->random % 100 < server->refuse_percent) {
        server->refused++;
        answer(server, "421 4.3.2 too busy\r\n");
        connection->closing = true;
    } else {
        answer(server, "220 lmtpd LMTP\r\n");
        connection->stage = STAGE_COMMAND;
    }
}

/* The answer that a connection has been waiting for. */
static void serve_due(struct server *server, struct connection *connection, uint64_t now)
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
        wait_until(server, connection, NEVER, -1);
        connection->stage = STAGE_COMMAND;
        answer(server, "451 4.2.1 try again later\r\n");
        break;
    default:
        alive = answer_message(server, connection, now);
    }
    settle(server, connection, alive && serve_lines(server, connection));
}

static void serve_event(struct server *server, struct connection *connection, uint32_t events)
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
        alive = serve_lines(server, connection);
    } else if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        server->abandoned++;
        connection_free(server, connection, false);
        return;
    }
    settle(server, connection, alive);
}

static void accept_connections(struct server *server)
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
            wait_until(server, connection, clock_us(CLOCK_MONOTONIC) + server->greet_delay, -1);
        else
            serve_due(server, connection, 0);
    }
}

/* --- control --- */

static int listen_start(struct server *server)
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

static void listen_stop(struct server *server)
{
    if (server->listener < 0)
        return;
    close(server->listener);
    server->listener = -1;
    server->listener_paused = false;
    if (server->listen_at.address.any.sa_family == AF_UNIX)
        unlink(server->listen_at.address.local.sun_path);
}

/* Everybody who waits is due now; all being equal, the heap is still one. The answers are given by the main loop. */
static void release(struct server *server)
{
    for (size_t i = 0; i < server->heap_count; i++) {
        server->heap[i]->due = 0;
        server->heap[i]->released = true;
    }
}

static size_t print_figures(const struct server *server, char *text, size_t size)
{
    const struct figures *figures;
    size_t length;

    length = (size_t)snprintf(
        text, size,
        "connections %llu\nopen %llu\nopen.max %llu\nrefused %llu\nabandoned %llu\n"
        "messages %llu\ndelivered %llu\nbounced %llu\n",
        (unsigned long long)server->connections, (unsigned long long)server->open,
        (unsigned long long)server->open_max, (unsigned long long)server->refused,
        (unsigned long long)server->abandoned, (unsigned long long)server->messages,
        (unsigned long long)server->delivered, (unsigned long long)server->bounced);
    for (int i = 0; i < BEHAVIOUR_COUNT; i++) {
        figures = &server->figures[i];
        length +=
            (size_t)snprintf(text + length, size - length,
                             "%s.recipients %llu\n%s.holding %llu\n%s.holding.max %llu\n",
                             server->behaviours[i].name, (unsigned long long)figures->recipients,
                             server->behaviours[i].name, (unsigned long long)figures->holding,
                             server->behaviours[i].name, (unsigned long long)figures->holding_max);
    }
    return length;
}

static void write_figures(const struct server *server)
{
    char text[CONTROL_MAX];
    FILE *file;

    if (server->stats_path == NULL)
        return;
    file = fopen(server->stats_path, "we");
    if (file == NULL) {
        perror(server->stats_path);
        return;
    }
    fwrite(text, 1, print_figures(server, text, sizeof(text)), file);
    fclose(file);
}

/* A number of seconds, as us. */
static int parse_seconds(const char *text, uint64_t *us)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 1e9))
        return -EINVAL;
    *us = (uint64_t)(seconds * 1e6);
    return 0;
}

static int parse_switch(const char *text, bool *on)
{
    *on = strcmp(text, "on") == 0;
    return *on || strcmp(text, "off") == 0 ? 0 : -EINVAL;
}

static int control_set(struct server *server, const char *name, const char *as, const char *hold)
{
    uint64_t us = UINT64_MAX;

    if (hold != NULL && parse_seconds(hold, &us) < 0)
        return -EINVAL;
    return behaviour_set(server->behaviours, name, as, us);
}

/* Obeys one command; the answer's length. */
static size_t control(struct server *server, char *text, char *reply, size_t size)
{
    char *rest = NULL;
    const char *word[5] = {NULL};
    unsigned words = 0;
    uint64_t us;
    bool on;
    int result = -EINVAL;

    for (char *w = strtok_r(text, " \t\n", &rest); w != NULL && words < 4;
         w = strtok_r(NULL, " \t\n", &rest))
        word[words++] = w;
    if (words == 1 && strcmp(word[0], "stats") == 0)
        return print_figures(server, reply, size);
    if (words >= 3 && strcmp(word[0], "set") == 0) {
        result = control_set(server, word[1], word[2], word[3]);
    } else if (words == 1 && strcmp(word[0], "heal") == 0) {
        behaviour_heal(server->behaviours);
        server->greet_delay = 0;
        server->greet_close = false;
        server->refuse_percent = 0;
        release(server);
        result = listen_start(server);
    } else if (words == 1 && strcmp(word[0], "release") == 0) {
        release(server);
        result = 0;
    } else if (words == 1 && strcmp(word[0], "quit") == 0) {
        server->quit = true;
        result = 0;
    } else if (words == 2 && strcmp(word[0], "greet-delay") == 0) {
        result = parse_seconds(word[1], &server->greet_delay);
    } else if (words == 2 && strcmp(word[0], "greet-close") == 0) {
        result = parse_switch(word[1], &server->greet_close);
    } else if (words == 2 && strcmp(word[0], "refuse") == 0) {
        result = parse_seconds(word[1], &us);
        if (result == 0)
            server->refuse_percent = us > 100000000U ? 100 : (unsigned)(us / 1000000U);
    } else if (words == 2 && strcmp(word[0], "listen") == 0) {
        result = parse_switch(word[1], &on);
        if (result == 0 && on)
            result = listen_start(server);
        else if (result == 0)
            listen_stop(server);
    }
    return (size_t)snprintf(reply, size, "%s\n", result < 0 ? "error" : "ok");
}

static void serve_control(struct server *server)
{
    struct sockaddr_un client;
    socklen_t client_length = sizeof(client);
    char text[CONTROL_MAX];
    char reply[CONTROL_MAX];
    ssize_t length = recvfrom(server->control, text, sizeof(text) - 1, 0,
                              (struct sockaddr *)&client, &client_length);
    size_t reply_length;

    if (length < 0)
        return;
    text[length] = '\0';
    reply_length = control(server, text, reply, sizeof(reply));
    if (sendto(server->control, reply, reply_length, 0, (struct sockaddr *)&client, client_length) <
        0)
        perror("lmtpd: control");
}

static int tell(const char *path, char **words, int count)
{
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = TELL_TIMEOUT};
    struct endpoint server;
    char text[CONTROL_MAX] = "";
    size_t used = 0;
    ssize_t length = -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    for (int i = 0; i < count && used < sizeof(text); i++)
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i == 0 ? "" : " ", words[i]);
    /* Bound to an address that the kernel chooses, so that it can be answered. */
    if (fd >= 0 && endpoint_parse(path, &server) == 0 && used < sizeof(text) &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
        bind(fd, (struct sockaddr *)&own, sizeof(own.sun_family)) == 0 &&
        sendto(fd, text, used, 0, &server.address.any, server.length) >= 0)
        length = recv(fd, text, sizeof(text), 0);
    if (length < 0)
        fprintf(stderr, "lmtpd: %s: %s\n", path, strerror(errno));
    else
        fwrite(text, 1, (size_t)length, stdout);
    if (fd >= 0)
        close(fd);
    return length < 0 || strncmp(text, "error", 5) == 0 ? 1 : 0;
}

/* --- main --- */

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

static int next_timeout(const struct server *server)
{
    uint64_t now;
    uint64_t due;

    if (server->heap_count == 0 || (due = server->heap[0]->due) == NEVER)
        return -1;
    now = clock_us(CLOCK_MONOTONIC);
    if (due <= now)
        return 0;
    due = (due - now + 999) / 1000;
    return due > 60000 ? 60000 : (int)due;
}

static void server_run(struct server *server)
{
    struct epoll_event events[EVENTS_MAX];
    struct signalfd_siginfo signal;
    uint64_t now;
    int count;

    while (!server->quit) {
        count = epoll_wait(server->epoll, events, EVENTS_MAX, next_timeout(server));
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &server->listener) {
                accept_connections(server);
            } else if (events[i].data.ptr == &server->control) {
                serve_control(server);
            } else if (events[i].data.ptr == &server->signals) {
                if (read(server->signals, &signal, sizeof(signal)) != sizeof(signal))
                    continue;
                write_figures(server);
                server->quit |= signal.ssi_signo != SIGUSR1;
            } else {
                serve_event(server, events[i].data.ptr, events[i].events);
            }
        }
        now = clock_us(CLOCK_MONOTONIC);
        while (server->heap_count > 0 && server->heap[0]->due <= now)
            serve_due(server, server->heap[0], now);
    }
    write_figures(server);
    listen_stop(server);
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
        return tell(argv[2], argv + 3, argc - 3);
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
        control(&server, argv[i], reply, sizeof(reply));
        if (strncmp(reply, "error", 5) == 0)
            return usage();
    }
    if (result == 0)
        result = listen_start(&server);
    if (result < 0) {
        fprintf(stderr, "lmtpd: %s: %s\n", server.listen_text, strerror(-result));
        return 1;
    }
    server_run(&server);
    return 0;
}

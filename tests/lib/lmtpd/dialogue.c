/* LMTP (RFC 2033), as far as the server speaks it: the commands of a client, and what it is answered to its message. See server.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tests/lib/lmtpd/server.h"

void dialogue_forget(struct connection *connection)
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

bool dialogue_answer_message(struct server *server, struct connection *connection, uint64_t now)
{
    const struct behaviour *behaviour;
    const struct recipient *recipient;
    uint64_t due;

    for (; connection->answered < connection->recipients_count; connection->answered++) {
        if (server->replies_most > 0 && connection->answered == server->replies_most) {
            connection->closing = true;
            return true;
        }
        recipient = &connection->recipients[connection->answered];
        behaviour = &server->behaviours[recipient->row];
        if (behaviour->action == BEHAVIOUR_SILENT) {
            waiting_until(server, connection, NEVER, recipient->row);
            return true;
        }
        due = connection->data_end +
              behaviour->hold * (server->in_turn ? connection->answered + 1 : 1);
        if (due > now && !connection->released) {
            waiting_until(server, connection, due, recipient->row);
            return true;
        }
        switch (behaviour->action) {
        case BEHAVIOUR_RESET:
            return false;
        case BEHAVIOUR_DEFER_MESSAGE:
            server_answer(server, "451 4.4.1 <%s> the next server does not answer\r\n",
                          recipient->address);
            break;
        default:
            record_delivery(server, connection, recipient->address,
                            connection->answered + 1 == connection->recipients_count);
            server_answer(server, "250 2.0.0 <%s> Ok\r\n", recipient->address);
        }
    }
    waiting_until(server, connection, NEVER, -1);
    dialogue_forget(connection);
    connection->stage = STAGE_COMMAND;
    return true;
}

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

static int add_recipient(struct connection *connection, const char *address, int row, unsigned most)
{
    struct recipient *recipient;

    if (connection->recipients == NULL) {
        connection->recipients = calloc(RECIPIENTS_MAX, sizeof(*connection->recipients));
        if (connection->recipients == NULL)
            return -ENOMEM;
    }
    if (connection->recipients_count == (most > 0 ? most : RECIPIENTS_MAX))
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
        server_answer(server, "501 5.5.4 RCPT TO:<address> after MAIL\r\n");
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
        server_answer(server, "550 5.1.1 <%s> unknown\r\n", address);
        return;
    case BEHAVIOUR_BUSY:
        server_answer(server, "421 4.3.2 too busy\r\n");
        connection->closing = true;
        return;
    case BEHAVIOUR_DEFER_RECIPIENT:
        if (server->behaviours[row].hold > 0) {
            connection->stage = STAGE_RECIPIENT_HELD;
            waiting_until(server, connection,
                          clock_us(CLOCK_MONOTONIC) + server->behaviours[row].hold, row);
        } else {
            server_answer(server, "451 4.2.1 <%s> try again later\r\n", address);
        }
        return;
    default:
        if (add_recipient(connection, address, row, server->recipients_most) < 0)
            server_answer(server, "452 4.5.3 too many recipients\r\n");
        else
            server_answer(server, "250 2.1.5 Ok\r\n");
    }
}

static void command_data(struct server *server, struct connection *connection)
{
    if (connection->recipients_count == 0) {
        server_answer(server, "503 5.5.1 no recipients\r\n");
        return;
    }
    connection->scan = malloc(sizeof(*connection->scan));
    if (connection->scan == NULL) {
        server_answer(server, "452 4.3.1 out of memory\r\n");
        return;
    }
    message_scan_begin(connection->scan);
    connection->stage = STAGE_DATA;
    server_answer(server, "354 End with .\r\n");
}

static void command(struct server *server, struct connection *connection, const char *line)
{
    char address[MESSAGE_ADDRESS_MAX];

    if (strncasecmp(line, "LHLO ", 5) == 0 || strncasecmp(line, "EHLO ", 5) == 0) {
        server_answer(server,
                      "250-lmtpd\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-SIZE\r\n%s250 "
                      "8BITMIME\r\n",
                      server->extensions ? "250-DSN\r\n250-AUTH PLAIN\r\n" : "");
    } else if (strncasecmp(line, "AUTH PLAIN ", 11) == 0 && server->extensions) {
        server_answer(server, "235 2.7.0 Ok\r\n");
    } else if (strncasecmp(line, "MAIL FROM:", 10) == 0) {
        if (connection->in_mail || !parse_path(line, address, sizeof(address))) {
            server_answer(server, "503 5.5.1 MAIL FROM:<address>, once\r\n");
            return;
        }
        connection->in_mail = true;
        connection->report = address[0] == '\0';
        server_answer(server, "250 2.1.0 Ok\r\n");
    } else if (strncasecmp(line, "RCPT TO:", 8) == 0) {
        command_recipient(server, connection, line);
    } else if (strcasecmp(line, "DATA") == 0) {
        command_data(server, connection);
    } else if (strcasecmp(line, "RSET") == 0) {
        dialogue_forget(connection);
        server_answer(server, "250 2.0.0 Ok\r\n");
    } else if (strcasecmp(line, "NOOP") == 0) {
        server_answer(server, "250 2.0.0 Ok\r\n");
    } else if (strcasecmp(line, "QUIT") == 0) {
        server_answer(server, "221 2.0.0 Bye\r\n");
        connection->closing = true;
    } else {
        server_answer(server, "500 5.5.2 unknown command\r\n");
    }
}

/* A server with a queue of its own: when the message has its turn; false when there is no place for it. */
static bool take_turn(struct server *server, struct connection *connection)
{
    uint64_t hold = server->behaviours[connection->recipients[0].row].hold;

    if (server->queue_most == 0)
        return true;
    if (server->queue_end > connection->data_end + server->queue_most * hold) {
        server->refused++;
        server_answer(server, "421 4.3.2 busy\r\n");
        connection->closing = true;
        return false;
    }
    if (server->queue_end > connection->data_end)
        connection->data_end = server->queue_end;
    server->queue_end = connection->data_end + hold;
    return true;
}

bool dialogue_lines(struct server *server, struct connection *connection)
{
    size_t used = 0;
    size_t length;
    uint64_t now;
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
            now = connection->data_end = clock_us(CLOCK_MONOTONIC);
            if (take_turn(server, connection))
                alive = dialogue_answer_message(server, connection, now);
        } else {
            message_scan_line(connection->scan, line[0] == '.' ? line + 1 : line,
                              line[0] == '.' ? length - 1 : length);
        }
    }
    connection->input_length -= used;
    memmove(connection->input, connection->input + used, connection->input_length);
    return alive;
}

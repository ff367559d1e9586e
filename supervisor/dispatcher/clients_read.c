/*
 * A request is read: into memory of its length, to its end, and its queue file is locked.
 */

#include "supervisor/dispatcher/clients_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agents/queue_file.h"

/* Most requests are shorter; what a complete one does not need is given back. */
#define READ_FIRST 4096

/* What is read at once, at least, of a longer one. */
#define READ_AT_LEAST 16384

/* Answers with the bare deferral, and logs why. */
static void refuse(struct client *client, const char *reason)
{
    struct clients *clients = client->clients;
    const char *id = "-";

    if (client->bytes && client->request.queue_id.len > 0)
        id = client->bytes + client->request.queue_id.offset;
    complain(clients->config.complaints, COMPLAINT_REFUSED, clients->config.loop->now,
             (struct journal_field[]){JOURNAL_TEXT("HEADROOM_QUEUE_ID", id)}, 1,
             "%s: delivery request refused, it stays in the queue: %s", id, reason);
    client_take_step(client, CLIENT_REFUSED);
    clients->config.totals->refused++;
    client_write_answer(client);
}

/* The buffer of a complete request is cut to its length. */
static void shrink(struct client *client)
{
    char *smaller;

    if (client->capacity == client->length)
        return;
    smaller = realloc(client->bytes, client->length);
    if (!smaller)
        return;
    client->clients->config.budget->held -= client->capacity - client->length;
    client->bytes = smaller;
    client->capacity = client->length;
}

/* 0 or a negative errno. */
static int path_of(const struct client *client, char path[QUEUE_PATH_SIZE])
{
    const struct clients_config *config = &client->clients->config;
    const struct request *request = &client->request;

    return queue_file_path(path, QUEUE_PATH_SIZE, client->bytes + request->queue_name.offset,
                           client->bytes + request->queue_id.offset, config->hash_queue_names,
                           config->hash_queue_depth);
}

bool client_moved(const struct client *client)
{
    char path[QUEUE_PATH_SIZE];

    return path_of(client, path) == 0 &&
           queue_file_moved(client->clients->config.queue_directory, path);
}

/*
 * The whole request is there: takes the lock that a delivery agent takes. Without a descriptor the
 * request is kept and this is tried again: a refusal could bounce an old message.
 */
static void complete(struct client *client)
{
    struct clients *clients = client->clients;
    const struct clients_config *config = &clients->config;
    char path[QUEUE_PATH_SIZE];
    int result = path_of(client, path);

    if (result == 0)
        result = queue_file_lock(config->queue_directory, path);
    client->unlocked = result < 0 && budget_is_short(-result);
    if (client->unlocked) {
        budget_descriptors_short(config->budget, -result, config->loop->now);
    } else if (result >= 0) {
        client->lock = result;
        shrink(client);
        config->totals->requests++;
        client_take_step(client, CLIENT_COMPLETE);
        config->sink(config->context, CLIENT_READ, client);
    } else if (result == -ENOENT) {
        refuse(client, "its queue file does not exist");
    } else if (result == -EWOULDBLOCK) {
        refuse(client, "its queue file is locked by another process");
    } else {
        refuse(client, strerror(-result));
    }
}

/* Room for more bytes, before they leave the socket. 0 or -ENOMEM. */
static int room_for_more(struct client *client)
{
    size_t least = client->bytes ? READ_AT_LEAST : READ_FIRST;
    size_t capacity = client->capacity * 2;
    char *larger;

    if (client->capacity - client->length >= least)
        return 0;
    if (capacity < client->length + least)
        capacity = client->length + least;
    larger = realloc(client->bytes, capacity);
    if (!larger)
        return -ENOMEM;
    client->clients->config.budget->held += capacity - client->capacity;
    client->bytes = larger;
    client->capacity = capacity;
    return 0;
}

/* Without memory nothing is read until the next tick: the bytes wait in the socket. */
static void pause_reading(struct client *client)
{
    client->paused = true;
    watch_change(client->clients->config.loop, &client->watch, 0);
}

void client_read(struct client *client)
{
    struct clients *clients = client->clients;
    ssize_t got;
    int result;

    if (room_for_more(client) < 0) {
        pause_reading(client);
        return;
    }
    got = recv(client->connection, client->bytes + client->length,
               client->capacity - client->length, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0 || (got == 0 && client->length == 0)) {
        /* The client changed its mind: normal. */
        client_hung_up(client);
        return;
    }
    if (got == 0) {
        refuse(client, "it ends in the middle");
        return;
    }
    client->length += (size_t)got;
    client->since = clients->config.loop->now;
    result = request_parse(&client->request, client->bytes, client->length);
    if (result == 0 && client->length > client->request.length)
        refuse(client, "there are bytes behind its end");
    else if (result == 0)
        complete(client);
    else if (result != -EAGAIN)
        refuse(client, request_refusal(&client->request));
}

void clients_tick(struct clients *clients)
{
    struct client *client = LIST_FIRST(&clients->reading);
    uint64_t now = clients->config.loop->now;

    while (client) {
        struct client *next = LIST_NEXT(client, link);

        if (client->paused) {
            client->paused = false;
            client->since = now; /* what did not come was not asked for */
            watch_change(clients->config.loop, &client->watch, EPOLLIN);
        }
        /* Before the first byte there is no limit: qmgr(8) may be swapped out, and would take the
         * whole transport for dead. */
        if (client->unlocked)
            complete(client);
        else if (client->length > 0 && now - client->since >= clients->config.timeout)
            refuse(client, "it did not come to its end within ipc_timeout");
        client = next;
    }
}

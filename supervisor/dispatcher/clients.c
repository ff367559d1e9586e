/*
 * The side of qmgr(8): accept, greet, read, lock, answer.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents/queue_file.h"
#include "supervisor/dispatcher/dispatch.h"

/* A request that comes in pieces: what is read at once, at least. */
#define READ_AT_LEAST 16384

static void on_client(void *owner, int fd, uint32_t events);

int clients_create(struct dispatcher *dispatcher)
{
    dispatcher->client = calloc(dispatcher->clients_max, sizeof *dispatcher->client);
    if (!dispatcher->client)
        return -ENOMEM;
    LIST_INIT(&dispatcher->free);
    LIST_INIT(&dispatcher->reading);
    return 0;
}

void clients_destroy(struct dispatcher *dispatcher)
{
    for (unsigned i = 0; i < dispatcher->clients_touched; i++)
        free(dispatcher->client[i].bytes);
    free(dispatcher->client);
}

void clients_listen(struct dispatcher *dispatcher)
{
    bool room = dispatcher->greeting_length > 0 && !dispatcher->descriptors_short &&
                dispatcher->clients < dispatcher->clients_max && !parts_room_full(dispatcher) &&
                dispatcher->held_bytes < HELD_BYTES_MAX;

    if (room == dispatcher->listening)
        return;
    for (unsigned i = 0; i < dispatcher->settings->sockets; i++)
        watch_change(&dispatcher->watcher, &dispatcher->listen[i], room ? EPOLLIN : 0);
    dispatcher->listening = room;
}

static void reading_end(struct client *client)
{
    LIST_REMOVE(client, link);
    client->dispatcher->reading_count--;
}

/* Gives back all that the client has. */
static void client_end(struct client *client)
{
    struct dispatcher *dispatcher = client->dispatcher;

    if (client->connection >= 0) {
        watch_forget(&dispatcher->watcher, &client->watch);
        close(client->connection);
    }
    if (client->lock >= 0)
        close(client->lock);
    dispatcher->held_bytes -= client->capacity;
    free(client->bytes);
    merge_free(&client->merge);
    parts_release(client);
    client->bytes = NULL;
    LIST_INSERT_HEAD(&dispatcher->free, client, link);
    dispatcher->clients--;
}

/* qmgr(8) has gone, but a worker has the request: only the connection is given back. */
static void client_disconnect(struct client *client)
{
    watch_forget(&client->dispatcher->watcher, &client->watch);
    close(client->connection);
    client->connection = -1;
}

static void client_event(struct client *client, enum client_event event);

/* Writes the reply, or what is left of it. */
static void answer(struct client *client, const char *bytes, size_t length)
{
    ssize_t sent = send(client->connection, bytes + client->answered, length - client->answered,
                        MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        client_event(client, CLIENT_HUNG_UP);
        return;
    }
    if (sent > 0)
        client->answered += (size_t)sent;
    if (client->answered == length)
        client_event(client, CLIENT_ANSWERED);
    else
        watch_change(&client->dispatcher->watcher, &client->watch, EPOLLOUT);
}

/* The merged reply of the parts, or the bare deferral for a request that never had any. */
static void answer_merged(struct client *client)
{
    const char *bytes = reply_deferred;
    size_t length = reply_deferred_size;

    if (client->merge.expected > 0 && merge_done(&client->merge, &bytes, &length) < 0) {
        bytes = reply_deferred;
        length = reply_deferred_size;
    }
    answer(client, bytes, length);
}

static void client_event(struct client *client, enum client_event event)
{
    struct client_step step;
    enum client_state before = client->state;

    if (router_client(before, event, &step) < 0)
        dispatcher_broken(client->dispatcher, "client", (int)before, (int)event);
    client->state = step.state;
    if (before == CLIENT_READING)
        reading_end(client);
    switch (step.action) {
    case CLIENT_NOTHING:
        break;
    case CLIENT_ADMIT:
        client->dispatcher->totals.requests++;
        parts_admit(client);
        break;
    case CLIENT_REFUSE:
        client->dispatcher->totals.refused++;
        answer_merged(client);
        return; /* which may have ended it */
    case CLIENT_CANCEL:
        client_disconnect(client);
        parts_cancel(client);
        return;
    case CLIENT_MERGE:
        /* The agents are done with the message. */
        close(client->lock);
        client->lock = -1;
        answer_merged(client);
        return;
    }
    if (client->state == CLIENT_ENDED)
        client_end(client);
}

void client_parts_ended(struct client *client)
{
    client_event(client, CLIENT_PARTS_ENDED);
}

/* Answers with the bare deferral, and says why; the operator sees only the first of a flood. */
static void client_refuse(struct client *client, const char *reason)
{
    struct dispatcher *dispatcher = client->dispatcher;
    const char *id = "-";
    uint64_t unsaid;

    if (client->bytes && client->request.queue_id.len > 0)
        id = client->bytes + client->request.queue_id.offset;
    if (journal_limit_happened(&dispatcher->refused_lines, dispatcher->now, &unsaid))
        journal_log(dispatcher->journal, EVENT_REQUEST_REFUSED, LOG_WARNING,
                    (struct journal_field[]){JOURNAL_TEXT("HEADROOM_QUEUE_ID", id),
                                             JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid)},
                    2, "%s: delivery request refused, it stays in the queue: %s", id, reason);
    client_event(client, CLIENT_REFUSED);
}

/* A request that came in pieces leaves no spare room in its buffer, of which nothing is read any more. */
static void cut(struct client *client)
{
    char *bytes = realloc(client->bytes, client->length);

    if (!bytes)
        return;
    client->dispatcher->held_bytes -= client->capacity - client->length;
    client->bytes = bytes;
    client->capacity = client->length;
}

/*
 * The whole request is there: takes the lock that a delivery agent takes. When we have run out of
 * something the request is kept and this is tried again: a refusal could bounce an old message.
 */
static void client_complete(struct client *client)
{
    const struct dispatcher_settings *settings = client->dispatcher->settings;
    const struct request *request = &client->request;
    char path[QUEUE_PATH_SIZE];
    int result;

    result = queue_file_path(path, sizeof path, client->bytes + request->queue_name.offset,
                             client->bytes + request->queue_id.offset,
                             settings->postconf->hash_queue_names,
                             (unsigned)settings->postconf->hash_queue_depth);
    if (result == 0)
        result = queue_file_lock(settings->queue_directory, path);
    client->unlocked =
        result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS;
    if (client->unlocked) {
        dispatcher_descriptors_short(client->dispatcher, -result);
    } else if (result >= 0) {
        client->lock = result;
        client_event(client, CLIENT_COMPLETE);
    } else if (result == -ENOENT) {
        client_refuse(client, "its queue file does not exist");
    } else if (result == -EWOULDBLOCK) {
        client_refuse(client, "its queue file is locked by another process");
    } else {
        client_refuse(client, strerror(-result));
    }
}

/*
 * Room for more bytes: in the scratch buffer at first, since most requests come in one piece and
 * are then kept in a buffer of just their size. 0 or -ENOMEM.
 */
static int room_for_more(struct client *client, char **into, size_t *room)
{
    struct dispatcher *dispatcher = client->dispatcher;
    size_t capacity = client->capacity * 2;
    char *larger;

    if (!client->bytes) {
        *into = dispatcher->scratch;
        *room = sizeof dispatcher->scratch;
        return 0;
    }
    if (client->capacity - client->length < READ_AT_LEAST) {
        if (capacity < client->length + READ_AT_LEAST)
            capacity = client->length + READ_AT_LEAST;
        larger = realloc(client->bytes, capacity);
        if (!larger)
            return -ENOMEM;
        dispatcher->held_bytes += capacity - client->capacity;
        client->bytes = larger;
        client->capacity = capacity;
    }
    *into = client->bytes + client->length;
    *room = client->capacity - client->length;
    return 0;
}

/* Keeps what was read into the scratch buffer. */
static int keep(struct client *client, size_t length)
{
    client->bytes = malloc(length);
    if (!client->bytes)
        return -ENOMEM;
    memcpy(client->bytes, client->dispatcher->scratch, length);
    client->capacity = length;
    client->dispatcher->held_bytes += length;
    return 0;
}

static void client_read(struct client *client)
{
    size_t room;
    char *into;
    ssize_t got;
    int result;

    if (room_for_more(client, &into, &room) < 0) {
        client_refuse(client, "no memory for it");
        return;
    }
    got = recv(client->connection, into, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0 || (got == 0 && client->length == 0)) {
        /* qmgr changed its mind: normal. */
        client_event(client, CLIENT_HUNG_UP);
        return;
    }
    if (got == 0) {
        client_refuse(client, "it ends in the middle");
        return;
    }
    client->length += (size_t)got;
    client->since = client->dispatcher->now;
    result = request_parse(&client->request, client->bytes ? client->bytes : into, client->length);
    if (!client->bytes && keep(client, client->length) < 0)
        client_refuse(client, "no memory for it");
    else if (result == 0 && client->length > client->request.length)
        client_refuse(client, "there are bytes behind its end");
    else if (result == 0) {
        cut(client);
        client_complete(client);
    } else if (result != -EAGAIN)
        client_refuse(client, request_refusal(&client->request));
}

static void on_client(void *owner, int fd, uint32_t events)
{
    struct client *client = owner;

    (void)fd;
    switch (client->state) {
    case CLIENT_READING:
        if (client->unlocked)
            client_event(client, CLIENT_HUNG_UP);
        else
            client_read(client);
        break;
    case CLIENT_HELD:
        /* qmgr has nothing more to say before the answer: this is its end, or not qmgr. */
        client_event(client, CLIENT_HUNG_UP);
        break;
    case CLIENT_ANSWERING:
        if (events & EPOLLOUT)
            answer_merged(client);
        else
            client_event(client, CLIENT_HUNG_UP);
        break;
    case CLIENT_LEFT:
    case CLIENT_ENDED:
        break;
    }
}

/* A free client, one that was used before if there is one. There is one while there is room. */
static struct client *client_free(struct dispatcher *dispatcher)
{
    struct client *client = LIST_FIRST(&dispatcher->free);

    if (!client) {
        client = &dispatcher->client[dispatcher->clients_touched++];
        client->dispatcher = dispatcher;
        LIST_INSERT_HEAD(&dispatcher->free, client, link);
    }
    return client;
}

/* Takes in one connection and greets it. */
static void client_begin(struct dispatcher *dispatcher, int connection)
{
    struct client *client = client_free(dispatcher);
    ssize_t sent;

    if (watch_on(&dispatcher->watcher, &client->watch, connection, EPOLLIN, on_client, client) <
        0) {
        /* Never close before greeting: qmgr would take the whole transport for dead. */
        send(connection, dispatcher->greeting, dispatcher->greeting_length, MSG_NOSIGNAL);
        close(connection);
        dispatcher_descriptors_short(dispatcher, ENOMEM);
        return;
    }
    LIST_REMOVE(client, link);
    *client = (struct client){
        .dispatcher = dispatcher,
        .state = CLIENT_READING,
        .connection = connection,
        .lock = -1,
        .watch = client->watch,
        .since = dispatcher->now,
    };
    SLIST_INIT(&client->parts);
    request_init(&client->request);
    LIST_INSERT_HEAD(&dispatcher->reading, client, link);
    dispatcher->reading_count++;
    dispatcher->clients++;
    /* A new connection has room for 36 bytes; when it has not, qmgr is gone. */
    sent = send(connection, dispatcher->greeting, dispatcher->greeting_length,
                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)dispatcher->greeting_length)
        client_event(client, CLIENT_HUNG_UP);
}

void clients_on_listen(void *owner, int fd, uint32_t events)
{
    struct dispatcher *dispatcher = owner;
    bool accepted = false;

    (void)events;
    while (dispatcher->listening) {
        int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (connection < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                dispatcher_descriptors_short(dispatcher, errno);
            else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                dispatcher_broken(dispatcher, "accept", fd, errno);
            break;
        }
        accepted = true;
        client_begin(dispatcher, connection);
        clients_listen(dispatcher);
    }
    /*
     * Only now, when no connection waits any more: TAKEN makes master look at the socket again, and
     * with a connection there it could start a second process before it reads AVAIL.
     */
    if (accepted && !dispatcher->announced) {
        dispatcher->announced = true;
        master_status_announce(MASTER_STATUS_FD, dispatcher->settings->parent,
                               dispatcher->settings->generation);
    }
}

void clients_expire(struct dispatcher *dispatcher, uint64_t now)
{
    uint64_t timeout = (uint64_t)dispatcher->settings->postconf->ipc_timeout * 1000000;
    struct client *client = LIST_FIRST(&dispatcher->reading);

    while (client) {
        struct client *next = LIST_NEXT(client, link);

        /* Before the first byte there is no limit: qmgr(8) may be swapped out, and would take the
         * whole transport for dead. */
        if (client->unlocked)
            client_complete(client);
        else if (client->length > 0 && now - client->since >= timeout)
            client_refuse(client, "it did not come to its end within ipc_timeout");
        client = next;
    }
}

#include "supervisor/dispatcher/clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents/limits.h"
#include "agents/master.h"
#include "agents/queue_file.h"
#include "agents/reply.h"
#include "supervisor/limits.h"

/* What is read at once, at least, of a request that comes in pieces. */
#define READ_AT_LEAST 16384

struct clients {
    struct clients_config config;
    struct client *client; /* clients_max of them */
    unsigned touched;      /* used ever: the memory of the others is not there yet */
    unsigned held;
    unsigned reading_count;
    unsigned room; /* how many more may be accepted */
    bool announced;
    LIST_HEAD(, client) free;
    LIST_HEAD(, client) reading;
    struct watch listen[MASTER_SOCKETS_MAX];
    char greeting[GREETING_MAX];
    size_t greeting_length;
    char scratch[65536]; /* what has just been read */
};

static void on_client(void *owner, int fd, uint32_t events);
static void on_listen(void *owner, int fd, uint32_t events);

int clients_create(struct clients **out, const struct clients_config *config)
{
    struct clients *clients = calloc(1, sizeof *clients);
    int result = 0;

    *out = clients;
    if (!clients)
        return -ENOMEM;
    clients->config = *config;
    LIST_INIT(&clients->free);
    LIST_INIT(&clients->reading);
    clients->client = calloc(config->budget->clients_max, sizeof *clients->client);
    if (!clients->client)
        return -ENOMEM;
    /* For no event yet: clients_listen() says when. */
    for (unsigned i = 0; result == 0 && i < config->sockets; i++)
        result = watch_on(config->loop, &clients->listen[i], config->socket + (int)i, 0, on_listen,
                          clients);
    return result;
}

void clients_destroy(struct clients *clients)
{
    if (!clients)
        return;
    for (unsigned i = 0; i < clients->touched; i++) {
        if (clients->client[i].connection >= 0)
            close(clients->client[i].connection);
        if (clients->client[i].lock >= 0)
            close(clients->client[i].lock);
        free(clients->client[i].bytes);
        merge_free(&clients->client[i].merge);
    }
    free(clients->client);
    free(clients);
}

void clients_greet(struct clients *clients, const char *greeting, size_t length)
{
    memcpy(clients->greeting, greeting, length);
    clients->greeting_length = length;
}

struct clients_view clients_view(const struct clients *clients)
{
    return (struct clients_view){.held = clients->held, .reading = clients->reading_count};
}

void clients_listen(struct clients *clients, unsigned room)
{
    bool before = clients->room > 0;

    clients->room = clients->greeting_length > 0 ? room : 0;
    if ((clients->room > 0) == before)
        return;
    for (unsigned i = 0; i < clients->config.sockets; i++)
        watch_change(clients->config.loop, &clients->listen[i], clients->room > 0 ? EPOLLIN : 0);
}

static void disconnect(struct client *client)
{
    if (client->connection < 0)
        return;
    watch_forget(client->clients->config.loop, &client->watch);
    close(client->connection);
    client->connection = -1;
}

static void unlock(struct client *client)
{
    if (client->lock >= 0)
        close(client->lock);
    client->lock = -1;
}

/* Gives back all that the client has. */
static void end(struct client *client)
{
    struct clients *clients = client->clients;

    disconnect(client);
    unlock(client);
    clients->config.budget->held -= client->capacity;
    free(client->bytes);
    client->bytes = NULL;
    merge_free(&client->merge);
    LIST_INSERT_HEAD(&clients->free, client, link);
    clients->held--;
}

/* Takes the step that the table has for the event, and says what goes with it. */
static enum client_action step(struct client *client, enum client_event event)
{
    struct client_step step;
    enum client_state before = client->state;

    if (states_client(before, event, &step) < 0)
        states_broken(client->clients->config.complaints->journal, "client", (int)before,
                      (int)event);
    client->state = step.state;
    if (before == CLIENT_READING) {
        LIST_REMOVE(client, link);
        client->clients->reading_count--;
    }
    return step.action;
}

/* The connection has ended. The sink is told when the router has the request. */
static void hung_up(struct client *client)
{
    struct clients *clients = client->clients;

    if (step(client, CLIENT_HUNG_UP) == CLIENT_CANCEL) {
        disconnect(client);
        clients->config.sink(clients->config.context, CLIENT_GONE, client);
    } else if (client->state == CLIENT_ENDED) {
        end(client);
    }
}

/* Writes the answer, or the rest of it. A request that never had a part gets the bare deferral. */
static void write_answer(struct client *client)
{
    const char *bytes = reply_deferred;
    size_t length = reply_deferred_size;
    ssize_t sent;

    if (client->merge.expected > 0 && merge_done(&client->merge, &bytes, &length) < 0) {
        bytes = reply_deferred;
        length = reply_deferred_size;
    }
    sent = send(client->connection, bytes + client->answered, length - client->answered,
                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        hung_up(client);
        return;
    }
    if (sent > 0)
        client->answered += (size_t)sent;
    if (client->answered < length) {
        watch_change(client->clients->config.loop, &client->watch, EPOLLOUT);
        return;
    }
    step(client, CLIENT_ANSWERED);
    end(client);
}

void client_answer(struct client *client, struct merge *merge)
{
    enum client_action action = step(client, CLIENT_PARTS_ENDED);

    client->merge = *merge;
    *merge = (struct merge){0};
    /* The agents are done with the message. */
    unlock(client);
    if (action == CLIENT_MERGE)
        write_answer(client);
    else
        end(client);
}

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
    step(client, CLIENT_REFUSED);
    clients->config.totals->refused++;
    write_answer(client);
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

/*
 * The whole request is there: takes the lock that a delivery agent takes. Without a descriptor the
 * request is kept and this is tried again: a refusal could bounce an old message.
 */
static void complete(struct client *client)
{
    struct clients *clients = client->clients;
    const struct clients_config *config = &clients->config;
    const struct request *request = &client->request;
    char path[QUEUE_PATH_SIZE];
    int result = queue_file_path(path, sizeof path, client->bytes + request->queue_name.offset,
                                 client->bytes + request->queue_id.offset, config->hash_queue_names,
                                 config->hash_queue_depth);

    if (result == 0)
        result = queue_file_lock(config->queue_directory, path);
    client->unlocked = result < 0 && budget_is_short(-result);
    if (client->unlocked) {
        budget_descriptors_short(config->budget, -result, config->loop->now);
    } else if (result >= 0) {
        client->lock = result;
        shrink(client);
        config->totals->requests++;
        step(client, CLIENT_COMPLETE);
        config->sink(config->context, CLIENT_READ, client);
    } else if (result == -ENOENT) {
        refuse(client, "its queue file does not exist");
    } else if (result == -EWOULDBLOCK) {
        refuse(client, "its queue file is locked by another process");
    } else {
        refuse(client, strerror(-result));
    }
}

/*
 * Room for more bytes: in the scratch buffer at first, since most requests come in one piece and
 * are then kept in a buffer of just their size. 0 or -ENOMEM.
 */
static int room_for_more(struct client *client, char **into, size_t *room)
{
    struct clients *clients = client->clients;
    size_t capacity = client->capacity * 2;
    char *larger;

    if (!client->bytes) {
        *into = clients->scratch;
        *room = sizeof clients->scratch;
        return 0;
    }
    if (client->capacity - client->length < READ_AT_LEAST) {
        if (capacity < client->length + READ_AT_LEAST)
            capacity = client->length + READ_AT_LEAST;
        larger = realloc(client->bytes, capacity);
        if (!larger)
            return -ENOMEM;
        clients->config.budget->held += capacity - client->capacity;
        client->bytes = larger;
        client->capacity = capacity;
    }
    *into = client->bytes + client->length;
    *room = client->capacity - client->length;
    return 0;
}

/* Without memory nothing is read until the next tick: the bytes wait in the socket. */
static void pause_reading(struct client *client)
{
    client->paused = true;
    watch_change(client->clients->config.loop, &client->watch, 0);
}

static void read_request(struct client *client)
{
    struct clients *clients = client->clients;
    size_t room;
    char *into;
    ssize_t got;
    int result;

    if (room_for_more(client, &into, &room) < 0) {
        pause_reading(client);
        return;
    }
    /* A buffer of the request's own is there before its bytes leave the socket. */
    got = recv(client->connection, into, room, MSG_DONTWAIT | (client->bytes ? 0 : MSG_PEEK));
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0 || (got == 0 && client->length == 0)) {
        /* The client changed its mind: normal. */
        hung_up(client);
        return;
    }
    if (got == 0) {
        refuse(client, "it ends in the middle");
        return;
    }
    if (!client->bytes) {
        client->bytes = malloc((size_t)got);
        if (!client->bytes) {
            pause_reading(client);
            return;
        }
        client->capacity = (size_t)got;
        clients->config.budget->held += client->capacity;
        got = recv(client->connection, client->bytes, client->capacity, MSG_DONTWAIT);
        if (got <= 0)
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

static void on_client(void *owner, int fd, uint32_t events)
{
    struct client *client = owner;

    (void)fd;
    switch (client->state) {
    case CLIENT_READING:
        if (client->unlocked || (client->paused && (events & (EPOLLHUP | EPOLLERR))))
            hung_up(client);
        else
            read_request(client);
        break;
    case CLIENT_HELD:
        /* A client has nothing more to say before the answer: this is its end, or no client. */
        hung_up(client);
        break;
    case CLIENT_ANSWERING:
        if (events & EPOLLOUT)
            write_answer(client);
        else
            hung_up(client);
        break;
    case CLIENT_LEFT:
    case CLIENT_ENDED:
        break;
    }
}

/* A free client, one that was used before if there is one. There is one while there is room. */
static struct client *client_free(struct clients *clients)
{
    struct client *client = LIST_FIRST(&clients->free);

    if (!client) {
        client = &clients->client[clients->touched++];
        client->connection = client->lock = -1;
        LIST_INSERT_HEAD(&clients->free, client, link);
    }
    return client;
}

/* Takes in one connection and greets it. */
static void begin(struct clients *clients, int connection)
{
    struct loop *loop = clients->config.loop;
    struct client *client = client_free(clients);
    ssize_t sent;
    int result = watch_on(loop, &client->watch, connection, EPOLLIN, on_client, client);

    if (result < 0) {
        /* Never close before greeting: qmgr(8) would take the whole transport for dead. */
        send(connection, clients->greeting, clients->greeting_length, MSG_NOSIGNAL);
        close(connection);
        budget_descriptors_short(clients->config.budget, -result, loop->now);
        return;
    }
    LIST_REMOVE(client, link);
    *client = (struct client){
        .clients = clients,
        .state = CLIENT_READING,
        .connection = connection,
        .lock = -1,
        .watch = client->watch,
        .since = loop->now,
    };
    request_init(&client->request);
    LIST_INSERT_HEAD(&clients->reading, client, link);
    clients->reading_count++;
    clients->held++;
    /* A new connection has room for a greeting; when it has not, the client is gone. */
    sent =
        send(connection, clients->greeting, clients->greeting_length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)clients->greeting_length)
        hung_up(client);
}

static void on_listen(void *owner, int fd, uint32_t events)
{
    struct clients *clients = owner;
    const struct clients_config *config = &clients->config;
    bool accepted = false;

    (void)events;
    while (clients->room > 0 && clients->held < config->budget->clients_max &&
           !config->budget->descriptors_short && config->budget->held < HELD_BYTES_MAX) {
        int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (connection < 0) {
            if (budget_is_short(errno))
                budget_descriptors_short(config->budget, errno, config->loop->now);
            else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                states_broken(config->complaints->journal, "accept", fd, errno);
            break;
        }
        accepted = true;
        begin(clients, connection);
        clients_listen(clients, clients->room - 1);
    }
    /*
     * Only now, when no connection waits any more: TAKEN makes master look at the socket again, and
     * with a connection there it could start a second process before it reads AVAIL.
     */
    if (accepted && !clients->announced) {
        clients->announced = true;
        master_status_announce(config->status, config->pid, config->generation);
    }
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

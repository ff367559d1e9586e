#include "supervisor/dispatcher/clients_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/limits.h"
#include "agents/master.h"
#include "agents/reply.h"
#include "supervisor/limits.h"

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
    return (struct clients_view){
        .held = clients->held, .connected = clients->connected, .reading = clients->reading_count};
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

void clients_leave(struct clients *clients)
{
    clients_listen(clients, 0);
    for (unsigned i = 0; i < clients->config.sockets; i++) {
        watch_remove(clients->config.loop, &clients->listen[i]);
        close(clients->config.socket + (int)i);
    }
}

void clients_each(struct clients *clients, void (*each)(void *context, struct client *client),
                  void *context)
{
    for (unsigned i = 0; i < clients->touched; i++)
        if (clients->client[i].connection >= 0 && clients->client[i].state == CLIENT_HELD)
            each(context, &clients->client[i]);
}

static void disconnect(struct client *client)
{
    if (client->connection < 0)
        return;
    client->clients->connected--;
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

enum client_action client_take_step(struct client *client, enum client_event event)
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

void client_hung_up(struct client *client)
{
    struct clients *clients = client->clients;

    if (client_take_step(client, CLIENT_HUNG_UP) == CLIENT_CANCEL) {
        disconnect(client);
        clients->config.sink(clients->config.context, CLIENT_GONE, client);
    } else if (client->state == CLIENT_ENDED) {
        end(client);
    }
}

void client_write_answer(struct client *client)
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
        client_hung_up(client);
        return;
    }
    if (sent > 0)
        client->answered += (size_t)sent;
    if (client->answered < length) {
        watch_change(client->clients->config.loop, &client->watch, EPOLLOUT);
        return;
    }
    client_take_step(client, CLIENT_ANSWERED);
    end(client);
}

void client_answer(struct client *client, struct merge *merge)
{
    enum client_action action = client_take_step(client, CLIENT_PARTS_ENDED);

    client->merge = *merge;
    *merge = (struct merge){0};
    /* The agents are done with the message. */
    unlock(client);
    if (action == CLIENT_MERGE)
        client_write_answer(client);
    else
        end(client);
}

bool client_larger(const struct client *client, off_t size)
{
    struct stat found;

    return client->lock >= 0 && fstat(client->lock, &found) == 0 && found.st_size >= size;
}

static void on_client(void *owner, int fd, uint32_t events)
{
    struct client *client = owner;

    (void)fd;
    switch (client->state) {
    case CLIENT_READING:
        if (client->unlocked || (client->paused && (events & (EPOLLHUP | EPOLLERR))))
            client_hung_up(client);
        else
            client_read(client);
        break;
    case CLIENT_HELD:
        /* A client has nothing more to say before the answer: this is its end, or no client. */
        client_hung_up(client);
        break;
    case CLIENT_ANSWERING:
        if (events & EPOLLOUT)
            client_write_answer(client);
        else
            client_hung_up(client);
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
    clients->connected++;
    /* A new connection has room for a greeting; when it has not, the client is gone. */
    sent =
        send(connection, clients->greeting, clients->greeting_length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)clients->greeting_length)
        client_hung_up(client);
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

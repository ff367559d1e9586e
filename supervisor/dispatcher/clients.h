#ifndef SUPERVISOR_DISPATCHER_CLIENTS_H
#define SUPERVISOR_DISPATCHER_CLIENTS_H

/*
 * Connections of qmgr(8) and local(8), and the request on each: accept, greet, read, lock, answer.
 *
 * A client belongs to this module from accept to close. The router learns of it when its request
 * is complete and its queue file is locked (CLIENT_READ), and gives it back with client_answer(),
 * exactly once for each CLIENT_READ. In between it may learn that the connection has ended
 * (CLIENT_GONE); the request then still waits for client_answer(), which sends nothing.
 * States: supervisor/dispatcher/states.h. Protocol: postfix-protocol.md 4.1, 4.6, 5.
 *
 * A connection that was accepted is always greeted. One that is not accepted waits in the backlog,
 * which is free back-pressure. The first accepted connection announces TAKEN and AVAILABLE to
 * master(8), after the backlog is empty (postfix-protocol.md 1.5).
 *
 * Calls supervisor/base, agents, journal, report/{totals,complaints}, budget, states. Knows no
 * sibling. The sink is called as the last act of a handler. client_answer() never calls it.
 *
 * DIAGNOSTICS: a refused request is logged (EVENT_REQUEST_REFUSED), rate-limited, and answered with
 * the bare deferral. A promise that is broken (states.h, "-") aborts by way of states_broken().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "agents/merge.h"
#include "agents/request.h"
#include "supervisor/base/loop.h"
#include "supervisor/dispatcher/budget.h"
#include "supervisor/dispatcher/states.h"
#include "supervisor/report/totals.h"

struct clients;

/* One connection. The router reads `request`, `bytes`, `length`, and owns `work`. */
struct client {
    struct clients *clients;
    enum client_state state;
    int connection; /* -1: the other end has gone */
    int lock;       /* shared lock on the queue file; -1: none */
    struct watch watch;
    uint64_t since; /* accepted, or last read from, at */
    bool unlocked;  /* all is read, but there was no descriptor for the lock */
    bool paused;    /* not read from until the next tick: there was no memory */
    struct request request;
    char *bytes;
    size_t length;
    size_t capacity;
    struct merge merge; /* the answer, once it is given */
    size_t answered;    /* bytes of it that are written */
    void *work;
    LIST_ENTRY(client) link; /* free, or reading, or neither */
};

enum clients_kind {
    CLIENT_READ, /* the request is complete, and its queue file is locked */
    CLIENT_GONE, /* the connection has ended after that */
};

typedef void (*clients_sink)(void *context, enum clients_kind kind, struct client *client);

struct clients_config {
    struct loop *loop;
    struct budget *budget; /* clients_max connections at a time */
    struct complaints *complaints;
    struct totals *totals; /* counts requests and refused */
    int queue_directory;
    const char *hash_queue_names;
    unsigned hash_queue_depth;
    uint64_t timeout; /* for a request that does not come to its end: ipc_timeout, us */
    int socket;       /* the first of `sockets` listening sockets */
    unsigned sockets;
    int status; /* master's status channel */
    pid_t pid;  /* whom master knows */
    unsigned generation;
    clients_sink sink;
    void *context;
};

int clients_create(struct clients **out, const struct clients_config *config);
void clients_destroy(struct clients *clients);

/* What connections are greeted with from now on: a worker's greeting. At most GREETING_MAX. */
void clients_greet(struct clients *clients, const char *greeting, size_t length);

/* `room` more connections may be accepted until the next call; 0 stops listening. */
void clients_listen(struct clients *clients, unsigned room);

/* Closes the listening sockets: another process accepts from now on. clients_listen() is not to be
 * called any more. */
void clients_leave(struct clients *clients);

/* Calls `each` for every client that the router has and that still waits for its answer. */
void clients_each(struct clients *clients, void (*each)(void *context, struct client *client),
                  void *context);

/* Its queue file is not where the request says any more: a new qmgr(8) is there. */
bool client_moved(const struct client *client);

/*
 * Answers the client with `merge` and takes it over; one that expects nothing stands for the bare
 * deferral. The client, its bytes and its lock are gone when this returns, or when the rest of the
 * answer is written.
 */
void client_answer(struct client *client, struct merge *merge);

/* Its queue file has at least so many bytes. */
bool client_larger(const struct client *client, off_t size);

/* Once a second: refuses what does not come to its end, tries again what lacked a descriptor. */
void clients_tick(struct clients *clients);

struct clients_view {
    unsigned held;      /* connections, and requests whose connection has gone */
    unsigned connected; /* of these, connections */
    unsigned reading;   /* of these, not complete yet */
};

struct clients_view clients_view(const struct clients *clients);

#endif

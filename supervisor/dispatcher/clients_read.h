#ifndef SUPERVISOR_DISPATCHER_CLIENTS_READ_H
#define SUPERVISOR_DISPATCHER_CLIENTS_READ_H

/*
 * What clients.c (connections: accept, greet, answer, close) and clients_read.c (the request on
 * one) share. Internal to the two.
 */

#include "agents/limits.h"
#include "agents/master.h"
#include "supervisor/dispatcher/clients.h"

struct clients {
    struct clients_config config;
    struct client *client; /* clients_max of them */
    unsigned touched;      /* used ever: the memory of the others is not there yet */
    unsigned held;
    unsigned connected;
    unsigned reading_count;
    unsigned room; /* how many more may be accepted */
    bool announced;
    LIST_HEAD(, client) free;
    LIST_HEAD(, client) reading;
    struct watch listen[MASTER_SOCKETS_MAX];
    char greeting[GREETING_MAX];
    size_t greeting_length;
};

/* clients.c */

/* Takes the step that the table has for the event. Returns what goes with it. */
enum client_action client_take_step(struct client *client, enum client_event event);

/* The connection has ended. Tells the sink if the router has the request. */
void client_hung_up(struct client *client);

/* Writes the answer, or the rest of it. A request that never had a part gets the bare deferral. */
void client_write_answer(struct client *client);

/* clients_read.c */

/* Reads what is there of the request. Tells the sink when it is complete and locked. */
void client_read(struct client *client);

#endif

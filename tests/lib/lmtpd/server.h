#ifndef TESTS_LIB_LMTPD_SERVER_H
#define TESTS_LIB_LMTPD_SERVER_H

/*
 * What the files of the LMTP server share. What it does is told in tests/lib/lmtpd.c, which has the main loop;
 *
 *   listener.c    where it listens, new connections
 *   connection.c  the greeting, input and output of one connection, its end
 *   dialogue.c    LMTP: the commands of a client, and what it is answered to its message
 *   waiting.c     who waits for an answer, and until when
 *   control.c     the commands of the test, the figures
 *
 * All times are in us, by CLOCK_MONOTONIC where nothing else is said.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "tests/lib/behaviour.h"
#include "tests/lib/endpoint.h"
#include "tests/lib/message_scan.h"

#define INPUT_MAX 4096
#define RECIPIENTS_MAX 200
#define OUTPUT_MAX 65536
#define CONTROL_MAX 8192
#define EVENTS_MAX 256
#define NEVER UINT64_MAX

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
    uint64_t data_end; /* when the whole message was there, or when its turn comes */
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
    bool in_turn;
    bool extensions;
    bool greet_close, quit, listener_paused;
    unsigned refuse_percent;
    unsigned recipients_most; /* of a transaction; 0: RECIPIENTS_MAX */
    unsigned queue_most; /* that may wait, where one is delivered after the other; 0: none has to */
    uint64_t queue_end;  /* when those that wait will have been delivered */
    unsigned replies_most; /* to a message, then the connection is closed; 0: all */
    uint64_t random;
    struct connection **heap; /* binary, the earliest first */
    size_t heap_count, heap_size;
    char out[OUTPUT_MAX]; /* answers collected while one connection is served */
    size_t out_length;
};

static inline uint64_t clock_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

/* listener.c */

/* 0 or a negative errno; 0 also when it listens, or does not, already. */
int listener_start(struct server *server);
void listener_stop(struct server *server);

/* Without descriptors there is no use in being told that somebody waits. */
void listener_pause(struct server *server, bool pause);

void listener_accept(struct server *server);

/* connection.c */

/* Adds to what the client that is being served is told. */
__attribute__((format(printf, 2, 3))) void server_answer(struct server *server, const char *format,
                                                         ...);

/* epoll has something to tell of it. May free it. */
void connection_event(struct server *server, struct connection *connection, uint32_t events);

/* It gets the answer that it has been waiting for. May free it. */
void connection_due(struct server *server, struct connection *connection, uint64_t now);

/* Closes it, with a reset or in order. */
void connection_free(struct server *server, struct connection *connection, bool reset);

/* dialogue.c */

/* Works off whole lines until there is none, or an answer has to wait; false when the connection has to be reset. */
bool dialogue_lines(struct server *server, struct connection *connection);

/* Answers the message for as many recipients as are due; false when the connection has to be reset. */
bool dialogue_answer_message(struct server *server, struct connection *connection, uint64_t now);

/* The transaction is over: frees what is known of it. */
void dialogue_forget(struct connection *connection);

/* waiting.c */

/*
 * Waits for its answer (row: for whose sake) or, with NEVER and -1, not any more. Those who wait for ever are in the heap
 * too, where `heal` finds them. The heap always has room for every open connection.
 */
void waiting_until(struct server *server, struct connection *connection, uint64_t due, int row);

/* Somebody who is due by now, or NULL. */
struct connection *waiting_due(const struct server *server, uint64_t now);

/* Everybody who waits is due now. The answers are given by the main loop. */
void waiting_release(struct server *server);

/* How long until somebody is due, in ms for epoll_wait(2). */
int waiting_timeout(const struct server *server);

/* control.c */

/* Obeys one command, which it cuts into words; writes the answer and returns its length. */
size_t control_obey(struct server *server, char *text, char *reply, size_t size);

/* A command has come. */
void control_serve(struct server *server);

/* The other side: sends a command to the server with that socket, prints the answer. Returns the exit status. */
int control_tell(const char *path, char **words, int count);

/* To the file of --stats. */
void control_write_figures(const struct server *server);

#endif

#ifndef SUPERVISOR_PARENT_CHILDREN_H
#define SUPERVISOR_PARENT_CHILDREN_H

/*
 * The children of the parent: the dispatcher, and the workers by their numbers. Starts workers in
 * the pool's group, exactly as master(8) would, signals and reaps all, and tells the dispatcher of
 * a worker's start and end. What the dispatcher does not read at once is told again later; room for
 * that is allocated once, so only fork(2) can fail for lack of memory.
 *
 * A number is free when its worker was reaped and both its start and its end were told.
 * Times are CLOCK_MONOTONIC in microseconds.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agents/master.h"
#include "supervisor/parent/channel.h"
#include "supervisor/parent/forks.h"
#include "supervisor/parent/parent.h"

/* SIGTERM must end all within a second; a worker dies of it at once, unless it is stopped. */
#define END_WORKERS UINT64_C(600000) /* us */
#define REAP_KILLED UINT64_C(200000) /* us */
/* After a reload nobody waits but a successor; a client of one that is killed gets no answer. */
#define END_DISPATCHER UINT64_C(2000000) /* us */

/* A worker's start and its end; its number is not used again before both are told. */
#define NEWS_MAX 2

/* One worker number: its process, and what the dispatcher has not been told yet. */
struct slot {
    pid_t pid;
    unsigned untold;
    struct channel_message news[NEWS_MAX]; /* in order */
};

struct children {
    const struct parent *parent;
    struct slot *slot;
    unsigned untold;
    struct forks forks;
    char **environment;
    char generation_entry[MASTER_GENERATION_SIZE];
    unsigned generation;
    sigset_t signals; /* the ones that are read from the descriptor */
    int signal_fd;
    uint64_t group_pause; /* until group_again; 0: the group is there. Else its loss was said. */
    uint64_t group_again; /* when it is tried to make it again */
    bool signal_failed;   /* and it was said */
    bool dispatcher_ended;
    int dispatcher_status;
};

/* 0, or a negative errno. children_close() is to be called in either case. */
int children_open(struct children *children, const struct parent *parent);
void children_close(struct children *children);

/* Starts the worker that `wish` names; takes both descriptors. -EBADMSG: its number is not free. */
int children_start(struct children *children, const struct channel_message *wish,
                   const int fds[CHANNEL_DESCRIPTORS]);

/* Kills the worker that `wish` names, if it runs. -EBADMSG: there is no such number. */
int children_kill(struct children *children, const struct channel_message *wish);

/* Tells what the dispatcher did not read; what it does not read now either stays. */
void children_tell_again(struct children *children);

/* A child that is not reaped cannot be another process. A failure is logged once. */
void children_signal(struct children *children, pid_t pid, int signal);

/* Reads the signals and reaps. Returns the one that ends us, or 0. */
int children_signals(struct children *children);

unsigned children_left(const struct children *children, bool with_workers);

/* Reaps until the clock says `deadline` or none is left. */
void children_wait(struct children *children, bool with_workers, uint64_t deadline);

/* Ends the template, and reaps it. */
void children_template_end(struct children *children);

/* Ends the dispatcher and the workers within a second, by SIGKILL if need be. */
void children_end(struct children *children);

#endif

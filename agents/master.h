#ifndef AGENTS_MASTER_H
#define AGENTS_MASTER_H

/*
 * What master(8) and its child say to each other: arguments, descriptors, GENERATION, the status
 * channel. Facts: postfix-protocol.md 1 (master to child), 2.1 (options of a stock agent).
 *
 * Functions return 0 (or what is said below) or a negative errno. Where there is an `error` buffer,
 * a failure leaves one line for the log in it, without a newline.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agents/master_file.h"

/* Descriptors that master(8) leaves open in a child (postfix-protocol.md 1.2). A worker expects the
 * same. */
#define MASTER_FLOW_READ 3
#define MASTER_FLOW_WRITE 4
#define MASTER_STATUS_FD 5
#define MASTER_LISTEN_FD 6

/* Words of one master.cf line that are taken: a line with a hundred `-o` has two hundred. */
#define MASTER_WORDS_MAX 512
/* `-o`, `-i` and `-m` of one line. */
#define MASTER_SETTINGS_MAX 256
/* private/NAME must fit a socket address of 108 bytes, so a longer service cannot exist. */
#define MASTER_SERVICE_MAX 99
/* `-i` and `-m` are kept as settings ("max_idle=100s"); room for any number with a unit. */
#define MASTER_SHORT_SETTING_SIZE 48
/* Of type unix a service has one socket; master gives more for inet only, which is refused. */
#define MASTER_SOCKETS_MAX 64
/* argv of a worker: agent, -l -n NAME -t unix, "-x argument" for each word, and the NULL. */
#define MASTER_WORKER_ARGUMENTS_MAX (6 + 2 * MASTER_WORDS_MAX + 1)

/*
 * The command line, understood. Points into argv (which the process keeps) and into itself: do not
 * copy it, hand on its address.
 */
struct master_arguments {
    const char *service;     /* -n, else the last part of argv[0] */
    const char *config_file; /* -C, ours; NULL when not given */
    unsigned sockets;        /* -s, else 1: listening sockets from MASTER_LISTEN_FD on */
    unsigned verbose;        /* how many -v */
    bool unprivileged;       /* -u: workers become mail_owner */
    bool chroot;             /* -c: workers change root to queue_directory */
    int limit; /* process limit: 1 for -l, 0 (unlimited) for -z, else MASTER_LIMIT_DEFAULT */

    /* "name=value" of each -o, -i (max_idle=) and -m (max_use=), in order; ends with NULL. */
    const char *setting[MASTER_SETTINGS_MAX + 1];
    size_t settings;

    /* Further words for workers, in order, options taken apart: "-vo a=b" is -v, -o, a=b. */
    const char *word[2 * MASTER_WORDS_MAX];
    size_t words;

    char idle[MASTER_SHORT_SETTING_SIZE];
    char use[MASTER_SHORT_SETTING_SIZE];
};

/*
 * Understands what master(8) gives (-l -z -n NAME -t TYPE -d -v -u -c -o stress= -s N) and what an
 * operator adds to the line (-o, -v, flags= words and whatever else a stock agent takes). Not
 * reentrant (getopt). -EINVAL with one line in `error`: unknown option, a type other than unix (the
 * line says what to write in master.cf), -S, no -t at all (started by hand), a service name that
 * cannot be a file name; -E2BIG: too many words.
 */
int master_arguments_parse(int argc, char **argv, struct master_arguments *out, char *error,
                           size_t error_size);

/*
 * argv of a worker: AGENT -l -n NAME -t unix, then all that was given, in order, without -C, -l,
 * -z, -s, -t and -n. The basename of `agent` selects the parameters that a stock program reads
 * (postfix-protocol.md 2.2). The pointers live as long as `arguments` and `agent`; argv_out is
 * closed with NULL. MASTER_WORKER_ARGUMENTS_MAX is always enough; else -E2BIG. To be called once at
 * start: nothing is allocated then or later.
 */
int master_worker_arguments(const struct master_arguments *arguments, const char *agent,
                            char **argv_out, size_t size);

/*
 * The descriptors of 1.2 are open, and `sockets` listening sockets begin at MASTER_LISTEN_FD.
 * -EBADF (or -ENOTSOCK) with a line that says that the program is started by master(8) from
 * master.cf.
 */
int master_descriptors_check(unsigned sockets, char *error, size_t error_size);

/*
 * GENERATION from the environment: octal digits, an int without sign. NULL (absent) is 0, as a
 * stock agent takes it; anything else is refused with -EINVAL.
 */
int master_generation_parse(const char *text, unsigned *out);

/* "GENERATION=" and the longest number. */
#define MASTER_GENERATION_SIZE 24

/* The entry of a worker's environment, "GENERATION=17" for 15. */
void master_generation_format(unsigned generation, char out[MASTER_GENERATION_SIZE]);

/* avail of a status message. */
#define MASTER_TAKEN 0
#define MASTER_AVAILABLE 1

/* The status message: three ints of the machine, without padding, 12 bytes (postfix-protocol.md
 * 1.3). */
struct master_status {
    int pid;
    unsigned generation;
    int available;
};

/*
 * Tells master, once and early, TAKEN and AVAIL. Only that transition makes a later crash a crash
 * and not a failed start, for which master would throttle the service for a minute (1.5). Both go
 * in one write of 24 bytes: after a TAKEN alone master sees a service without an idle process and
 * starts a second one for the next connection. Blocks when master does not read (it does). SIGPIPE
 * is ignored below master; -EPIPE when master is gone.
 */
int master_status_announce(int fd, pid_t pid, unsigned generation);

/* TAKEN alone: this process takes no connection any more. 0 or a negative errno. */
int master_status_busy(int fd, pid_t pid, unsigned generation);

/*
 * Throws away what a worker has said on its status channel, so that it never has to wait there. The
 * descriptor must be O_NONBLOCK. Nothing is decided by it: that a worker is available is known from
 * its reply, before it says so, and its end from the end of the channel.
 */
void master_status_discard(int fd);

#endif

#ifndef SUPERVISOR_CTL_H
#define SUPERVISOR_CTL_H

/*
 * headroomctl: what its verbs share. Each verb is a file ctl_VERB.c; it only reads, but for files
 * that it is told to write.
 *
 * A verb returns the exit status of the program. Errors are one line on standard error with the
 * cure, by ctl_error().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "agents/master_file.h"
#include "agents/postconf.h"
#include "supervisor/report/status.h"

/* Services of one Postfix. */
#define CTL_SERVICES_MAX 32

/* Exit statuses of status, as issue and manual have them; and of everything else that fails. */
enum ctl_exit {
    CTL_OPEN = 0,
    CTL_SHORT = 1, /* hold or shrink */
    CTL_SHED = 2,
    CTL_STOPPED = 3, /* not running, or not answering */
    CTL_FAILED = 4,  /* it cannot be told: the words, the rights, a damaged file */
};

struct ctl {
    const char *config_directory; /* -c, or NULL */
    struct postconf postconf;     /* after ctl_open() */
};

enum ctl_running {
    CTL_RUNS,
    CTL_RUNS_NOT,
    CTL_UNKNOWN, /* the lock may not be opened */
};

/* What a snapshot is worth. */
enum ctl_life {
    CTL_ANSWERS,
    CTL_SILENT, /* its dispatcher is stopped, or has written nothing for CTL_SILENT_AFTER */
    CTL_ENDED,
    CTL_WAITS, /* ended in order or never started: master(8) starts it with the next mail */
};

/* A dispatcher replaces its snapshot at least every 10 s. Microseconds. */
#define CTL_SILENT_AFTER INT64_C(30000000)

/* A delivery that runs for longer has a line in status, and is what busy shows. Microseconds. */
#define CTL_BUSY_AFTER (INT64_C(600) * 1000000)

struct ctl_services {
    size_t count;
    char name[CTL_SERVICES_MAX][STATUS_NAME_SIZE];
};

__attribute__((format(printf, 1, 2))) void ctl_error(const char *format, ...);

/* Asks Postfix for its parameters. 0, or CTL_FAILED after a line. */
int ctl_open(struct ctl *ctl);

/*
 * The services of master.cf that run headroom, and those that were taken out of it and still run;
 * or the one that is named. 0, or CTL_FAILED after a line, also when there is none.
 */
int ctl_services(const struct ctl *ctl, const char *named, struct ctl_services *services);

/* Adds those of master.cf only: that needs no rights. 0, or CTL_FAILED after a line. */
int ctl_services_configured(const struct ctl *ctl, struct ctl_services *services);

/*
 * The beginning of a verb that takes one service behind its options (getopt(3)), or none:
 * ctl_open() and ctl_services(). `single`: it shows one service only. 0, or CTL_FAILED after a
 * line.
 */
int ctl_begin(struct ctl *ctl, const char *verb, bool single, int argc, char **argv,
              struct ctl_services *services);

/* Reads master.cf; `master` points into *text, to be freed. 0, or CTL_FAILED after a line. */
int ctl_read_master(const struct ctl *ctl, char **text, struct master_file *master);

/* By the lock pid/headroom.SERVICE of supervisor/parent/setup.h, which is held while it runs. */
enum ctl_running ctl_running(const struct ctl *ctl, const char *service);

/* The snapshot. 0; -ENOENT: none was written; or another negative errno. */
int ctl_load(const struct ctl *ctl, const char *service, struct status *status);

/* The same, with a line for people when it fails. 0 or CTL_FAILED. */
int ctl_load_or_say(const struct ctl *ctl, const char *service, struct status *status);

/*
 * What the snapshot is worth at `now`. `process`: ctl_process_state() of its dispatcher. A lock
 * without that process is held by one that pauses before it exits with an error: it does not run.
 * Pure.
 */
enum ctl_life ctl_life_of(const struct status *status, enum ctl_running running, char process,
                          int64_t now);

/* The exit status that a state means. */
int ctl_exit_of(const struct status *status, enum ctl_life life);

/* The verbs; the words behind the verb are from argv[1] on. */
int ctl_status(struct ctl *ctl, int argc, char **argv);
int ctl_watch(struct ctl *ctl, int argc, char **argv);
int ctl_busy(struct ctl *ctl, int argc, char **argv);
int ctl_hold(struct ctl *ctl, int argc, char **argv);
int ctl_release(struct ctl *ctl, int argc, char **argv);
int ctl_retries(struct ctl *ctl, int argc, char **argv);
int ctl_history(struct ctl *ctl, int argc, char **argv);
int ctl_destinations(struct ctl *ctl, int argc, char **argv);
int ctl_check(struct ctl *ctl, int argc, char **argv);
int ctl_plot(struct ctl *ctl, int argc, char **argv);
int ctl_policy(struct ctl *ctl, int argc, char **argv);
int ctl_setup(struct ctl *ctl, int argc, char **argv);

#endif

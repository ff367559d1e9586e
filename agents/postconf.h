#ifndef AGENTS_POSTCONF_H
#define AGENTS_POSTCONF_H

/*
 * Postfix's parameters, asked from postconf(1) in one call at start (postfix-protocol.md 8).
 */

#include <limits.h>
#include <stddef.h>

/* Longest text that is taken for a name of a user, a service or the like. */
#define POSTCONF_NAME_SIZE 256
/* postconf answers in milliseconds; this is for a machine that swaps. */
#define POSTCONF_TIMEOUT_SECONDS 20
/* All values together are about 600 bytes; a tenth of this is the longest that fits the struct. */
#define POSTCONF_OUTPUT_MAX 65536

/* Times are in seconds. No text is empty, but for those that say so. */
struct postconf {
    char config_directory[PATH_MAX];
    char queue_directory[PATH_MAX];
    char data_directory[PATH_MAX];
    char daemon_directory[PATH_MAX];
    char maillog_file[PATH_MAX];   /* empty: Postfix logs with syslog(3) */
    char content_filter[PATH_MAX]; /* may be empty */
    char mail_owner[POSTCONF_NAME_SIZE];
    char syslog_name[POSTCONF_NAME_SIZE];
    char syslog_facility[POSTCONF_NAME_SIZE];
    char postlog_service_name[POSTCONF_NAME_SIZE];
    char myhostname[POSTCONF_NAME_SIZE];
    char hash_queue_names[POSTCONF_NAME_SIZE]; /* may be empty; separated by blanks or commas */
    int hash_queue_depth;
    int maximal_queue_lifetime;
    int bounce_queue_lifetime;
    int daemon_timeout;
    int ipc_timeout;
    int max_use;
    int default_process_limit;
    int qmgr_message_active_limit;
    int default_destination_concurrency_limit;
};

/*
 * Fills `out`. `config_directory` NULL: MAIL_CONFIG from the environment, which postconf honours
 * itself, else Postfix's own default. `overrides`: texts "name=value" as given to -o, later ones
 * win; ends with NULL, or is NULL. Forks, waits at most POSTCONF_TIMEOUT_SECONDS and leaves no
 * child behind. SIGCHLD must not be ignored. Takes 5 ms; 2 s when main.cf was changed within the
 * last two seconds (Postfix waits until a file has settled), 1 s more when it fails.
 *
 * A negative errno with one line in `error`: what postconf said for itself, or the parameter that
 * is missing, too long or not a number. -ETIMEDOUT: killed; -EPROTO: it failed or answered
 * nonsense; -EINVAL: a value cannot be used; else what the system said. `out` is then undefined.
 */
int postconf_read(const char *config_directory, const char *const *overrides, struct postconf *out,
                  char *error, size_t error_size);

/* The same with another program and time, in milliseconds. */
int postconf_read_with(const char *program, int timeout, const char *config_directory,
                       const char *const *overrides, struct postconf *out, char *error,
                       size_t error_size);

/*
 * The number that main.cf itself sets for a parameter, which is not one of its default: 1 with
 * *number, 0 when main.cf does not set it or sets no number, or a negative errno with a line in
 * `error`. For what master(8) reads: settings on a line of master.cf do not count. `program` NULL:
 * postconf(1), which is only run where main.cf has the name somewhere: a start has no time to lose.
 */
int postconf_main_number(const char *program, const char *config_directory, const char *name,
                         int *number, char *error, size_t error_size);

/*
 * Requests that qmgr(8) has under way for a next hop of the service at most, 0 when there is no limit:
 * SERVICE_destination_concurrency_limit as main.cf has it, where that is a number, else the default.
 * main.cf is read, because postconf(1) does not know the parameter of an agent that is not Postfix's.
 */
int postconf_concurrency(const struct postconf *postconf, const char *service);

/*
 * Understands "name = value" lines in any order. `text` is changed. Names that were not asked for
 * are passed over; of a name that is there twice the last one counts. -EINVAL with a line in
 * `error`.
 */
int postconf_parse(char *text, struct postconf *out, char *error, size_t error_size);

/*
 * A time as in main.cf: digits and at most one of s m h d w, else `unit`. -EINVAL for anything else
 * and for what does not fit an int.
 */
int postconf_time(const char *text, char unit, int *seconds);

#endif

/* agents/postconf: the real postconf(1) with a main.cf of our own, and programs that misbehave in its place. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "agents/postconf.h"
#include "agents/postconf_qmgr.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A directory of the test's own with one file in it. */
struct place {
    char directory[64];
    char file[128];
};

static void place_make(struct place *place, const char *name, const char *text, mode_t mode)
{
    /* Postfix reads a file that has just changed again until it is two seconds old: make it old. */
    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    FILE *file;

    (void)snprintf(place->directory, sizeof place->directory, "/tmp/headroom-postconf-XXXXXX");
    cr_assert_not_null(mkdtemp(place->directory));
    (void)snprintf(place->file, sizeof place->file, "%s/%s", place->directory, name);
    file = fopen(place->file, "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(place->file, mode), 0);
    cr_assert_eq(utimensat(AT_FDCWD, place->file, old, 0), 0);
}

static void place_remove(const struct place *place)
{
    (void)unlink(place->file);
    (void)rmdir(place->directory);
}

static const char main_cf[] =
    "compatibility_level = 3.6\n"
    "queue_directory = /srv/q\n"
    "data_directory = /srv/d\n"
    "daemon_directory = /srv/sbin\n"
    "mail_owner = nobody\n"
    "syslog_name = ${multi_instance_name?{$multi_instance_name}:{relay}}\n"
    "syslog_facility = local3\n"
    "maillog_file = /var/log/relay.log\n"
    "postlog_service_name = plog\n"
    "myhostname = relay.example\n"
    "hash_queue_names =\n"
    "    deferred,\n"
    "    active\n"
    "hash_queue_depth = 2\n"
    "maximal_queue_lifetime = 2\n"
    "bounce_queue_lifetime = $maximal_queue_lifetime\n"
    "daemon_timeout = 90\n"
    "ipc_timeout = 1w\n"
    "max_use = 44\n"
    "default_process_limit = 500\n"
    "qmgr_message_active_limit = 20000\n"
    "default_destination_concurrency_limit = 40\n"
    "relay-b_destination_concurrency_limit=700\n"
    "relay-b_destination_concurrency_limit =  900 \n"
    "  # relay-c_destination_concurrency_limit = 3\n"
    "relay-d_destination_concurrency_limit = $default_destination_concurrency_limit\n";

Test(postconf, real)
{
    struct place place;
    struct postconf values;
    char error[400] = "";

    place_make(&place, "main.cf", main_cf, 0644);
    cr_assert_eq(postconf_read(place.directory, NULL, &values, error, sizeof error), 0, "%s",
                 error);
    cr_expect_str_eq(values.config_directory, place.directory);
    cr_expect_str_eq(values.queue_directory, "/srv/q");
    cr_expect_str_eq(values.data_directory, "/srv/d");
    cr_expect_str_eq(values.daemon_directory, "/srv/sbin");
    cr_expect_str_eq(values.mail_owner, "nobody");
    cr_expect_str_eq(values.syslog_name, "relay");
    cr_expect_str_eq(values.syslog_facility, "local3");
    cr_expect_str_eq(values.maillog_file, "/var/log/relay.log");
    cr_expect_str_eq(values.postlog_service_name, "plog");
    cr_expect_str_eq(values.myhostname, "relay.example");
    cr_expect_str_eq(values.hash_queue_names, "deferred, active");
    cr_expect_eq(values.hash_queue_depth, 2);
    cr_expect_eq(values.maximal_queue_lifetime, 2 * 86400);
    cr_expect_eq(values.bounce_queue_lifetime, 2 * 86400);
    cr_expect_eq(values.daemon_timeout, 90);
    cr_expect_eq(values.ipc_timeout, 604800);
    cr_expect_eq(values.max_use, 44);
    cr_expect_eq(values.default_process_limit, 500);
    cr_expect_eq(values.default_destination_concurrency_limit, 40);
    cr_expect_eq(postconf_concurrency(&values, "relay-b"), 900, "the last one counts");
    cr_expect_eq(postconf_concurrency(&values, "relay"), 40);
    cr_expect_eq(postconf_concurrency(&values, "relay-c"), 40);
    cr_expect_eq(postconf_concurrency(&values, "relay-d"), 40);
    place_remove(&place);
}

/* Postfix's documented defaults (postconf(5)). */
Test(postconf, defaults)
{
    struct place place;
    struct postconf values;
    char error[400] = "";

    place_make(&place, "main.cf", "compatibility_level = 3.6\nmyhostname = a.example\n", 0644);
    cr_assert_eq(postconf_read(place.directory, NULL, &values, error, sizeof error), 0, "%s",
                 error);
    cr_expect_str_eq(values.maillog_file, "");
    cr_expect_str_eq(values.syslog_name, "postfix");
    cr_expect_str_eq(values.syslog_facility, "mail");
    cr_expect_eq(values.maximal_queue_lifetime, 5 * 86400);
    cr_expect_eq(values.daemon_timeout, 18000);
    cr_expect_eq(values.ipc_timeout, 3600);
    cr_expect_eq(values.max_use, 100);
    place_remove(&place);
}

/* What a line of master.cf overrides; the last one counts, and a name that Postfix does not know does no harm. */
Test(postconf, overrides)
{
    static const char *const overrides[] = {"daemon_timeout=1h",
                                            "queue_directory = /elsewhere",
                                            "syslog_name=",
                                            "daemon_timeout=9s",
                                            "syslog_name=postfix/relay",
                                            "our_own=1",
                                            NULL};
    struct place place;
    struct postconf values;
    char error[400] = "";

    place_make(&place, "main.cf", main_cf, 0644);
    cr_assert_eq(postconf_read(place.directory, overrides, &values, error, sizeof error), 0, "%s",
                 error);
    cr_expect_eq(values.daemon_timeout, 9);
    cr_expect_str_eq(values.queue_directory, "/elsewhere");
    cr_expect_str_eq(values.syslog_name, "postfix/relay");
    cr_expect_eq(values.max_use, 44);
    place_remove(&place);
}

Test(postconf, mail_config)
{
    struct place place;
    struct postconf values;
    char error[400] = "";

    place_make(&place, "main.cf", main_cf, 0644);
    cr_assert_eq(setenv("MAIL_CONFIG", place.directory, 1), 0);
    cr_assert_eq(postconf_read(NULL, NULL, &values, error, sizeof error), 0, "%s", error);
    cr_expect_str_eq(values.config_directory, place.directory);
    cr_expect_str_eq(values.queue_directory, "/srv/q");
    place_remove(&place);
}

Test(postconf, unusable_values)
{
    static const struct {
        const char *setting;
        const char *reason;
    } cases[] = {
        {"daemon_timeout=5x", "daemon_timeout = 5x"},
        {"max_use=3.5", "max_use = 3.5"},
        {"hash_queue_depth=-1", "hash_queue_depth"},
        {"mail_owner=", "mail_owner is empty"},
        {"maximal_queue_lifetime=99999999w", "maximal_queue_lifetime"},
    };
    struct place place;
    struct postconf values;
    char error[400];

    place_make(&place, "main.cf", main_cf, 0644);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *const overrides[] = {cases[i].setting, NULL};

        error[0] = '\0';
        cr_expect_lt(postconf_read(place.directory, overrides, &values, error, sizeof error), 0);
        cr_expect_not_null(strstr(error, cases[i].reason), "%s: %s", cases[i].setting, error);
    }
    place_remove(&place);
}

Test(postconf, value_too_long)
{
    struct place place;
    struct postconf values;
    char setting[POSTCONF_NAME_SIZE + 32] = "myhostname=";
    const char *const overrides[] = {setting, NULL};
    char error[400] = "";
    size_t name = strlen(setting);

    place_make(&place, "main.cf", main_cf, 0644);
    memset(setting + name, 'a', POSTCONF_NAME_SIZE - 1);
    cr_expect_eq(postconf_read(place.directory, overrides, &values, error, sizeof error), 0, "%s",
                 error);
    setting[name + POSTCONF_NAME_SIZE - 1] = 'a';
    cr_expect_eq(postconf_read(place.directory, overrides, &values, error, sizeof error), -EINVAL);
    cr_expect_not_null(strstr(error, "myhostname is longer than 255"), "%s", error);
    place_remove(&place);
}

/* Broken main.cf: what postconf says, without the warnings in front of it. */
/* One second: Postfix waits before it dies. */
Test(postconf, says_why)
{
    struct place place;
    struct postconf values;
    char error[400] = "";

    place_make(&place, "main.cf", "nothing here\n", 0644);
    cr_expect_eq(postconf_read(place.directory, NULL, &values, error, sizeof error), -EPROTO);
    cr_expect_not_null(strstr(error, "fatal: "), "%s", error);
    cr_expect_not_null(strstr(error, "nothing here"), "%s", error);
    cr_expect_null(strchr(error, '\n'));
    place_remove(&place);
}

/* What this service's line says of qmgr(8)'s parameters is for its own agents; qmgr's line counts. */
Test(postconf, parameters_of_qmgr)
{
    static const char *const ours[] = {"maximal_queue_lifetime=9d", "daemon_timeout=10s",
                                       "max_use=7", NULL};
    static const struct {
        const char *line;
        int lifetime;
        int bounces;
        int timeout;
        int again;
    } cases[] = {
        {"qmgr unix n - n 300 1 qmgr", 2 * 86400, 2 * 86400, 90, 11},
        {"qmgr fifo n - n 300 1 nqmgr\n  -o daemon_timeout=1h", 2 * 86400, 2 * 86400, 3600, 3600},
        {"qmgr unix n - n 300 1 qmgr -v\n -o { maximal_queue_lifetime = 4h } -o max_use=9", 14400,
         14400, 90, 90},
        {"other unix - - n - - qmgr -o maximal_queue_lifetime=4h", 2 * 86400, 2 * 86400, 90, 11},
    };
    struct place place;
    struct postconf values;
    char error[400] = "", path[128];

    place_make(&place, "main.cf", main_cf, 0644);
    snprintf(path, sizeof path, "%s/master.cf", place.directory);
    for (size_t i = 0; i < COUNT(cases); i++) {
        FILE *file = fopen(path, "we");

        cr_assert_not_null(file);
        fprintf(file, "%s\n", cases[i].line);
        cr_assert_eq(fclose(file), 0);
        cr_assert_eq(postconf_read(place.directory, ours, &values, error, sizeof error), 0);
        cr_expect_eq(values.maximal_queue_lifetime, 9 * 86400);
        cr_expect_eq(postconf_read_qmgr(&values, ours, error, sizeof error), 0, "%s", error);
        cr_expect_eq(values.maximal_queue_lifetime, cases[i].lifetime, "%zu", i);
        cr_expect_eq(values.bounce_queue_lifetime, cases[i].bounces, "%zu", i);
        cr_expect_eq(values.daemon_timeout, cases[i].timeout, "%zu", i);
        cr_expect_eq(values.max_use, 7);
        /* Without overrides what is known of main.cf holds, and only those of qmgr's line count. */
        values.daemon_timeout = 11;
        cr_expect_eq(postconf_read_qmgr(&values, NULL, error, sizeof error), 0, "%s", error);
        cr_expect_eq(values.daemon_timeout, cases[i].again, "%zu", i);
    }
    values.daemon_timeout = 90;
    unlink(path);
    cr_expect_eq(postconf_read_qmgr(&values, NULL, error, sizeof error), -ENOENT);
    cr_expect_not_null(strstr(error, "/master.cf: "));
    cr_expect_eq(values.daemon_timeout, 90);
    place_remove(&place);
}

static int with_script(const char *script, int timeout, char *error, size_t size)
{
    struct place place;
    struct postconf values;
    int result;

    place_make(&place, "postconf", script, 0755);
    result = postconf_read_with(place.file, timeout, NULL, NULL, &values, error, size);
    place_remove(&place);
    return result;
}

Test(postconf, programs_that_misbehave)
{
    static const struct {
        const char *script;
        int timeout;
        int result;
        const char *reason;
    } cases[] = {
        {"#!/bin/sh\nexit 0\n", 5000, -EINVAL, "config_directory: "},
        {"#!/bin/sh\necho config_directory = /etc\n", 5000, -EINVAL, "queue_directory: "},
        {"#!/bin/sh\nexit 3\n", 5000, -EPROTO, "failed: it said nothing"},
        {"#!/bin/sh\necho one >&2\necho two >&2\nexit 1\n", 5000, -EPROTO, "failed: one"},
        {"#!/bin/sh\necho warning: one >&2\necho two >&2\nexit 1\n", 5000, -EPROTO, "failed: two"},
        {"#!/bin/sh\nkill -9 $$\n", 5000, -EPROTO, "signal 9"},
        {"#!/nonexistent\n", 5000, -EPROTO, "cannot be run"},
        {"#!/bin/sh\nexec sleep 60\n", 100, -ETIMEDOUT, "was killed"},
        {"#!/bin/sh\nexec sleep 60 >&- 2>&-\n", 100, -ETIMEDOUT, "was killed"},
        {"#!/bin/sh\nexec cat /dev/zero\n", 5000, -EPROTO, "wrote more than 65535"},
        {"#!/bin/sh\nexec cat /dev/zero >&2\n", 100, -ETIMEDOUT, "was killed"},
    };
    char error[400];

    for (size_t i = 0; i < COUNT(cases); i++) {
        error[0] = '\0';
        cr_expect_eq(with_script(cases[i].script, cases[i].timeout, error, sizeof error),
                     cases[i].result, "case %zu: %s", i, error);
        cr_expect_not_null(strstr(error, cases[i].reason), "case %zu: %s", i, error);
        errno = 0;
        cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "case %zu: a child is left", i);
        cr_expect_eq(errno, ECHILD);
    }
}

/* The caller waits for signals with all of them blocked, and has descriptors that are nobody else's business. */
Test(postconf, child_is_clean)
{
    /* grep itself, since a shell clears its mask: status 0 when it finds a blocked signal, 2 for the rest of its words */
    static const char blocked[] =
        "#!/usr/bin/env -S grep -q SigBlk:.*[1-9a-f].* /proc/self/status\n";
    static const char descriptor[] = "#!/bin/sh\n"
                                     "[ -e /proc/$$/fd/50 ] && exit 1\n"
                                     "echo fine >&2; exit 3\n";
    char error[400] = "";
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    cr_expect_eq(with_script(blocked, 5000, error, sizeof error), -EPROTO, "%s", error);
    cr_assert_eq(dup2(STDOUT_FILENO, 50), 50);
    cr_expect_eq(with_script(descriptor, 5000, error, sizeof error), -EPROTO);
    cr_expect_not_null(strstr(error, "failed: fine"), "%s", error);
}

Test(postconf, parse_is_not_put_off)
{
    struct postconf values;
    char junk[] = "\n\n=\n = \nno equals sign\nmax_use\nMAX_USE = 1\nunknown = x\nmax_use = 1\n";
    char error[400] = "";

    cr_expect_eq(postconf_parse(junk, &values, error, sizeof error), -EINVAL);
    cr_expect_not_null(strstr(error, "config_directory"), "%s", error);
    cr_expect_eq(values.max_use, 1);
}

Test(postconf, time)
{
    static const struct {
        const char *text;
        int result;
        int seconds;
    } cases[] = {
        {"0", 0, 0},
        {"7", 0, 7 * 86400},
        {"7s", 0, 7},
        {"7m", 0, 420},
        {"7h", 0, 25200},
        {"7d", 0, 604800},
        {"7w", 0, 4233600},
        {"2147483647s", 0, 2147483647},
        {"2147483648s", -EINVAL, -1},
        {"99999999999999999999s", -EINVAL, -1},
        {"3551w", -EINVAL, -1},
        {"", -EINVAL, -1},
        {"s", -EINVAL, -1},
        {"-1s", -EINVAL, -1},
        {"+1s", -EINVAL, -1},
        {" 1s", -EINVAL, -1},
        {"1 s", -EINVAL, -1},
        {"1ss", -EINVAL, -1},
        {"1S", -EINVAL, -1},
        {"1.5h", -EINVAL, -1},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        int seconds = -1;

        cr_expect_eq(postconf_time(cases[i].text, 'd', &seconds), cases[i].result, "\"%s\"",
                     cases[i].text);
        if (cases[i].result == 0)
            cr_expect_eq(seconds, cases[i].seconds, "\"%s\"", cases[i].text);
    }
}

/* Its default is 100, too: what is asked is whether main.cf sets it. */
Test(postconf, number_of_main_cf)
{
    struct place place;
    char error[256];
    int number = 0;

    place_make(&place, "main.cf", "compatibility_level = 3.6\nmax_use = 7\n", 0644);
    cr_expect_eq(postconf_main_number(NULL, place.directory, "default_process_limit", &number,
                                      error, sizeof error),
                 0);
    /* What main.cf does not have is not asked for. */
    cr_expect_eq(postconf_main_number("/bin/false", place.directory, "default_process_limit",
                                      &number, error, sizeof error),
                 0);
    cr_expect_eq(
        postconf_main_number(NULL, place.directory, "max_use", &number, error, sizeof error), 1);
    cr_expect_eq(number, 7);
    place_remove(&place);
    place_make(&place, "main.cf",
               "compatibility_level = 3.6\nmany = 100\ndefault_process_limit = $many\n", 0644);
    cr_expect_eq(postconf_main_number(NULL, place.directory, "default_process_limit", &number,
                                      error, sizeof error),
                 1);
    cr_expect_eq(number, 100);
    cr_expect_lt(postconf_main_number("/bin/false", place.directory, "default_process_limit",
                                      &number, error, sizeof error),
                 0);
    cr_expect_gt(strlen(error), 0);
    place_remove(&place);
}

#ifndef TESTS_UNIT_JOURNALD_H
#define TESTS_UNIT_JOURNALD_H

/*
 * A socket in the place of journald's, in mounts of the test's own, and a log that writes to it. A
 * test that may not have mounts is skipped.
 */

#include <criterion/criterion.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "supervisor/journal/journal.h"

/* Longer than anything takes, also under load; only a failure waits for it. ms */
#define PATIENCE 5000

static struct {
    struct journal *journal;
    int descriptor;
    char line[8192]; /* the last one, in journald's native form */
} journald;

static inline void journald_open(void)
{
    static const char name[] = "/run/systemd/journal/socket";
    const struct journal_options options = {.syslog_name = "test", .service = "relay"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        cr_skip_test("no mounts of one's own here");
    cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mount("none", "/run", "tmpfs", 0, NULL), 0);
    cr_assert(mkdir("/run/systemd", 0755) == 0 && mkdir("/run/systemd/journal", 0755) == 0);
    memcpy(address.sun_path, name, sizeof name);
    journald.descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(journald.descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(journal_open(&journald.journal, &options), 0);
}

static inline void journald_close(void)
{
    if (journald.journal)
        journal_close(journald.journal, PATIENCE);
}

/* The value of a field of the last line: "NAME=value\n" each. */
static inline const char *journald_field(const char *name)
{
    static char value[2048];
    size_t length = strlen(name);
    const char *end;

    for (const char *at = journald.line; *at != '\0'; at = end + 1) {
        end = strchr(at, '\n');
        cr_assert_not_null(end);
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            snprintf(value, sizeof value, "%.*s", (int)(end - at - (long)length - 1),
                     at + length + 1);
            return value;
        }
    }
    cr_assert_fail("no %s in %s", name, journald.line);
    return "";
}

static inline uint64_t journald_number(const char *name)
{
    return strtoull(journald_field(name), NULL, 10);
}

static inline const char *journald_text(void)
{
    return journald_field("MESSAGE");
}

/* Waits for the next line. */
static inline void journald_read(void)
{
    struct pollfd wait = {.fd = journald.descriptor, .events = POLLIN};
    ssize_t got;

    cr_assert_eq(poll(&wait, 1, PATIENCE), 1, "the log is silent");
    got = recv(journald.descriptor, journald.line, sizeof journald.line - 1, 0);
    cr_assert_gt(got, 0);
    journald.line[got] = '\0';
}

#define JOURNALD_MARK "that was all"

/* After this, journald_next() is false behind the last line that was written until now. */
static inline void journald_mark(void)
{
    journal_log(journald.journal, EVENT_EXIT, LOG_INFO, NULL, 0, JOURNALD_MARK);
}

static inline bool journald_next(void)
{
    journald_read();
    return strcmp(journald_text(), JOURNALD_MARK) != 0;
}

#endif

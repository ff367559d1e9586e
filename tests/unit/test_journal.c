/*
 * supervisor/journal: what journald, postlog and syslog get, and that none of them can hold us up. Each test has mounts of
 * its own with an empty /run and /dev, and listens there in the place of the real ones.
 */

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "supervisor/journal/journal.h"
#include "supervisor/journal/journal_line.h"
#include "supervisor/journal/journal_sink.h"

#define JOURNALD "/run/systemd/journal/socket"
#define POSTLOG "/run/postlog"
#define SYSLOG "/dev/log"

/* Longer than anything here takes, also under load; only a failure waits for it. */
#define PATIENCE 5000

static const struct journal_options options = {.syslog_name = "postfix",
                                               .syslog_facility = "local3",
                                               .service = "relay",
                                               .postlog = POSTLOG,
                                               .host = "mx.example.org"};

static void world_make(void)
{
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        cr_skip_test("no mounts of one's own here");
    cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mount("none", "/run", "tmpfs", 0, NULL), 0);
    cr_assert_eq(mount("none", "/dev", "tmpfs", 0, NULL), 0);
    cr_assert_eq(mkdir("/run/systemd", 0755), 0);
    cr_assert_eq(mkdir("/run/systemd/journal", 0755), 0);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static struct journal *start(void)
{
    struct journal *journal = NULL;

    cr_assert_eq(journal_open(&journal, &options), 0);
    return journal;
}

/* The next datagram, with a NUL behind it. False when none came. */
static bool receive(int fd, char *out, size_t size, int milliseconds)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ssize_t length;

    if (poll(&wait, 1, milliseconds) <= 0)
        return false;
    length = recv(fd, out, size - 1, 0);
    cr_assert_geq(length, 0);
    out[length] = '\0';
    return true;
}

/* The value of a field in journald's native form, "NAME=value\n" each. */
static const char *field(const char *datagram, const char *name)
{
    static char value[2048];
    size_t length = strlen(name);

    for (const char *line = datagram; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');

        cr_assert_not_null(end);
        if (strncmp(line, name, length) == 0 && line[length] == '=') {
            (void)snprintf(value, sizeof value, "%.*s", (int)(end - line - (long)length - 1),
                           line + length + 1);
            return value;
        }
        line = end + 1;
    }
    return NULL;
}

static uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* How many datagrams a socket takes that nobody reads. */
static unsigned queue_length(void)
{
    FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "re");
    unsigned length = 0;

    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%u", &length), 1);
    (void)fclose(file);
    return length;
}

Test(journal, fields)
{
    struct journal_field fields[] = {JOURNAL_TEXT("HEADROOM_REASON", "memory"),
                                     JOURNAL_NUMBER("HEADROOM_LIMIT", -3),
                                     JOURNAL_TEXT("PRIORITY", "0"),
                                     JOURNAL_TEXT("HEADROOM_", "empty name"),
                                     JOURNAL_TEXT("HEADROOM_a", "lower case"),
                                     JOURNAL_TEXT("HEADROOM_X=Y", "not a name")};
    char datagram[8192];
    char pid[32];
    int fd;
    struct journal *journal;

    world_make();
    fd = listen_at(JOURNALD);
    (void)listen_at(POSTLOG); /* journald comes first */
    journal = start();
    journal_log(journal, EVENT_WORKER_LOST, LOG_WARNING, fields, 6, "worker %d died", 7);
    cr_assert(receive(fd, datagram, sizeof datagram, PATIENCE));
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    cr_expect_str_eq(field(datagram, "MESSAGE"), "worker 7 died");
    cr_expect_str_eq(field(datagram, "PRIORITY"), "4");
    cr_expect_str_eq(field(datagram, "SYSLOG_IDENTIFIER"), "postfix/headroom");
    cr_expect_str_eq(field(datagram, "SYSLOG_FACILITY"), "19"); /* local3, syslog(3) */
    cr_expect_str_eq(field(datagram, "SYSLOG_PID"), pid);
    cr_expect_str_eq(field(datagram, "MESSAGE_ID"), event_message_id(EVENT_WORKER_LOST));
    cr_expect_str_eq(field(datagram, "HEADROOM_EVENT"), "worker-lost");
    cr_expect_str_eq(field(datagram, "HEADROOM_SERVICE"), "relay");
    cr_expect_str_eq(field(datagram, "HEADROOM_REASON"), "memory");
    cr_expect_str_eq(field(datagram, "HEADROOM_LIMIT"), "-3");
    cr_expect_null(strstr(datagram, "empty name"));
    cr_expect_null(strstr(datagram, "lower case"));
    cr_expect_null(strstr(datagram, "not a name"));
    cr_expect_null(field(datagram, "CODE_FILE"));
    cr_expect_eq(journal_close(journal, PATIENCE), 0);
}

/* Nothing that others write gets a line or a field of its own, or moves a terminal's cursor. */
Test(journal, text_is_made_harmless)
{
    struct journal_field hostile = JOURNAL_TEXT("HEADROOM_KEY", "a\nPRIORITY=0\033[2J");
    char datagram[8192];
    int fd;
    struct journal *journal;

    world_make();
    fd = listen_at(JOURNALD);
    journal = start();
    journal_log(journal, EVENT_REQUEST_REFUSED, LOG_INFO, &hostile, 1, "%s",
                "one\ntwo\t\001\177\303\274~ \\");
    cr_assert(receive(fd, datagram, sizeof datagram, PATIENCE));
    cr_expect_str_eq(field(datagram, "MESSAGE"), "one?two?????~ \\");
    cr_expect_str_eq(field(datagram, "HEADROOM_KEY"), "a?PRIORITY=0?[2J");
    cr_expect_str_eq(field(datagram, "PRIORITY"), "6");
    cr_expect_eq(journal_close(journal, PATIENCE), 0);
}

/* The longest text, name and values, and more fields than are taken, fit; what is longer is cut. */
Test(journal, bounded)
{
    static char text[2 * JOURNAL_TEXT_MAX];
    static char name[JOURNAL_NAME_MAX + 1];
    struct journal_field fields[JOURNAL_FIELDS_MAX + 4];
    char datagram[16384];
    size_t count = 0;
    int fd;
    struct journal *journal;

    memset(text, 'x', sizeof text - 1);
    (void)snprintf(name, sizeof name, "HEADROOM_%0*d", JOURNAL_NAME_MAX - 9, 0);
    for (size_t i = 0; i < JOURNAL_FIELDS_MAX + 4; i++)
        fields[i] = JOURNAL_TEXT(name, text);
    world_make();
    fd = listen_at(JOURNALD);
    journal = start();
    journal_log(journal, EVENT_START, LOG_INFO, fields, JOURNAL_FIELDS_MAX + 4, "%s", text);
    cr_assert(receive(fd, datagram, sizeof datagram, PATIENCE));
    cr_expect_eq(strlen(field(datagram, "MESSAGE")), JOURNAL_TEXT_MAX);
    cr_expect_str_eq(field(datagram, "MESSAGE") + JOURNAL_TEXT_MAX - 4, "x...");
    cr_expect_eq(strlen(field(datagram, name)), JOURNAL_VALUE_MAX);
    cr_expect_str_eq(field(datagram, name) + JOURNAL_VALUE_MAX - 4, "x...");
    for (const char *at = datagram; (at = strstr(at, name)) != NULL; at++)
        count++;
    cr_expect_eq(count, JOURNAL_FIELDS_MAX);
    /* a text that just fits is not cut */
    text[JOURNAL_TEXT_MAX] = '\0';
    journal_log(journal, EVENT_START, LOG_INFO, NULL, 0, "%s", text);
    cr_assert(receive(fd, datagram, sizeof datagram, PATIENCE));
    cr_expect_str_eq(field(datagram, "MESSAGE"), text);
    cr_expect_eq(journal_close(journal, PATIENCE), 0);
}

/* The form that postlogd(8) takes apart (postfix-protocol.md 8), and the words that stock Postfix uses. */
Test(journal, postlog_form)
{
    static const struct {
        int priority;
        const char *want;
    } cases[] = {
        {LOG_DEBUG, "Sep 09 01:46:40 mx postfix/headroom[123]: text"},
        {LOG_INFO, "Sep 09 01:46:40 mx postfix/headroom[123]: text"},
        {LOG_NOTICE, "Sep 09 01:46:40 mx postfix/headroom[123]: text"},
        {LOG_WARNING, "Sep 09 01:46:40 mx postfix/headroom[123]: warning: text"},
        {LOG_ERR, "Sep 09 01:46:40 mx postfix/headroom[123]: error: text"},
        {LOG_CRIT, "Sep 09 01:46:40 mx postfix/headroom[123]: fatal: text"},
    };
    struct journal_identity identity;
    struct journal_line line = {.text = "text"};
    char out[200];

    cr_assert_eq(setenv("TZ", "UTC", 1), 0);
    tzset();
    cr_assert_eq(journal_identity_make(&identity, &options, 123), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        line.priority = cases[i].priority;
        cr_expect_eq(journal_sink_postlog(out, sizeof out, 1000000000, &identity, &line),
                     strlen(cases[i].want));
        cr_expect_str_eq(out, cases[i].want);
    }
    cr_expect_eq(journal_sink_postlog(out, 10, 1000000000, &identity, &line), 9);
    cr_expect_str_eq(out, "Sep 09 01");
}

Test(journal, falls_back_to_postlog)
{
    char datagram[8192];
    char want[64];
    int fd;
    struct journal *journal;

    world_make();
    fd = listen_at(POSTLOG);
    (void)listen_at(SYSLOG);
    journal = start();
    journal_log(journal, EVENT_SETUP, LOG_ERR, NULL, 0, "no agent");
    cr_assert(receive(fd, datagram, sizeof datagram, PATIENCE));
    (void)snprintf(want, sizeof want, " mx postfix/headroom[%ld]: error: no agent", (long)getpid());
    cr_expect_eq(strlen(datagram), 15 + strlen(want), "%s", datagram);
    cr_expect_str_eq(datagram + 15, want);
    cr_expect_eq(journal_close(journal, PATIENCE), 0);
}

Test(journal, falls_back_to_syslog)
{
    char datagram[8192];
    char want[64];
    int fd;
    struct journal *journal;

    world_make();
    fd = listen_at(SYSLOG);
    journal = start();
    journal_log(journal, EVENT_SETUP, LOG_WARNING, NULL, 0, "no agent");
    cr_assert(receive(fd, datagram, sizeof datagram, PATIENCE));
    cr_expect_eq(strncmp(datagram, "<156>", 5), 0, "%s", datagram); /* 19 * 8 + 4, RFC 3164 */
    (void)snprintf(want, sizeof want, "postfix/headroom[%ld]: warning: no agent", (long)getpid());
    cr_expect_not_null(strstr(datagram, want), "%s", datagram);
    cr_expect_eq(journal_close(journal, PATIENCE), 0);
}

/* Nobody listens: counted, and said to who comes. */
Test(journal, absent_then_there)
{
    char datagram[8192];
    uint64_t limit = now() + PATIENCE;
    int fd;
    struct journal *journal;

    world_make();
    journal = start();
    for (int i = 0; i < 3; i++)
        journal_log(journal, EVENT_START, LOG_INFO, NULL, 0, "nobody hears");
    while (journal_lost(journal) < 3 && now() < limit)
        (void)poll(NULL, 0, 1);
    cr_assert_eq(journal_lost(journal), 3);
    fd = listen_at(JOURNALD);
    journal_log(journal, EVENT_EXIT, LOG_INFO, NULL, 0, "heard");
    cr_assert(receive(fd, datagram, sizeof datagram, PATIENCE));
    cr_expect_str_eq(field(datagram, "MESSAGE"), "heard");
    cr_assert(receive(fd, datagram, sizeof datagram, PATIENCE));
    cr_expect_str_eq(field(datagram, "MESSAGE_ID"), event_message_id(EVENT_LINES_LOST));
    cr_expect_str_eq(field(datagram, "HEADROOM_VALUE"), "3");
    cr_expect_eq(journal_close(journal, PATIENCE), 3);
    cr_expect_not(receive(fd, datagram, sizeof datagram, 0), "it is said once");
}

/*
 * journald listens and does not read. Logging goes on without waiting; when it reads again, every line has come or has
 * been counted.
 */
Test(journal, stalled_does_not_block)
{
    const unsigned total = queue_length() + JOURNAL_WAITING_MAX + 100;
    char datagram[8192];
    uint64_t before;
    uint64_t told = 0;
    uint64_t lines = 0;
    int fd;
    struct journal *journal;

    world_make();
    fd = listen_at(JOURNALD);
    journal = start();
    before = now();
    for (unsigned i = 0; i < total; i++)
        journal_log(journal, EVENT_REQUEST_REFUSED, LOG_INFO, NULL, 0, "line %u", i);
    cr_expect_lt(now() - before, 1000);
    cr_expect_geq(journal_lost(journal), 99);
    while (lines + told < total && receive(fd, datagram, sizeof datagram, PATIENCE))
        if (strcmp(field(datagram, "HEADROOM_EVENT"), "lines-lost") == 0)
            told += strtoul(field(datagram, "HEADROOM_VALUE"), NULL, 10);
        else
            lines++;
    cr_expect_eq(lines + told, total);
    cr_expect_geq(lines, JOURNAL_WAITING_MAX);
    cr_expect_eq(journal_close(journal, PATIENCE), told);
}

/* The end waits as long as it was told to and no longer. */
Test(journal, stalled_does_not_hold_up_the_end)
{
    const unsigned total = queue_length() + JOURNAL_WAITING_MAX + 10;
    uint64_t before;
    struct journal *journal;

    world_make();
    (void)listen_at(JOURNALD);
    journal = start();
    for (unsigned i = 0; i < total; i++)
        journal_log(journal, EVENT_EXIT, LOG_INFO, NULL, 0, "line %u", i);
    before = now();
    /* the queue took its length or one more, depending on the kernel's counting */
    cr_expect_geq(journal_close(journal, 100), total - queue_length() - 1);
    cr_expect_geq(now() - before, 99);
    cr_expect_lt(now() - before, 1000);
}

Test(journal, signals_are_not_for_the_writer)
{
    char datagram[8192];
    sigset_t set;
    int fd;
    struct journal *journal;

    world_make();
    fd = listen_at(JOURNALD);
    journal = start();
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    cr_assert_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    cr_assert_eq(kill(getpid(), SIGTERM), 0);
    journal_log(journal, EVENT_EXIT, LOG_INFO, NULL, 0, "still here");
    cr_assert(receive(fd, datagram, sizeof datagram, PATIENCE));
    cr_assert_eq(sigpending(&set), 0);
    cr_expect(sigismember(&set, SIGTERM) == 1);
    cr_expect_eq(journal_close(journal, PATIENCE), 0);
}

Test(journal, options_that_cannot_be)
{
    struct journal_options wrong = {.syslog_name = ""};
    char name[JOURNAL_TAG_SIZE];
    struct journal *journal;

    cr_expect_eq(journal_open(&journal, &wrong), -EINVAL);
    cr_expect_null(journal);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    wrong.syslog_name = name;
    cr_expect_eq(journal_open(&journal, &wrong), -EINVAL);
    journal_log(NULL, EVENT_START, LOG_INFO, NULL, 0, "to nobody");
    cr_expect_eq(journal_close(NULL, 0), 0);
}

Test(journal, facilities)
{
    cr_expect_eq(journal_facility("mail"), LOG_MAIL);
    cr_expect_eq(journal_facility("local7"), LOG_LOCAL7);
    cr_expect_eq(journal_facility("LOCAL7"), -EINVAL);
    cr_expect_eq(journal_facility(""), -EINVAL);
    cr_expect_eq(journal_facility(NULL), -EINVAL);
}

/* A forgotten or doubled entry would mix two kinds of events for every filter and for the catalog. */
Test(events, are_distinct)
{
    for (int i = 0; i < EVENTS; i++) {
        const char *id = event_message_id(i);

        cr_assert_not_null(id);
        cr_expect_eq(strspn(id, "0123456789abcdef"), 32);
        cr_expect_eq(strlen(id), 32);
        cr_expect(islower((unsigned char)event_name(i)[0]));
        for (int j = 0; j < i; j++) {
            cr_expect_str_neq(id, event_message_id(j));
            cr_expect_str_neq(event_name(i), event_name(j));
        }
    }
}

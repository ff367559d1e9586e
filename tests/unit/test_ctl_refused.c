/* supervisor/ctl/ctl_refused.c: what maillog_file tells of starts that wrote no line of their own. */

#include "supervisor/ctl/ctl_refused.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)

static char log_name[] = "/tmp/headroom-test-XXXXXX";
static struct ctl ctl;
static int64_t moment; /* of the lines: now, to the second */

/* Lines of now, each "PROGRAM: TEXT". */
static void write_log(const char *const *lines)
{
    time_t now = time(NULL);
    FILE *file = fopen(log_name, "w");
    struct tm when;
    char date[32];

    cr_assert_not_null(file);
    cr_assert_not_null(localtime_r(&now, &when));
    strftime(date, sizeof date, "%b %e %H:%M:%S", &when);
    for (; *lines; lines++)
        fprintf(file, "%s host postfix/%s\n", date, *lines);
    fclose(file);
    moment = now * SECOND;
}

static struct ctl_refused find(int64_t started, const char *const *lines)
{
    struct ctl_refused refused;

    write_log(lines);
    ctl_refused_find(&ctl, "lmtp", moment - 3600 * SECOND, started, &refused);
    cr_expect_eq(refused.looked, 0);
    return refused;
}

#define FIND(started, ...) find((started), (const char *const[]){__VA_ARGS__, NULL})
#define EXIT "master[7]: warning: process /d/headroom pid 9 exit status 127"
#define REFUSED "master[7]: warning: /d/headroom: bad command startup -- throttling"
#define STARTS "headroom[8]: headroom 0.1.0 starts: service lmtp, agent lmtp"

static void setup(void)
{
    cr_assert_geq(mkstemp(log_name), 0);
    snprintf(ctl.postconf.maillog_file, sizeof ctl.postconf.maillog_file, "%s", log_name);
    snprintf(ctl.postconf.daemon_directory, sizeof ctl.postconf.daemon_directory, "/d");
}

static void teardown(void)
{
    unlink(log_name);
}

TestSuite(refused, .init = setup, .fini = teardown);

Test(refused, what_came_before_it_is_why)
{
    struct ctl_refused refused = FIND(0, STARTS, EXIT, REFUSED);

    cr_expect(refused.found && !refused.own);
    cr_expect(strstr(refused.text, "exit status 127"), "%s", refused.text);
    cr_expect(refused.time >= moment && refused.time < moment + SECOND);
    refused = FIND(0, REFUSED);
    cr_expect(refused.found);
    cr_expect(strstr(refused.text, "bad command startup"), "%s", refused.text);
    /* More is said of it than how it ended. */
    refused =
        FIND(0, "master[9]: fatal: master_spawn: exec /d/headroom: No such file", EXIT, REFUSED);
    cr_expect(strstr(refused.text, "No such file"), "%s", refused.text);
    refused = FIND(0, "headroom[9]: fatal: cannot run: -Q: unknown option", EXIT, REFUSED);
    cr_expect(refused.found && refused.own);
    cr_expect(strstr(refused.text, "-Q: unknown"), "%s", refused.text);
}

Test(refused, not_another_program)
{
    cr_expect_not(FIND(0, STARTS).found);
    cr_expect_not(
        FIND(0, "master[7]: warning: /d/lmtp: bad command startup -- throttling", EXIT).found);
}

/* It has started since: the same service, not another. */
Test(refused, it_was_mended)
{
    cr_expect_not(FIND(0, EXIT, REFUSED, STARTS).found);
    cr_expect(FIND(0, EXIT, REFUSED, "headroom[8]: headroom 0.1.0 starts: service other, x").found);
    cr_expect_not(FIND(INT64_MAX, EXIT, REFUSED).found, "the journal has a later line");
    cr_expect(FIND(time(NULL) * SECOND, EXIT, REFUSED).found, "in the same second");
}

Test(refused, where_it_cannot_be_looked)
{
    struct ctl_refused refused;

    snprintf(ctl.postconf.maillog_file, sizeof ctl.postconf.maillog_file, "/nowhere/maillog");
    ctl_refused_find(&ctl, "lmtp", 0, 0, &refused);
    cr_expect_eq(refused.looked, -ENOENT);
    snprintf(ctl.postconf.maillog_file, sizeof ctl.postconf.maillog_file, "/dev/null");
    ctl_refused_find(&ctl, "lmtp", 0, 0, &refused);
    cr_expect_eq(refused.looked, -ESPIPE);
    cr_expect_not(refused.found);
}

/* Only its end is read; a line that is cut there, and bytes of any kind, do no harm. */
Test(refused, a_long_file)
{
    struct ctl_refused refused;
    FILE *file;

    write_log((const char *const[]){EXIT, REFUSED, NULL});
    file = fopen(log_name, "r+");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    for (int i = 0; i < 3 << 20; i++)
        fputc(i % 251, file);
    fclose(file);
    ctl_refused_find(&ctl, "lmtp", 0, 0, &refused);
    cr_expect_eq(refused.looked, 0);
    cr_expect_not(refused.found);
    file = fopen(log_name, "a");
    cr_assert_not_null(file);
    fputs("\nNov 28 12:00:00 host postfix/" REFUSED "\n", file);
    fclose(file);
    ctl_refused_find(&ctl, "lmtp", 0, 0, &refused);
    cr_expect(refused.found, "behind bytes of any kind");
}

/* supervisor/report/holds: what is written is read again; what has ended, lines that are none, a file of somebody else. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/report/holds.h"

static char place[] = "/tmp/headroom-holds.XXXXXX";
static char path[128];
static struct holds got;

static void set_up(void)
{
    cr_assert_not_null(mkdtemp(place));
    snprintf(path, sizeof path, "%s/" HOLDS_FILE, place);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(place);
}

TestSuite(holds, .init = set_up, .fini = tear_down);

Test(holds, come_back)
{
    static const struct holds some = {
        2, {{"a.example", "-", 100, 0, "root"}, {"b.example", "lmtp", 100, 200, "joe"}}, ""};

    cr_expect_eq(holds_read(place, getuid(), 150, &got), 0);
    cr_expect_eq(got.count, 0, "no file");
    cr_assert_eq(holds_write(place, &some), 0);
    cr_assert_eq(holds_read(place, getuid(), 150, &got), 0);
    cr_expect_eq(got.count, 2);
    cr_expect_str_eq(got.hold[1].destination, "b.example");
    cr_expect_eq(got.hold[1].until, 200);
    cr_expect(hold_is_of(&got.hold[0], "smtp"));
    cr_expect_not(hold_is_of(&got.hold[1], "smtp"));
    cr_expect_eq(holds_read(place, getuid(), 200, &got), 0);
    cr_expect_eq(got.count, 1, "the other has ended");
    cr_expect_eq(holds_read(place, getuid() + 1, 150, &got), -EPERM);
    cr_expect(strstr(got.cure, "chown root"));
    chmod(path, 0664);
    cr_expect_eq(holds_read(place, getuid(), 150, &got), -EPERM);
    cr_expect(strstr(got.cure, "chmod go-w"));
}

Test(holds, lines_that_are_none)
{
    FILE *file = fopen(path, "we");

    fputs("# a comment\n\na.example\na.example - 1 0 root more\na.example - x 0 root\n"
          "b.example - 1 0 root",
          file);
    fclose(file);
    cr_assert_eq(holds_read(place, getuid(), 150, &got), 0);
    cr_expect_eq(got.count, 1);
    cr_expect_str_eq(got.hold[0].destination, "b.example");
    file = fopen(path, "we");
    for (int i = 0; i <= HOLDS_MAX; i++)
        fprintf(file, "d%d.example - 1 0 root\n", i);
    fclose(file);
    cr_expect_eq(holds_read(place, getuid(), 150, &got), -E2BIG);
    cr_expect_not(hold_takes("two words"));
    cr_expect_not(hold_takes("#x"));
    cr_expect(hold_takes("m\xc3\xbcnchen.example"));
}

/* agents/master_file: master.cf as master(8) reads it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "agents/master_file.h"

static struct master_file file;

Test(master_file, columns)
{
    char text[] = "lmtp       unix  -       -       y       -       -       lmtp\n"
                  "filter     unix  -       -       y       -       500     /usr/lib/headroom\n"
                  "    -o syslog_name=postfix/filter\n"
                  "    -C /etc/x.json -o a=b\n"
                  "# nothing\n"
                  "broken unix\n"
                  "\n"
                  "one\tunix n - n - 1 local\r\n"
                  "all unix - - n - 0 local\n"
                  "retry      unix  -       -       y       -       -       error";
    const struct master_line *line;
    char path[64];

    master_file_parse(text, &file);
    cr_assert_eq(file.count, 5);
    line = master_file_find(&file, "filter", "unix", NULL);
    cr_assert_not_null(line);
    cr_expect_str_eq(line->command, "headroom");
    cr_expect_eq(line->limit, 500);
    cr_expect_eq(line->number, 2);
    cr_expect_eq(line->replaced, 0);
    cr_expect_not(line->public);
    cr_expect(line->chroot);
    cr_expect(master_line_config(line, path, sizeof path));
    cr_expect_str_eq(path, "/etc/x.json");
    line = master_file_find(&file, "retry", "unix", "error");
    cr_assert_not_null(line);
    cr_expect_eq(line->limit, MASTER_LIMIT_DEFAULT);
    cr_expect_eq(line->number, 10);
    cr_expect_not(master_line_config(line, path, sizeof path));
    line = master_file_find(&file, "one", "unix", NULL);
    cr_assert_not_null(line);
    cr_expect_eq(line->limit, 1);
    cr_expect(line->public);
    cr_expect_not(line->chroot);
    cr_expect_str_eq(line->command, "local");
    cr_expect_eq(master_file_find(&file, "all", "unix", NULL)->limit, 0);
    cr_expect_null(master_file_find(&file, "filter", "inet", NULL));
    cr_expect_null(master_file_find(&file, "filter", "unix", "lmtp"));
    cr_expect_null(master_file_find(&file, "broken", "unix", NULL));
}

/* What readllines() of Postfix makes of it: comments and empty lines end nothing. */
Test(master_file, continuation)
{
    char text[] = "  filter unix -\n"
                  "# a comment, at the beginning of the line\n"
                  "\n"
                  " - y -\n"
                  "   # a comment behind blanks\n"
                  "\t\t2\n"
                  " \t \n"
                  " headroom\n"
                  "#-o x=y\n"
                  "  -o a=b\n"
                  "next unix - - y - 3 headroom\n";
    const struct master_line *line;

    master_file_parse(text, &file);
    cr_assert_eq(file.count, 2);
    line = master_file_find(&file, "filter", "unix", "headroom");
    cr_assert_not_null(line);
    cr_expect_eq(line->limit, 2);
    cr_expect_eq(line->number, 1);
    cr_expect_str_eq(line->arguments + strspn(line->arguments, " "), "-o a=b");
    line = master_file_find(&file, "next", "unix", "headroom");
    cr_assert_not_null(line);
    cr_expect_eq(line->limit, 3);
    cr_expect_eq(line->number, 11);
}

Test(master_file, the_last_of_two_equal_lines)
{
    char text[] = "filter unix - - y - 10 lmtp\n"
                  "other unix - - y - - lmtp\n"
                  "filter unix n - y - 0 lmtp\n"
                  "filter inet n - y - 7 lmtp\n"
                  "filter unix y - y - 20 headroom\n"
                  "filter unix - - y - 30 headroom\n";
    const struct master_line *line;

    master_file_parse(text, &file);
    cr_expect_eq(file.count, 4);
    line = master_file_find(&file, "filter", "unix", NULL);
    cr_assert_not_null(line);
    cr_expect_eq(line->limit, 30);
    cr_expect_eq(line->number, 6);
    cr_expect_eq(line->replaced, 5);
    cr_expect_str_eq(line->replaced_command, "headroom");
    /* A public service is another one. */
    line = master_file_find(&file, "filter", "unix", "lmtp");
    cr_assert_not_null(line);
    cr_expect(line->public);
    cr_expect_eq(line->limit, 0);
}

Test(master_file, a_private_service_before_a_public_one)
{
    char text[] = "filter unix n - y - 0 headroom\nfilter unix - - y - 4 headroom\n";

    master_file_parse(text, &file);
    cr_expect_eq(master_file_find(&file, "filter", "unix", "headroom")->limit, 4);
}

/* master(8) reads it with atoi(3), and stops at what is no number; here that is no limit that somebody chose. */
Test(master_file, numbers)
{
    static const struct {
        const char *column;
        int limit;
    } cases[] = {{"12x", 12},
                 {"x", MASTER_LIMIT_DEFAULT},
                 {"-1", MASTER_LIMIT_DEFAULT},
                 {"007", 7},
                 {"99999999999999999999", 2147483647}};
    char text[100];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "a unix - - y - %s headroom", cases[i].column);
        master_file_parse(text, &file);
        cr_assert_eq(file.count, 1);
        cr_expect_eq(file.line[0].limit, cases[i].limit, "%s", cases[i].column);
    }
}

/* A file of any size and without any order is read within its bounds. */
Test(master_file, more_than_fits)
{
    size_t size = (size_t)64 * (MASTER_FILE_LINES_MAX + 10);
    char *text = malloc(size);
    size_t used = 0;

    cr_assert_not_null(text);
    for (unsigned i = 0; i < MASTER_FILE_LINES_MAX + 5; i++)
        used += (size_t)snprintf(text + used, size - used, "s%u unix - - y - - lmtp\n", i);
    master_file_parse(text, &file);
    cr_expect_eq(file.count, MASTER_FILE_LINES_MAX);
    free(text);
}

Test(master_file, read)
{
    char directory[] = "/tmp/headroom-master-XXXXXX";
    char path[64];
    char *text;
    FILE *out;

    cr_assert_not_null(mkdtemp(directory));
    cr_expect_eq(master_file_read(directory, &text, &file), -ENOENT);
    cr_expect_null(text);
    snprintf(path, sizeof path, "%s/master.cf", directory);
    out = fopen(path, "we");
    cr_assert_not_null(out);
    fputs("a unix - - y - 5 headroom\n", out);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(master_file_read(directory, &text, &file), 0);
    cr_expect_eq(file.count, 1);
    cr_expect_eq(file.line[0].limit, 5);
    free(text);
    out = fopen(path, "we");
    cr_assert_not_null(out);
    for (size_t i = 0; i <= MASTER_FILE_BYTES_MAX; i++)
        fputc('\n', out);
    cr_assert_eq(fclose(out), 0);
    cr_expect_eq(master_file_read(directory, &text, &file), -EFBIG);
    cr_expect_null(text);
    unlink(path);
    rmdir(directory);
}

Test(master_file, settings)
{
    static const char *const lines[] = {
        "",
        "-v",
        "-o",
        "-v -o",
        "-o a=1",
        " -oa=1\t",
        "-v -o a=1 -o b=2 -c",
        "-o { a = 1 2 } -o{",
        "-o {a=1",
        "-o a=1 -o b=2 -o c=3",
    };
    static const char *const want[][2] = {
        {0},
        {0},
        {0},
        {0},
        {"a=1"},
        {"a=1"},
        {"a=1", "b=2"},
        {"a = 1 2", "{"},
        {"{a=1"},
        {"a=1", "b=2"},
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *settings[3] = {NULL, NULL, NULL};
        char text[64];
        size_t count;

        snprintf(text, sizeof text, "%s", lines[i]);
        count = master_line_settings(text, settings, 2);
        cr_expect_eq(count, (size_t)(want[i][0] != NULL) + (want[i][1] != NULL), "%s", lines[i]);
        cr_expect_null(settings[2], "%s", lines[i]);
        for (size_t k = 0; k < 2 && want[i][k]; k++)
            cr_expect_str_eq(settings[k], want[i][k], "%s", lines[i]);
    }
}

/*
 * What a terminal is shown: lines broken between words, the state in colour; and `history` with its restarts in one row.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/ctl_page.h"
#include "supervisor/ctl/ctl_restarts.h"

#define SECOND INT64_C(1000000)

static void expect_rows(const char *line, size_t columns, bool color, const char *wanted)
{
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    ctl_page_write(out, line, columns, color);
    fclose(out);
    cr_expect_str_eq(text, wanted);
    free(text);
}

Test(ctl_page, a_line_that_fits_stays_as_it_is)
{
    expect_rows("", 20, false, "");
    expect_rows("a\n\nb\n", 20, false, "a\n\nb\n");
    expect_rows("  Mail        moves", 19, false, "  Mail        moves\n");
}

Test(ctl_page, later_rows_begin_below_the_last_column)
{
    expect_rows("  Mail        moves: 9 delivered, 3 waiting", 32, false,
                "  Mail        moves: 9\n"
                "              delivered, 3\n"
                "              waiting\n");
    expect_rows("  New workers none: they have their shares", 36, false,
                "  New workers none: they have their\n"
                "              shares\n");
    expect_rows("lmtp: OPEN since 12:00:00 (9 s)", 20, false,
                "lmtp: OPEN since\n    12:00:00 (9 s)\n");
    /* At the left where that leaves too little. */
    expect_rows("  Mail        moves on", 14, false, "  Mail\nmoves on\n");
}

Test(ctl_page, a_word_that_is_too_long_is_cut_and_nothing_is_lost)
{
    expect_rows("abcdefghijklmnopqrst", 8, false, "abcdefgh\n    ijkl\n    mnop\n    qrst\n");
    expect_rows("ab", 1, false, "a\nb\n");
}

Test(ctl_page, a_number_stays_with_its_unit)
{
    expect_rows("holds at 0.5 %, shrinks", 12, false, "holds at\n    0.5 %,\n    shrinks\n");
    expect_rows("in the last 60 s before", 14, false, "in the last\n    60 s\n    before\n");
    expect_rows("at most 30 (default)", 13, false, "at most 30\n    (default)\n");
    expect_rows("of 30 so on", 7, false, "of 30\n    so\n    on\n");
}

Test(ctl_page, the_names_have_what_they_need_and_others_leave)
{
    /* In a file, with short names, with one that has all it needs, one that is far too long, and on small terminals. */
    cr_expect_eq(ctl_page_name_width(60, 0, 61), 32);
    cr_expect_eq(ctl_page_name_width(9, 200, 61), 32);
    cr_expect_eq(ctl_page_name_width(50, 200, 61), 50);
    cr_expect_eq(ctl_page_name_width(250, 200, 61), 64);
    cr_expect_eq(ctl_page_name_width(50, 100, 61), 39);
    cr_expect_eq(ctl_page_name_width(9, 80, 61), 19);
    cr_expect_eq(ctl_page_name_width(9, 20, 61), 19);
}

Test(ctl_page, characters_count_not_bytes)
{
    expect_rows("\xc3\xa4\xc3\xb6\xc3\xbc x", 3, false, "\xc3\xa4\xc3\xb6\xc3\xbc\nx\n");
}

Test(ctl_page, the_state_has_colour)
{
    expect_rows("lmtp: SHED since 12:00:00", 80, true,
                "lmtp: \033[1;97;41mSHED\033[m since 12:00:00\n");
    expect_rows("lmtp: NOT ANSWERING; what", 80, true,
                "lmtp: \033[1;97;41mNOT ANSWERING\033[m; what\n");
    expect_rows("2026-11-28 23:17:04 lmtp  HOLD    limit 1", 80, true,
                "2026-11-28 23:17:04 lmtp  \033[30;43mHOLD\033[m    limit 1\n");
    expect_rows("lmtp: OPEN since", 80, true, "lmtp: \033[30;42mOPEN\033[m since\n");
    expect_rows("WRONG    no", 80, true, "\033[1;97;41mWRONG\033[m    no\n");
    expect_rows("  Mail        moves", 80, true, "  \033[1mMail       \033[m moves\n");
    /* Not what others say, nor a longer word. */
    expect_rows("    3 failed: OPEN the door", 80, true, "    3 failed: OPEN the door\n");
    expect_rows("SHED.example  dead", 80, true, "SHED.example  dead\n");
}

Test(ctl_page, a_colour_ends_with_its_row)
{
    expect_rows("* windows in use", 10, true, "\033[1m* windows\033[m\n    \033[1min use\033[m\n");
}

static struct ctl_entry row[16];
static size_t rows;

static void keep(void *context, const struct ctl_entry *entry)
{
    (void)context;
    cr_assert_lt(rows, 16);
    row[rows++] = *entry;
}

/* Each word is an entry of a second later: start, exit or a state; "-" is a minute in which nothing was. */
static void history(const char *words, const char *service)
{
    static struct ctl_restarts restarts;
    struct ctl_entry entry;
    int64_t time = 1000 * SECOND;
    char *copy = strdup(words), *rest = copy, *word;

    rows = 0;
    memset(&restarts, 0, sizeof restarts);
    restarts.use = keep;
    while ((word = strsep(&rest, " "))) {
        time += SECOND;
        if (strcmp(word, "-") == 0) {
            time += 60 * SECOND;
            continue;
        }
        memset(&entry, 0, sizeof entry);
        entry.time = time;
        snprintf(entry.event, sizeof entry.event, "%.5s", word);
        if (strcmp(entry.event, "exit") != 0 && strcmp(entry.event, "start") != 0)
            status_text(entry.event, sizeof entry.event, "state");
        status_text(entry.service, sizeof entry.service, service);
        snprintf(entry.text, sizeof entry.text, "headroom ends: %s", word);
        ctl_restarts_take(&restarts, &entry);
    }
    ctl_restarts_take(&restarts, NULL);
    free(copy);
}

static void expect_events(const char *wanted)
{
    char text[256] = "";

    for (size_t i = 0; i < rows; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
                 row[i].event);
    cr_expect_str_eq(text, wanted);
}

Test(ctl_restarts, many_reloads_are_one_row)
{
    history("start exit start exit start exit start", "lmtp");
    expect_events("start restart");
    cr_expect_not_null(strstr(row[1].text, "3 times until "), "%s", row[1].text);
    cr_expect_eq(row[1].time, 1002 * SECOND);
    cr_expect_str_eq(row[1].service, "lmtp");
}

Test(ctl_restarts, a_state_is_between_them)
{
    history("start exit start HOLD OPEN exit start exit start SHED exit", "lmtp");
    expect_events("start restart state state restart state exit");
    cr_expect_not_null(strstr(row[1].text, "1 time until "), "%s", row[1].text);
    cr_expect_not_null(strstr(row[4].text, "2 times until "), "%s", row[4].text);
}

Test(ctl_restarts, other_settings_and_long_pauses_are_shown)
{
    history("start exit start-2 exit start-2", "lmtp");
    expect_events("start exit start restart");
    history("start exit - - start", "lmtp");
    expect_events("start exit start");
    history("exit start exit", "lmtp");
    expect_events("exit start exit");
    history("start start exit exit", "lmtp");
    expect_events("start start exit exit");
    history("start exit start exit exit", "lmtp");
    expect_events("start restart exit exit");
}

/* What the verbs of headroomctl are made of: figures in words, moments, graphs, drawings, master.cf, unshared memory. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/ctl/ctl_graph.h"
#include "supervisor/ctl/ctl_process.h"
#include "supervisor/ctl/ctl_svg.h"
#include "supervisor/ctl/ctl_words.h"

#define SECOND INT64_C(1000000)

static void utc(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
}

Test(ctl_words, sizes_and_spans)
{
    char text[CTL_WORD_SIZE];

    cr_expect_str_eq(ctl_size(1.6 * 1048576, text), "1.6M");
    cr_expect_str_eq(ctl_size(214.0 * 1048576, text), "214M");
    cr_expect_str_eq(ctl_size(23.5 * 1073741824, text), "23.5G");
    cr_expect_str_eq(ctl_size(0, text), "0M");
    cr_expect_str_eq(ctl_span(45 * SECOND, text), "45 s");
    cr_expect_str_eq(ctl_span(185 * SECOND, text), "3 min");
    cr_expect_str_eq(ctl_span(7500 * SECOND, text), "2 h 5 min");
    cr_expect_str_eq(ctl_span((3 * 86400 + 4 * 3600) * SECOND, text), "3 d 4 h");
    cr_expect_str_eq(ctl_span(-SECOND, text), "0 s");
}

Test(ctl_words, clocks, .init = utc)
{
    const int64_t now = INT64_C(1795300000) * SECOND; /* 2026-11-21 22:26:40 UTC */
    char text[CTL_WORD_SIZE];

    cr_expect_str_eq(ctl_date(now, text), "2026-11-21 22:26:40");
    cr_expect_str_eq(ctl_clock(now - 3600 * SECOND, now, text), "21:26:40");
    cr_expect_str_eq(ctl_clock(now - 86400 * SECOND, now, text), "2026-11-20 22:26:40");
}

Test(ctl_words, moments, .init = utc)
{
    const int64_t now = INT64_C(1795300000) * SECOND;
    static const struct {
        const char *text;
        int64_t ago; /* seconds */
    } moments[] = {
        {"now", 0},
        {"90s", 90},
        {"15m", 900},
        {"3h", 10800},
        {"2d", 172800},
        {"today", 22 * 3600 + 26 * 60 + 40},
        {"yesterday", 46 * 3600 + 26 * 60 + 40},
        {"22:20", 400},
        {"22:20:40", 360},
        {"2026-11-21", 22 * 3600 + 26 * 60 + 40},
        {"2026-11-20 22:26", 86440},
        {"2026-11-20 22:26:40", 86400},
    };
    static const char *const bad[] = {"",     "soon",  "15",         "m",   "15 m",
                                      "15mm", "25:00", "2026-13-01", "-5m", "22:20x"};
    int64_t time;

    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        cr_expect(ctl_moment(moments[i].text, now, &time), "%s", moments[i].text);
        cr_expect_eq(now - time, moments[i].ago * SECOND, "%s", moments[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(ctl_moment(bad[i], now, &time), "%s", bad[i]);
}

Test(ctl_words, plain_text_is_cut_by_characters)
{
    static const char line[] = "a\x1b[2Jb\xc3\xbc\xff\xc2\x9b!";
    char to[64];

    cr_expect_eq(ctl_plain(line, strlen(line), 60, to, sizeof to), 10);
    cr_expect_str_eq(to, "a?[2Jb\xc3\xbc?"
                         "?!");
    cr_expect_eq(ctl_plain(line, strlen(line), 7, to, sizeof to), 7);
    cr_expect_str_eq(to, "a?[2Jb\xc3\xbc");
}

Test(ctl_graph, heights)
{
    struct ctl_series series = {0};
    char text[CTL_GRAPH_SIZE];

    ctl_series_add(&series, 0);
    ctl_series_add(&series, 0.001);
    ctl_series_add(&series, 50);
    ctl_series_add(&series, 100);
    ctl_graph(&series, 100, 10, false, text);
    cr_expect_str_eq(text, " .=@");
    ctl_graph(&series, 100, 2, true, text);
    cr_expect_str_eq(text, "▄█");
    cr_expect_eq(ctl_series_top(&series, 10, 5), 100);
    cr_expect_eq(ctl_series_top(&(struct ctl_series){0}, 10, 5), 5);
}

Test(ctl_graph, forgets_the_oldest)
{
    struct ctl_series series = {0};
    char text[CTL_GRAPH_SIZE];

    for (int i = 0; i < 1000; i++)
        ctl_series_add(&series, i);
    cr_expect_eq(series.count, CTL_GRAPH_MAX);
    cr_expect_eq(series.value[CTL_GRAPH_MAX - 1], 999);
    ctl_graph(&series, 1, CTL_GRAPH_MAX, true, text);
    cr_expect_eq(strlen(text), (size_t)3 * CTL_GRAPH_MAX);
}

static void put_file(const char *directory, const char *name, const char *text)
{
    char path[300];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_process(const char *proc, const char *pid, const char *stat, const char *rollup)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", proc, pid);
    cr_assert_eq(mkdir(path, 0700), 0);
    put_file(path, "stat", stat);
    put_file(path, "smaps_rollup", rollup);
}

static void remove_process(const char *proc, int pid)
{
    static const char *const names[] = {"/stat", "/smaps_rollup", ""};
    char path[200];

    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%d%s", proc, pid, names[i]);
        cr_expect_eq(remove(path), 0);
    }
}

Test(ctl_process, sums_what_is_shared_with_nobody)
{
    char proc[] = "/tmp/headroom-proc.XXXXXX";
    double bytes;

    cr_assert_not_null(mkdtemp(proc));
    put_process(proc, "10", "10 (lmtp) S 7 1 1 0",
                "Rss:  9000 kB\nPss: 3000 kB\nPrivate_Clean:  100 kB\nPrivate_Dirty: 1500 kB\n");
    put_process(proc, "11", "11 (a ) S 3) R 7 1 1 0", "Rss: 9000 kB\nPrivate_Dirty: 24 kB\n");
    put_process(proc, "12", "12 (dispatcher) S 7 1 1 0", "Private_Dirty: 9999 kB\n");
    put_process(proc, "13", "13 (other) S 8 1 1 0", "Private_Dirty: 9999 kB\n");
    cr_expect_eq(ctl_private_sum(proc, 7, 12, &bytes), 2);
    cr_expect_eq(bytes, 1624 * 1024.0);
    for (int pid = 10; pid <= 13; pid++)
        remove_process(proc, pid);
    cr_expect_eq(rmdir(proc), 0);
}

Test(ctl_svg, draws_and_escapes, .init = utc)
{
    const struct ctl_point points[] = {
        {.time = 0, .running = true, .state = 'O', .limit = 10, .available = -1, .pressure = -1},
        {.time = 50 * SECOND,
         .running = true,
         .state = 'H',
         .workers = 10,
         .limit = 10,
         .waiting = 7,
         .available = 1048576,
         .pressure = 2},
        {.time = 80 * SECOND, .running = false},
    };
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    ctl_svg_write(out, "a<&b", points, 3,
                  &(struct ctl_thresholds){.workers_max = 500,
                                           .waiting_max = 20,
                                           .min_available = 2097152,
                                           .memory_limit = -1,
                                           .hold = 0.5,
                                           .target = 1,
                                           .dry_run = true},
                  0, 100 * SECOND);
    fclose(out);
    cr_expect_not_null(strstr(text, "a&lt;&amp;b"));
    cr_expect_null(strstr(text, "nan"));
    cr_expect_null(strstr(text, "inf"));
    /* HOLD from 50 to 80 of 100 s on an axis from 70 to 910, then grey to the end. */
    cr_expect_not_null(strstr(text, "<rect x=\"490.0\" y=\"56\" width=\"252.0\""), "%s", text);
    cr_expect_not_null(strstr(text, "<rect x=\"742.0\" y=\"56\" width=\"168.0\""));
    cr_expect_not_null(strstr(text, "nothing is held back; it would be yellow: HOLD,"));
    /* In words, and as a line where that leaves something of the figures. */
    cr_expect_not_null(strstr(text, ">workers.max 500, far above</text>"), "%s", text);
    cr_expect_not_null(strstr(text, ">dashed: waiting.max 20</text>"), "%s", text);
    cr_expect_not_null(strstr(text, ">dashed: memory.min_available 2</text>"), "%s", text);
    cr_expect_not_null(strstr(text, ">dashed: holds at 0.50 %, dotted: shrinks at 1 %</text>"));
    cr_expect_null(strstr(text, "limit of the group"));
    /* waiting.max is the top of its panel, from 230 to 360; shrinks at 1 of 2 % in the last. */
    cr_expect_not_null(strstr(text, "stroke-dasharray=\"6 4\" d=\"M70 230.0H910\""), "%s", text);
    cr_expect_not_null(strstr(text, "stroke-dasharray=\"2 3\" d=\"M70 805.0H910\""), "%s", text);
    free(text);
}

/* In OPEN nothing more is logged: the figures that began it are drawn for a minute, and not as if they had stayed. */
Test(ctl_svg, draws_nothing_while_all_is_calm, .init = utc)
{
    const struct ctl_point points[] = {
        {.time = 0, .running = true, .state = 'O', .workers = -1, .limit = -1, .waiting = -1},
        {.time = 200 * SECOND, .running = true, .state = 'H', .workers = 10, .limit = 10},
        {.time = 400 * SECOND, .running = true, .state = 'O', .workers = 10, .limit = 10},
        {.time = 900 * SECOND, .running = true, .state = 'H', .workers = 10, .limit = 10},
    };
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    ctl_svg_write(out, "lmtp", points, 4, &(struct ctl_thresholds){-1, -1, -1, -1, -1, -1, false},
                  0, 1000 * SECOND);
    fclose(out);
    /* On an axis from 70 to 910: HOLD from 238, OPEN from 406 to 456.4, HOLD from 826 to the end. */
    cr_expect_not_null(
        strstr(text,
               "stroke-width=\"1.5\" d=\"M238.0 60.0H406.0V60.0 60.0H456.4M826.0 60.0H910.0\""),
        "%s", text);
    free(text);
}

/* Who wrote the snapshot may name any process, and the screen says whom to kill. */
Test(ctl, a_process_of_another_name_is_not_the_dispatcher)
{
    cr_expect_eq(ctl_process_state(getpid()), '\0');
    cr_expect_eq(ctl_process_state(1), '\0');
    prctl(PR_SET_NAME, "headroom");
    cr_expect_eq(ctl_process_state(getpid()), 'R');
}

#include "supervisor/ctl/ctl_page.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "supervisor/config/json.h"

#define COLUMNS_DEFAULT 80
#define NAME_LEAST 20
#define NAME_DEFAULT 32
#define NAME_MOST 44

/* A screen's first words: a state stands within so many bytes. */
#define STATE_WITHIN 64

/* The first column of a screen's line, see ctl_screen_label(). */
#define LABEL_BEGIN 2
#define LABEL_END 13

#define BOLD "1"
#define GOOD "1;32"
/* With a background of their own, to be read on a dark and on a light one. */
#define CAREFUL "30;43"
#define BAD "1;37;41"

static const struct {
    const char *word;
    const char *color;
} states[] = {
    {"OPEN", GOOD},        {"WAITS FOR MAIL", GOOD}, {"HOLD", CAREFUL},    {"SHRINK", CAREFUL},
    {"SHED", BAD},         {"NOT ANSWERING", BAD},   {"NOT RUNNING", BAD}, {"WRONG", BAD},
    {"warning ", CAREFUL},
};

/* What begins the first line of a table, and a row of `status --limits` that is reached. */
static const char *const heads[] = {"Destination", "Queue ID", "Bound (", "Last changes", "* "};

/* Part of a line that has a colour. */
struct span {
    size_t from;
    size_t to;
    const char *color;
};

size_t ctl_page_columns(void)
{
    struct winsize size = {0};

    if (isatty(STDOUT_FILENO) != 1)
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

bool ctl_page_color(void)
{
    const char *none = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return (!none || none[0] == '\0') && term && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

static bool begins(const char *line, size_t length, size_t at, const char *word)
{
    size_t size = strlen(word);

    return at + size <= length && strncmp(line + at, word, size) == 0;
}

/* Whether the line begins as ctl_screen_label() has it. */
static bool has_label(const char *line, size_t length)
{
    return length > LABEL_END + 1 && strspn(line, " ") == LABEL_BEGIN && line[LABEL_BEGIN] >= 'A' &&
           line[LABEL_BEGIN] <= 'Z' && line[LABEL_END] == ' ' && line[LABEL_END + 1] != ' ';
}

/* A state is a word of its own, near the beginning of a line that is not set in far. */
static struct span find_span(const char *line, size_t length)
{
    size_t lead = strspn(line, " ");

    if (has_label(line, length))
        return (struct span){lead, LABEL_END, BOLD};
    for (size_t at = lead; lead <= LABEL_BEGIN && at < length && at < STATE_WITHIN; at++) {
        if (at > 0 && line[at - 1] != ' ')
            continue;
        for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
            size_t end = at + strlen(states[i].word);

            if (begins(line, length, at, states[i].word) &&
                (at == lead || states[i].word[0] < 'a') &&
                (end == length || !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_", line[end])))
                return (struct span){at, end, states[i].color};
        }
    }
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (begins(line, length, lead, heads[i]))
            return (struct span){lead, length, BOLD};
    return (struct span){0};
}

/* Where later rows begin. */
static size_t hang_of(const char *line, size_t length, size_t columns)
{
    size_t lead = strspn(line, " "), most = columns * 2 / 3;
    size_t hang = has_label(line, length) ? LABEL_END + 1 : lead < 8 ? lead + 4 : lead;

    for (size_t at = hang; at < length && at <= most; at++)
        if (line[at] != ' ' && line[at - 1] == ' ' && line[at - 2] == ' ')
            hang = at;
    return hang <= most ? hang : 0;
}

static void put(FILE *out, const char *line, size_t from, size_t to, const struct span *span)
{
    bool plain, inside = false;
    size_t step;

    for (size_t at = from; at < to; at += step) {
        bool now = at >= span->from && at < span->to;

        step = json_character(line, at, to, &plain);
        if (now != inside)
            fprintf(out, "\033[%sm", now ? span->color : "");
        inside = now;
        fwrite(plain ? line + at : "?", 1, plain ? step : 1, out);
    }
    if (inside)
        fputs("\033[m", out);
}

void ctl_page_line(FILE *out, const char *line, size_t length, size_t columns, bool color)
{
    const struct span span = color ? find_span(line, length) : (struct span){0};
    size_t hang = hang_of(line, length, columns), indent = 0, at = 0;
    bool plain;

    do {
        size_t end = at, blank = at;

        for (size_t used = indent; end < length && used < columns; used++) {
            end += json_character(line, end, length, &plain);
            if (end < length && line[end] == ' ')
                blank = end;
        }
        if (end < length && blank > at + strspn(line + at, " "))
            end = blank;
        fprintf(out, "%*s", (int)indent, "");
        for (blank = end; end < length && blank > at && line[blank - 1] == ' ';)
            blank--;
        put(out, line, at, end < length ? blank : end, &span);
        fputc('\n', out);
        at = end + (end < length ? strspn(line + end, " ") : 0);
        indent = hang;
    } while (at < length);
}

/* What stdout is instead: its lines go to `out`. */
struct page {
    FILE *out;
    size_t columns;
    bool color;
    size_t used;
    char line[4096];
};

static void end_line(struct page *page)
{
    page->line[page->used] = '\0';
    ctl_page_line(page->out, page->line, page->used, page->columns, page->color);
    page->used = 0;
}

static ssize_t take(void *cookie, const char *text, size_t size)
{
    struct page *page = cookie;

    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n' || page->used + 1 == sizeof page->line)
            end_line(page);
        if (text[i] != '\n')
            page->line[page->used++] = text[i];
    }
    return fflush(page->out) == 0 ? (ssize_t)size : 0;
}

void ctl_page_begin(void)
{
    static struct page page;
    FILE *laid;

    page.columns = ctl_page_columns();
    if (page.columns == 0)
        return;
    laid = fopencookie(&page, "w", (cookie_io_functions_t){.write = take});
    if (!laid)
        return;
    setvbuf(laid, NULL, _IOLBF, 0);
    page.color = ctl_page_color();
    page.out = stdout;
    stdout = laid;
}

void ctl_page_name(FILE *out, const char *name, size_t indent, size_t width)
{
    size_t length = strlen(name), used = 0;
    bool plain;

    for (size_t at = 0; at < length; used++)
        at += json_character(name, at, length, &plain);
    fprintf(out, "%*s%s", (int)indent, "", name);
    if (used > width) {
        fprintf(out, "\n%*s", (int)indent, "");
        used = 0;
    }
    fprintf(out, "%*s", (int)(width - used), "");
}

size_t ctl_page_name_width(size_t columns, size_t rest)
{
    if (columns == 0)
        return NAME_DEFAULT;
    if (columns < rest + NAME_LEAST)
        return NAME_LEAST;
    return columns - rest > NAME_MOST ? NAME_MOST : columns - rest;
}

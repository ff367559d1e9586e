#include "supervisor/ctl/ctl_page.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "supervisor/config/json.h"

/* Of the first column of a table. */
#define NAME_LEAST 19
#define NAME_DEFAULT 32
#define NAME_MOST 64

/* A state stands within so many bytes of its line. */
#define STATE_WITHIN 64

/* See ctl_screen_label(). */
#define LABEL_BEGIN 2
#define LABEL_END 13

#define BOLD "1"
/* With a background of their own, to be read on a dark and on a light one. */
#define GOOD "30;42"
#define CAREFUL "30;43"
#define BAD "1;97;41"

static const char *const states[][2] = {
    {"OPEN", GOOD},       {"WAITS FOR MAIL", GOOD}, {"HOLD", CAREFUL}, {"SHRINK", CAREFUL},
    {"SHED", BAD},        {"NOT ANSWERING", BAD},   {"WRONG", BAD},    {"warning ", CAREFUL},
    {"NOT RUNNING", BAD},
};

/* What begins the first line of a table, and a row of `status --limits` that is reached. */
static const char *const heads[] = {"Destination", "Queue ID", "Bound (", "Last changes", "* "};

/* Part of a line that has a colour. */
struct span {
    size_t from;
    size_t to;
    const char *color;
};

/* What is laid out later is written to a stream in memory, in the place of stdout. */
static FILE *terminal;
static char *kept;
static size_t kept_length;

static size_t columns_of(int fd)
{
    struct winsize size = {0};

    if (isatty(fd) != 1)
        return 0;
    return ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 ? 80 : size.ws_col;
}

size_t ctl_page_columns(void)
{
    return columns_of(STDOUT_FILENO);
}

bool ctl_page_color(void)
{
    const char *none = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return (!none || none[0] == '\0') && term && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

static bool begins(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

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
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (begins(line + lead, heads[i]))
            return (struct span){lead, length, BOLD};
    for (size_t at = lead; lead <= LABEL_BEGIN && at < length && at < STATE_WITHIN; at++)
        for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
            size_t end = at + strlen(states[i][0]);

            if ((at == lead || (line[at - 1] == ' ' && states[i][0][0] < 'a')) &&
                begins(line + at, states[i][0]) &&
                !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_", line[end] == '\0' ? ' ' : line[end]))
                return (struct span){at, end, states[i][1]};
        }
    return (struct span){0};
}

/* Whether the blank stands between a number and its unit: these stay together. */
static bool joins(const char *line, size_t blank, size_t length)
{
    static const char *const units[] = {"%", "s", "min", "h", "d"};
    size_t unit = strcspn(line + blank + 1, " ,;:)");

    if (blank == 0 || line[blank - 1] < '0' || line[blank - 1] > '9')
        return false;
    if (unit > length - blank - 1)
        unit = length - blank - 1;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strlen(units[i]) == unit && memcmp(line + blank + 1, units[i], unit) == 0)
            return true;
    return false;
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

/* Bytes from..to of the line, with the part of the span that is among them. */
static void put(FILE *out, const char *line, size_t from, size_t to, const struct span *span)
{
    size_t begin = span->from > from ? span->from : from;
    size_t end = span->to < to ? span->to : to;

    if (!span->color || begin >= end) {
        fwrite(line + from, 1, to - from, out);
        return;
    }
    fwrite(line + from, 1, begin - from, out);
    fprintf(out, "\033[%sm%.*s\033[m", span->color, (int)(end - begin), line + begin);
    fwrite(line + end, 1, to - end, out);
}

static void put_line(FILE *out, const char *line, size_t length, size_t columns, bool color)
{
    const struct span span = color ? find_span(line, length) : (struct span){0};
    size_t hang = hang_of(line, length, columns), indent = 0, at = 0;
    bool plain;

    do {
        size_t end = at, blank = at, stop;

        for (size_t used = indent; end < length && used < columns; used++) {
            end += json_character(line, end, length, &plain);
            if (end < length && line[end] == ' ' && !joins(line, end, length))
                blank = end;
        }
        if (end < length && blank > at + strspn(line + at, " "))
            end = blank;
        for (stop = end; end < length && stop > at && line[stop - 1] == ' ';)
            stop--;
        fprintf(out, "%*s", (int)indent, "");
        put(out, line, at, stop, &span);
        fputc('\n', out);
        at = end + (end < length ? strspn(line + end, " ") : 0);
        indent = hang;
    } while (at < length);
}

void ctl_page_write(FILE *out, const char *text, size_t columns, bool color)
{
    for (size_t length; *text != '\0'; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        put_line(out, text, length, columns, color);
    }
}

void ctl_page_error(const char *line)
{
    size_t columns = columns_of(STDERR_FILENO);

    if (columns > 0)
        put_line(stderr, line, strlen(line), columns, false);
    else
        fprintf(stderr, "%s\n", line);
}

void ctl_page_begin(void)
{
    FILE *memory = ctl_page_columns() > 0 ? open_memstream(&kept, &kept_length) : NULL;

    if (!memory)
        return;
    terminal = stdout;
    stdout = memory;
}

void ctl_page_end(void)
{
    if (!terminal)
        return;
    fclose(stdout);
    stdout = terminal;
    ctl_page_write(stdout, kept, ctl_page_columns(), ctl_page_color());
    free(kept);
}

size_t ctl_page_name_width(size_t longest, size_t columns, size_t rest)
{
    size_t width = longest < NAME_DEFAULT ? NAME_DEFAULT
                   : longest > NAME_MOST  ? NAME_MOST
                                          : longest;

    if (columns == 0)
        return NAME_DEFAULT;
    if (columns < rest + NAME_LEAST)
        return NAME_LEAST;
    return width > columns - rest ? columns - rest : width;
}

void ctl_page_name(FILE *out, int indent, const char *name, size_t width)
{
    size_t length = strlen(name);

    fprintf(out, "%*s%s", indent, "", name);
    if (length > width)
        fprintf(out, "\n%*s", indent + (int)width, "");
    else
        fprintf(out, "%*s", (int)(width - length), "");
}

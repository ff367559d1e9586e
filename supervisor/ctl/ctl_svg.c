#include "supervisor/ctl/ctl_svg.h"

#include <math.h>
#include <string.h>

#include "supervisor/ctl/ctl_words.h"

#define WIDTH 960
#define LEFT 70
#define RIGHT 50
#define TOP 60
#define PANEL 130
#define GAP 40
#define PANELS 5
#define HEIGHT (TOP + PANELS * (PANEL + GAP) + 20)
#define TICKS 6

#define MIB 1048576.0

/* A threshold that is more than so many times the largest figure would flatten it. */
#define FAR 4

struct frame {
    FILE *out;
    const struct ctl_point *point;
    size_t count;
    const struct ctl_thresholds *thresholds;
    int64_t begin;
    int64_t end;
};

struct line {
    const char *name;
    const char *colour;
    double width;
    size_t offset; /* in struct ctl_point */
    double scale;
};

struct threshold {
    const char *name;
    size_t offset; /* in struct ctl_thresholds */
    double scale;
};

struct panel {
    const char *title;
    const char *unit;
    double least; /* the axis shows at least so much */
    struct line line[2];
    struct threshold threshold[2];
};

static const struct panel panels[PANELS] = {
    {"Workers",
     "",
     5,
     {{"limit", "#c08a1e", 5, offsetof(struct ctl_point, limit), 1},
      {"workers", "#1f5fa8", 1.5, offsetof(struct ctl_point, workers), 1}},
     {{"workers.max", offsetof(struct ctl_thresholds, workers_max), 1}, {0}}},
    {"Waiting requests",
     "",
     10,
     {{"waiting", "#7b3294", 1.5, offsetof(struct ctl_point, waiting), 1}, {0}},
     {{"waiting.max", offsetof(struct ctl_thresholds, waiting_max), 1}, {0}}},
    {"Memory available, MiB",
     "",
     10,
     {{"available", "#2c7a4b", 1.5, offsetof(struct ctl_point, available), 1 / MIB}, {0}},
     {{"memory.min_available", offsetof(struct ctl_thresholds, min_available), 1 / MIB}, {0}}},
    {"Memory group, MiB",
     "",
     10,
     {{"working set", "#1f5fa8", 1.5, offsetof(struct ctl_point, working_set), 1 / MIB}, {0}},
     {{"limit of the group", offsetof(struct ctl_thresholds, memory_limit), 1 / MIB}, {0}}},
    {"Memory pressure",
     " %",
     1,
     {{"pressure", "#b3261e", 1.5, offsetof(struct ctl_point, pressure), 1}, {0}},
     {{"holds at", offsetof(struct ctl_thresholds, hold), 1},
      {"shrinks at", offsetof(struct ctl_thresholds, target), 1}}},
};

static double value_of(const struct ctl_point *point, const struct line *line)
{
    double value;

    memcpy(&value, (const char *)point + line->offset, sizeof value);
    return value * line->scale;
}

/* Negative: none. */
static double threshold_of(const struct frame *frame, const struct threshold *threshold)
{
    double value;

    if (!threshold->name)
        return -1;
    memcpy(&value, (const char *)frame->thresholds + threshold->offset, sizeof value);
    return value * threshold->scale;
}

static double x_of(const struct frame *frame, int64_t time)
{
    double span = (double)(frame->end - frame->begin);

    return LEFT + (WIDTH - LEFT - RIGHT) * (double)(time - frame->begin) / (span > 0 ? span : 1);
}

/* Until when the state of a point holds. */
static int64_t until(const struct frame *frame, size_t i)
{
    return i + 1 < frame->count ? frame->point[i + 1].time : frame->end;
}

/* And its figures: in OPEN, where no summary follows, for a minute. */
static int64_t told_until(const struct frame *frame, size_t i)
{
    int64_t end = until(frame, i), most = frame->point[i].time + 60000000;

    return frame->point[i].state == 'O' && end > most ? most : end;
}

static double top_of(const struct frame *frame, const struct panel *panel)
{
    double top = panel->least, most;
    double step;

    for (size_t i = 0; i < frame->count; i++)
        for (unsigned j = 0; j < 2; j++)
            if (panel->line[j].name)
                top = fmax(top, value_of(&frame->point[i], &panel->line[j]));
    most = top * FAR;
    for (unsigned j = 0; j < 2; j++)
        if (threshold_of(frame, &panel->threshold[j]) <= most)
            top = fmax(top, threshold_of(frame, &panel->threshold[j]));
    /* A round number above it. */
    step = pow(10, floor(log10(top)));
    return ceil(top / step * 2) / 2 * step;
}

static void put_line(const struct frame *frame, const struct line *line, double base, double top)
{
    bool drawing = false;

    fprintf(frame->out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"%g\" d=\"", line->colour,
            line->width);
    for (size_t i = 0; i < frame->count; i++) {
        double value = value_of(&frame->point[i], line);
        double y = base - PANEL * value / top;

        if (i > 0 && told_until(frame, i - 1) < frame->point[i].time)
            drawing = false;
        if (!frame->point[i].running || value < 0) {
            drawing = false;
            continue;
        }
        fprintf(frame->out, "%s%.1f %.1fH%.1f", drawing ? "V" : "M",
                drawing ? y : x_of(frame, frame->point[i].time), y,
                x_of(frame, told_until(frame, i)));
        drawing = true;
    }
    fprintf(frame->out, "\"/>\n");
}

/* Dashed, and in words at the right. */
static void put_thresholds(const struct frame *frame, const struct panel *panel, double base,
                           double top)
{
    for (unsigned j = 0; j < 2; j++) {
        double value = threshold_of(frame, &panel->threshold[j]);

        if (value >= 0 && value <= top)
            fprintf(frame->out,
                    "<path fill=\"none\" stroke=\"#555\" stroke-dasharray=\"%s\" "
                    "d=\"M%d %.1fH%d\"/>\n",
                    j == 0 ? "6 4" : "2 3", LEFT, base - PANEL * value / top, WIDTH - RIGHT);
    }
    fprintf(frame->out, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\" fill=\"#555\">",
            WIDTH - RIGHT, base - PANEL - 8);
    for (unsigned j = 0; j < 2; j++) {
        double value = threshold_of(frame, &panel->threshold[j]);

        if (value < 0)
            continue;
        fprintf(frame->out, "%s%s%s %.*f%s%s", j > 0 ? ", " : "",
                value > top ? ""
                : j == 0    ? "dashed: "
                            : "dotted: ",
                panel->threshold[j].name, value == floor(value) || value >= 100 ? 0 : 2, value,
                panel->unit, value > top ? ", far above" : "");
    }
    fputs("</text>\n", frame->out);
}

static void put_states(const struct frame *frame)
{
    for (size_t i = 0; i < frame->count; i++) {
        const struct ctl_point *at = &frame->point[i];
        const char *colour = at->state == 'H'   ? "#fff3cd"
                             : at->state == 'S' ? "#ffd9b3"
                             : at->state == 'D' ? "#f5b7b1"
                                                : NULL;
        double from = x_of(frame, at->time);

        if (!at->running)
            colour = "#dddddd";
        if (colour)
            fprintf(frame->out,
                    "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", from,
                    TOP - 4, x_of(frame, until(frame, i)) - from, PANELS * (PANEL + GAP) - GAP + 4,
                    colour);
    }
}

static void put_panel(const struct frame *frame, const struct panel *panel, unsigned number)
{
    double base = TOP + number * (PANEL + GAP) + PANEL;
    double top = top_of(frame, panel);
    int key = LEFT;

    fprintf(frame->out, "<text x=\"%d\" y=\"%.0f\" font-weight=\"bold\">%s</text>\n", LEFT,
            base - PANEL - 8, panel->title);
    for (unsigned j = 0; j < 2; j++)
        if (panel->line[j].name) {
            fprintf(frame->out, "<text x=\"%d\" y=\"%.0f\" fill=\"%s\">%s</text>\n",
                    key += j == 0 ? 170 : 110, base - PANEL - 8, panel->line[j].colour,
                    panel->line[j].name);
            put_line(frame, &panel->line[j], base, top);
        }
    put_thresholds(frame, panel, base, top);
    fprintf(frame->out,
            "<path fill=\"none\" stroke=\"#555\" d=\"M%d %.0fV%.0fH%d\"/>\n"
            "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">%g%s</text>\n"
            "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">0</text>\n",
            LEFT, base - PANEL, base, WIDTH - RIGHT, LEFT - 6, base - PANEL + 4, top, panel->unit,
            LEFT - 6, base);
}

static void put_times(const struct frame *frame)
{
    char text[CTL_WORD_SIZE], before[CTL_WORD_SIZE] = "";

    for (int i = 0; i <= TICKS; i++) {
        int64_t time = frame->begin + (frame->end - frame->begin) * i / TICKS;

        ctl_date(time, text);
        /* Date and time in two lines; the date where it is another. */
        text[10] = '\0';
        fprintf(frame->out,
                "<text x=\"%.0f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n"
                "<text x=\"%.0f\" y=\"%d\" text-anchor=\"middle\" fill=\"#777\">%s</text>\n",
                x_of(frame, time), HEIGHT - 34, text + 11, x_of(frame, time), HEIGHT - 20,
                strcmp(text, before) == 0 ? "" : text);
        memcpy(before, text, sizeof before);
    }
}

static void put_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            fputc(*text, out);
        }
}

void ctl_svg_write(FILE *out, const char *service, const struct ctl_point *point, size_t count,
                   const struct ctl_thresholds *thresholds, int64_t begin, int64_t end)
{
    const struct frame frame = {.out = out,
                                .point = point,
                                .count = count,
                                .thresholds = thresholds,
                                .begin = begin,
                                .end = end};

    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"%d\" y=\"20\" "
            "font-size=\"15\">headroom, service ",
            WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
    put_escaped(out, service);
    fprintf(out,
            "</text>\n<text x=\"%d\" y=\"36\">%syellow: HOLD, orange: SHRINK, red: SHED, grey: not "
            "running</text>\n",
            LEFT, thresholds->dry_run ? "a dry run, nothing is held back; it would be " : "");
    put_states(&frame);
    for (unsigned i = 0; i < PANELS; i++)
        put_panel(&frame, &panels[i], i);
    put_times(&frame);
    fputs("</svg>\n", out);
}

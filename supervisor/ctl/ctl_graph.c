#include "supervisor/ctl/ctl_graph.h"

#include <string.h>

void ctl_series_add(struct ctl_series *series, double value)
{
    if (series->count == CTL_GRAPH_MAX)
        memmove(series->value, series->value + 1, --series->count * sizeof series->value[0]);
    series->value[series->count++] = value;
}

static size_t first_of(const struct ctl_series *series, size_t width)
{
    return series->count > width ? series->count - width : 0;
}

double ctl_series_top(const struct ctl_series *series, size_t width, double least)
{
    double top = least;

    for (size_t i = first_of(series, width); i < series->count; i++)
        if (series->value[i] > top)
            top = series->value[i];
    return top;
}

void ctl_graph(const struct ctl_series *series, double top, size_t width, bool blocks,
               char text[CTL_GRAPH_SIZE])
{
    static const char *const utf8[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
    const char *const *steps = blocks ? utf8 : ascii;
    size_t used = 0;

    for (size_t i = first_of(series, width); i < series->count; i++) {
        double part = top > 0 ? series->value[i] / top : 0;
        /* What is not nothing is seen. */
        size_t step = part <= 0 ? 0 : part >= 1 ? 8 : 1 + (size_t)(part * 7.999);

        step = step > 8 ? 8 : step;
        memcpy(text + used, steps[step], strlen(steps[step]));
        used += strlen(steps[step]);
    }
    text[used] = '\0';
}

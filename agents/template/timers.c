/*
 * A worker that is forked from an old template must not find its time over. Postfix's timers are
 * set and cancelled by two exported functions. Both are taken over to know which there are.
 */

#include <stddef.h>
#include <time.h>

#include "agents/template/parts.h"

/* A stock lmtp has one, and two more for each connection to another program of Postfix. */
#define TIMERS_MAX 32

typedef void (*callback)(int event, void *context);

__attribute__((visibility("default"))) time_t event_request_timer(callback call, void *context,
                                                                  int delay);
__attribute__((visibility("default"))) int event_cancel_timer(callback call, void *context);

static struct timer {
    callback call;
    void *context;
    int delay;
} timers[TIMERS_MAX];
static size_t count;
static bool overflown, closed;

static time_t request(callback call, void *context, int delay)
{
    static time_t (*real)(callback call, void *context, int delay);

    if (!real)
        *(void **)&real = template_symbol("event_request_timer");
    return real(call, context, delay);
}

static int cancel(callback call, void *context)
{
    static int (*real)(callback call, void *context);

    if (!real)
        *(void **)&real = template_symbol("event_cancel_timer");
    return real(call, context);
}

static size_t find(callback call, const void *context)
{
    size_t i = 0;

    while (i < count && (timers[i].call != call || timers[i].context != context))
        i++;
    return i;
}

time_t event_request_timer(callback call, void *context, int delay)
{
    size_t i = closed ? TIMERS_MAX : find(call, context);

    if (!closed && i == TIMERS_MAX)
        overflown = true;
    if (i < TIMERS_MAX) {
        timers[i] = (struct timer){call, context, delay};
        if (i == count)
            count++;
    }
    return request(call, context, delay);
}

int event_cancel_timer(callback call, void *context)
{
    size_t i = closed ? count : find(call, context);

    if (i < count)
        timers[i] = timers[--count];
    return cancel(call, context);
}

bool template_timers_kept(void)
{
    return !overflown;
}

void template_timers_begin(void)
{
    closed = true;
    /* One that has gone off is not there any more, and is not begun again. */
    for (size_t i = 0; i < count; i++)
        if (cancel(timers[i].call, timers[i].context) >= 0)
            request(timers[i].call, timers[i].context, timers[i].delay);
    count = 0;
}

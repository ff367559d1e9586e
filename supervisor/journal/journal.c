#include "supervisor/journal/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/journal/journal_line.h"
#include "supervisor/journal/journal_sink.h"

/* The writer needs a few KB: its own frame, syslog's line. Pages that are not touched are free. */
#define WRITER_STACK ((size_t)256 * 1024)

struct journal {
    struct journal_identity identity; /* not changed after journal_open */
    struct journal_sink sink;         /* used by the writer only */
    struct journal_line lost_line;    /* used by the writer only */
    pthread_t writer;

    pthread_mutex_t lock; /* held for a few assignments, never during a write */
    pthread_cond_t changed;
    bool closing;  /* the writer ends when no line waits */
    bool finished; /* the writer has ended */
    bool given_up; /* journal_close() has returned: the writer frees all */
    uint64_t lost;
    uint64_t told; /* lost lines that were reported */
    size_t first;  /* line that is being written, or is next */
    size_t waiting;
    struct journal_line ring[JOURNAL_WAITING_MAX];
};

static void journal_free(struct journal *journal)
{
    journal_sink_close(&journal->sink);
    (void)pthread_cond_destroy(&journal->changed);
    (void)pthread_mutex_destroy(&journal->lock);
    free(journal);
}

__attribute__((format(printf, 5, 6))) static void lost_line_make(struct journal *journal,
                                                                 const struct journal_field *fields,
                                                                 size_t count, int priority,
                                                                 const char *format, ...)
{
    va_list list;

    va_start(list, format);
    journal_line_make(&journal->lost_line, &journal->identity, EVENT_LINES_LOST, priority, fields,
                      count, format, list);
    va_end(list);
}

/* Reports how many lines were lost. The lock is held at the call and on return. */
static void lost_tell(struct journal *journal)
{
    uint64_t lost = journal->lost;
    uint64_t count = lost - journal->told;
    struct journal_field field = JOURNAL_NUMBER("HEADROOM_VALUE", (int64_t)count);

    (void)pthread_mutex_unlock(&journal->lock);
    lost_line_make(journal, &field, 1, LOG_WARNING,
                   "%" PRIu64 " lines of this log could not be written", count);
    bool written = journal_sink_write(&journal->sink, &journal->identity, &journal->lost_line) == 0;
    (void)pthread_mutex_lock(&journal->lock);
    if (written)
        journal->told = lost;
}

static void *writer_run(void *argument)
{
    struct journal *journal = argument;
    bool given_up;

    (void)pthread_mutex_lock(&journal->lock);
    for (;;) {
        if (journal->waiting == 0) {
            if (journal->closing)
                break;
            (void)pthread_cond_wait(&journal->changed, &journal->lock);
            continue;
        }
        const struct journal_line *line = &journal->ring[journal->first];

        (void)pthread_mutex_unlock(&journal->lock);
        int result = journal_sink_write(&journal->sink, &journal->identity, line);

        (void)pthread_mutex_lock(&journal->lock);
        journal->first = (journal->first + 1) % JOURNAL_WAITING_MAX;
        journal->waiting--;
        if (result < 0)
            journal->lost++;
        else if (journal->lost > journal->told)
            lost_tell(journal);
    }
    journal->finished = true;
    given_up = journal->given_up;
    (void)pthread_cond_broadcast(&journal->changed);
    (void)pthread_mutex_unlock(&journal->lock);
    if (given_up)
        journal_free(journal);
    return NULL;
}

/* The writer blocks all signals: they are for the process's loop. */
static int writer_start(struct journal *journal)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int result = pthread_attr_init(&attributes);

    if (result != 0)
        return -result;
    result = pthread_attr_setstacksize(&attributes, WRITER_STACK);
    if (result == 0) {
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        result = pthread_create(&journal->writer, &attributes, writer_run, journal);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attributes);
    return -result;
}

/* A condition whose timed wait ignores changes of the wall clock. */
static int locks_make(struct journal *journal)
{
    pthread_condattr_t attributes;
    int result = pthread_condattr_init(&attributes);

    if (result == 0)
        result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (result == 0)
        result = pthread_cond_init(&journal->changed, &attributes);
    if (result == 0)
        result = pthread_mutex_init(&journal->lock, NULL);
    (void)pthread_condattr_destroy(&attributes);
    return -result;
}

int journal_open(struct journal **out, const struct journal_options *options)
{
    struct journal *journal = calloc(1, sizeof *journal);
    int result;

    *out = NULL;
    if (journal == NULL)
        return -ENOMEM;
    journal->sink.fd = -1;
    result = journal_identity_make(&journal->identity, options, getpid());
    if (result == 0)
        result = locks_make(journal);
    if (result < 0) {
        free(journal);
        return result;
    }
    result = journal_sink_open(&journal->sink, options->postlog);
    if (result == 0)
        result = writer_start(journal);
    if (result < 0) {
        journal_free(journal);
        return result;
    }
    *out = journal;
    return 0;
}

void journal_log(struct journal *journal, enum journal_event event, int priority,
                 const struct journal_field *fields, size_t count, const char *format, ...)
{
    struct journal_line *line = NULL;
    va_list list;

    if (journal == NULL)
        return;
    (void)pthread_mutex_lock(&journal->lock);
    if (journal->waiting == JOURNAL_WAITING_MAX) {
        journal->lost++;
    } else {
        if (journal->waiting == 0)
            journal->first = 0; /* a writer that keeps up touches the pages of one line */
        line = &journal->ring[(journal->first + journal->waiting) % JOURNAL_WAITING_MAX];
    }
    (void)pthread_mutex_unlock(&journal->lock);
    if (line == NULL)
        return;

    /* The writer reads this place once `waiting` is raised; until then first + waiting is fixed. */
    va_start(list, format);
    journal_line_make(line, &journal->identity, event, priority, fields, count, format, list);
    va_end(list);

    (void)pthread_mutex_lock(&journal->lock);
    journal->waiting++;
    (void)pthread_cond_broadcast(&journal->changed);
    (void)pthread_mutex_unlock(&journal->lock);
}

uint64_t journal_lost(struct journal *journal)
{
    uint64_t lost;

    (void)pthread_mutex_lock(&journal->lock);
    lost = journal->lost;
    (void)pthread_mutex_unlock(&journal->lock);
    return lost;
}

uint64_t journal_close(struct journal *journal, int milliseconds)
{
    struct timespec until;
    uint64_t deadline;
    uint64_t lost;
    int result = 0;

    if (journal == NULL)
        return 0;
    deadline = clock_monotonic() + (uint64_t)milliseconds * 1000;
    until = (struct timespec){.tv_sec = (time_t)(deadline / 1000000),
                              .tv_nsec = (long)(deadline % 1000000) * 1000};
    (void)pthread_mutex_lock(&journal->lock);
    journal->closing = true;
    (void)pthread_cond_broadcast(&journal->changed);
    while (!journal->finished && result == 0)
        result = pthread_cond_timedwait(&journal->changed, &journal->lock, &until);
    lost = journal->lost + journal->waiting;
    if (journal->finished) {
        (void)pthread_mutex_unlock(&journal->lock);
        (void)pthread_join(journal->writer, NULL);
        journal_free(journal);
        return lost;
    }
    journal->given_up = true; /* the writer is in a write, until the process ends */
    (void)pthread_detach(journal->writer);
    (void)pthread_mutex_unlock(&journal->lock);
    return lost;
}

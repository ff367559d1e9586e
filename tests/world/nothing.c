/*
 * Modules of the dispatcher that are not simulated: the log, files, confinement. Nothing is written;
 * a line that says that a promise is broken ends the run.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "tests/world/calls.h"
#include "tests/world/world.h"

int __wrap_journal_open(struct journal **journal, const struct journal_options *options)
{
    (void)options;
    *journal = NULL;
    return 0;
}

void __wrap_journal_log(struct journal *journal, enum journal_event event, int priority,
                        const struct journal_field *fields, size_t count, const char *format, ...)
{
    char text[1024];
    va_list list;

    (void)journal;
    (void)event;
    (void)priority;
    (void)fields;
    (void)count;
    va_start(list, format);
    if (world.verbose || priority <= LOG_CRIT) {
        vsnprintf(text, sizeof text, format, list);
        note("log: %s", text);
    }
    va_end(list);
    if (priority <= LOG_CRIT)
        broken("10: no input makes the dispatcher crash", "%s", text);
}

uint64_t __wrap_journal_close(struct journal *journal, int milliseconds)
{
    (void)journal;
    (void)milliseconds;
    return 0;
}

int __wrap_snapshot_create(struct snapshot **out, int directory, const char *place, int word,
                           struct complaints *complaints)
{
    (void)directory;
    (void)place;
    (void)word;
    (void)complaints;
    *out = NULL;
    return 0;
}

void __wrap_snapshot_destroy(struct snapshot *snapshot)
{
    (void)snapshot;
}

void __wrap_snapshot_changed(struct snapshot *snapshot, const struct report_view *view)
{
    (void)snapshot;
    (void)view;
}

void __wrap_snapshot_tick(struct snapshot *snapshot, const struct report_view *view, bool last)
{
    (void)snapshot;
    (void)view;
    (void)last;
}

int __wrap_learned_save(int directory, const char *name, const struct admission *admission,
                        unsigned limit, int64_t now, int64_t wall)
{
    (void)directory;
    (void)name;
    (void)admission;
    (void)limit;
    (void)now;
    (void)wall;
    return 0;
}

int __wrap_learned_load(int directory, const char *name, struct admission *admission,
                        unsigned *limit, int64_t now, int64_t wall)
{
    (void)directory;
    (void)name;
    (void)admission;
    (void)limit;
    (void)now;
    (void)wall;
    return -ENOENT;
}

void __wrap_dispatcher_confine_files(struct dispatcher_confinement *confinement,
                                     const struct dispatcher_settings *settings)
{
    (void)settings;
    *confinement = (struct dispatcher_confinement){0};
}

void __wrap_dispatcher_confine_calls(struct dispatcher_confinement *confinement,
                                     const struct dispatcher_settings *settings,
                                     struct journal *journal)
{
    (void)confinement;
    (void)settings;
    (void)journal;
}

int __wrap_schedstat_open(void)
{
    return -1;
}

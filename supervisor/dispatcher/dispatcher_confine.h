#ifndef SUPERVISOR_DISPATCHER_CONFINE_GLUE_H
#define SUPERVISOR_DISPATCHER_CONFINE_GLUE_H

/* The dispatcher's part of confine.h: where it writes, and what is said of it. */

#include "supervisor/dispatcher/dispatcher.h"

struct dispatcher_confinement {
    int files; /* confine_files() */
    int calls; /* confine_calls() */
};

/* Before the log is open, whose thread is to be confined too. */
void dispatcher_confine_files(struct dispatcher_confinement *confinement,
                              const struct dispatcher_settings *settings);

/* When everything is open. */
void dispatcher_confine_calls(struct dispatcher_confinement *confinement,
                              const struct dispatcher_settings *settings);

/* For the end of the line at the start. */
const char *dispatcher_confinement_text(const struct dispatcher_confinement *confinement,
                                        const struct dispatcher_settings *settings, char *text,
                                        size_t size);

/* One warning for what could have been and is not. */
void dispatcher_confinement_warn(const struct dispatcher_confinement *confinement,
                                 struct journal *journal);

#endif

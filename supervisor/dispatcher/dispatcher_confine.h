#ifndef SUPERVISOR_DISPATCHER_DISPATCHER_CONFINE_H
#define SUPERVISOR_DISPATCHER_DISPATCHER_CONFINE_H

/* The dispatcher's part of confine.h: who it is, where it writes, and what is said of it. */

#include "supervisor/dispatcher/dispatcher.h"

struct dispatcher_confinement {
    int probe;     /* confine_probe() */
    int files;     /* confine_files() */
    char text[96]; /* for the end of the line at the start; "": it is not wanted */
};

/* From root to mail_owner, before anything is accepted. 0 or a negative errno. */
int dispatcher_confine_user(const struct dispatcher_settings *settings);

/* Before the log is open, whose thread is to be confined too. */
void dispatcher_confine_files(struct dispatcher_confinement *confinement,
                              const struct dispatcher_settings *settings);

/*
 * When everything is open. One warning for what the kernel has, and could not be; none where another
 * filter does not let it.
 */
void dispatcher_confine_calls(struct dispatcher_confinement *confinement,
                              const struct dispatcher_settings *settings, struct journal *journal);

#endif

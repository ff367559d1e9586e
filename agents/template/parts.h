#ifndef AGENTS_TEMPLATE_PARTS_H
#define AGENTS_TEMPLATE_PARTS_H

/*
 * The inside of headroom-template.so, the object that is preloaded into the template
 * (agents/template.h). It calls the C library and Postfix only.
 *
 *   object.c  takes over event_loop(), reads wishes, forks, makes a worker of the child
 *   timers.c  Postfix's timers, which have to begin again in a worker
 *   look.c    may this process be forked?
 *   tables.c  tables that each worker opens again
 *   opens.c   which files does it read?
 *   segments.c  buffers of workers for connections across the loopback interface
 *   fresh.c   has anything changed on disk since it read it?
 *
 * It looks at itself through /proc, which an agent in a chroot does not see. So it opens what it
 * needs when it is loaded, as root; workers close that before anything else.
 */

#include <stdbool.h>

#include "agents/template.h"

/* Descriptors; a table of type hash has two. */
#define TEMPLATE_TABLES_MAX 32

struct template_places {
    /* Directories that are open in the template only. */
    int root; /* / as it was before a chroot */
    int proc; /* /proc/PID of this process */
    /* Found by template_look(): the pipe by which the watchdog wakes its own process. */
    int pipe[2]; /* as pipe(2) has them; -1: there is none */
    /* Also found by it: those that are opened again for each worker. */
    int table[TEMPLATE_TABLES_MAX];
    size_t tables;
};

/* Functions and variables of Postfix. */
struct template_postfix {
    void (*event_loop)(int delay);
    void (*event_fork)(void);
    const char *(*dict_changed_name)(void);
    void (*set_mail_conf_int)(const char *name, int value);
    void (*mysrand)(int seed);
    int *pid;                /* var_pid */
    char **config_directory; /* var_config_dir */
};

/* Finds what is behind `name`; NULL when it is not exported. */
void *template_symbol(const char *name);

/*
 * Whether this process may be forked now. `pollers` descriptors may be epoll's. TEMPLATE_FINE, or
 * why not, with one line in `detail`. TEMPLATE_CONNECTION may become fine by waiting.
 */
enum template_reason template_look(struct template_places *places,
                                   char detail[TEMPLATE_DETAIL_SIZE]);

/* Whether a descriptor is that of a table which workers can open again; then it is one of `table`. */
bool template_table_take(struct template_places *places, int fd);

/* In the template: all of them, opened again. False: none is open. */
bool template_tables_open(const struct template_places *places, int again[TEMPLATE_TABLES_MAX]);
void template_tables_close(size_t count, const int again[TEMPLATE_TABLES_MAX]);

/* In a worker: takes these in the place of the template's. */
bool template_tables_begin(const struct template_places *places,
                           const int again[TEMPLATE_TABLES_MAX]);

/* From now on each file that is opened for reading is noted, until template_note_end(). */
void template_note_begin(const struct template_places *places);

/* Notes the file behind a descriptor that was just opened; does not change errno. */
void template_note_open(int fd);

/* Notes what this process runs, too, and the files of `config_directory`. As template_look(). */
enum template_reason template_note_end(const char *config_directory,
                                       char detail[TEMPLATE_DETAIL_SIZE]);

/* Whether all of that is on disk as it was noted. */
bool template_fresh(void);

/* All timers were kept. */
bool template_timers_kept(void);

/* In a worker: each timer that still runs begins again, for all of its time. */
void template_timers_begin(void);

#endif

#ifndef SUPERVISOR_CONFIG_BOUND_H
#define SUPERVISOR_CONFIG_BOUND_H

/*
 * workers.max where the file does not set it: a process limit of Postfix's that somebody chose, to
 * protect what stands behind. The column in master.cf goes before default_process_limit, as with
 * master(8).
 */

#include "supervisor/config/config.h"

/*
 * Reads Postfix's files and applies what they say. `told`: the limit that master(8) itself gave on
 * the command line, or MASTER_LIMIT_DEFAULT; it counts where master.cf cannot be read or has no
 * such line. Nothing is read where the file sets workers.max, unless it is a dry run. `note` is one line for people, or
 * empty: what could not be read, or that workers.min had to be lowered. Blocks as postconf_read()
 * does.
 */
void config_bound_find(struct config *config, const char *config_directory, const char *service,
                       int told, char *note, size_t note_size);

/*
 * Pure.
 *
 * Puts the bound that holds into workers_max and workers_bound, and lowers workers_min to it.
 * `column`: the number in the process limit column of the service's line, 0 for "unlimited",
 * negative for "-". `process_limit`: default_process_limit where main.cf sets it, else 0. A limit
 * above the most that workers.max may be counts as that. For a dry run workers_stock is what
 * master(8) would take of the same, whatever the file sets. Returns whether workers_min was lowered
 * although the file sets it.
 */
bool config_bound_apply(struct config *config, int column, int process_limit);

/* For people: "workers.max in headroom.json", "process limit column of master.cf" and so on. */
const char *config_bound_text(enum config_bound bound);

/* Pure. For programs, and back: "file", "column", "default_process_limit", "default". Another word
 * is CONFIG_BOUND_DEFAULT. */
const char *config_bound_word(enum config_bound bound);
enum config_bound config_bound_of(const char *word);

#endif

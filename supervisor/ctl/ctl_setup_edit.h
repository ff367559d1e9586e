#ifndef SUPERVISOR_CTL_SETUP_EDIT_H
#define SUPERVISOR_CTL_SETUP_EDIT_H

/*
 * What sed(1) has to do to master.cf, so that a service runs headroom, or its agent again. Pure.
 *
 * Each edit names the line by number and the service by name: in a file that was changed since, it
 * changes nothing. postconf(1) is no way: -F drops the options of the line, -M and -F take a private
 * and a public line of one name for the same.
 */

#include <stdbool.h>
#include <stddef.h>

#include "agents/master_file.h"

/* Edits of one call of sed, as words of a shell: " -e '...'", each on a line of its own. */
#define CTL_SETUP_EDITS_SIZE 8192

struct ctl_setup_edits {
    size_t used; /* beyond the size: they do not fit */
    char words[CTL_SETUP_EDITS_SIZE];
};

/* Whether the name of the line can stand in an edit. */
bool ctl_setup_takes(const struct master_line *line);

/*
 * Puts headroom into the line in the place of its command: the command alone changes. Equal lines
 * before it, which master(8) does not use, become comments; the service retry is added or
 * corrected. `text`: the file as it is. `silence`: a public line keeps postconf(1) from warning
 * that parameters named after the service are unused.
 */
void ctl_setup_in(struct ctl_setup_edits *edits, const char *text, const struct master_file *file,
                  const struct master_line *line, bool silence);

/* Puts the agent back, and takes out `-C FILE`, which it does not know. */
void ctl_setup_out(struct ctl_setup_edits *edits, const char *text, const struct master_line *line,
                   const char *agent);

#endif

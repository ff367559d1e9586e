#ifndef SUPERVISOR_CTL_MASTER_H
#define SUPERVISOR_CTL_MASTER_H

/*
 * master.cf, as postconf -M prints it.
 */

#include <stdbool.h>
#include <stddef.h>

/* A stock master.cf has thirty; longer ones are cut here. */
#define CTL_MASTER_MAX 256

/* One service. Points into the text. */
struct ctl_master_line {
    char *name;
    char *type;
    char *command;   /* its last part */
    char *arguments; /* the rest of the line, blanks between them; may be empty */
};

struct ctl_master {
    size_t count;
    struct ctl_master_line line[CTL_MASTER_MAX];
};

/* Understands the text, which is changed and must live as long as the result. Pure. */
void ctl_master_parse(char *text, struct ctl_master *master);

/* The line of that name and type, or NULL. */
const struct ctl_master_line *ctl_master_find(const struct ctl_master *master, const char *name,
                                              const char *type);

/* The word behind `-C` of a line: copied to `file`. False when there is none. */
bool ctl_master_config(const struct ctl_master_line *line, char *file, size_t size);

#endif

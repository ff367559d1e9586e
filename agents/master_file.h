#ifndef AGENTS_MASTER_FILE_H
#define AGENTS_MASTER_FILE_H

/*
 * master.cf, read as master(8) reads it: a line that begins with a blank continues the one before,
 * also across comments and empty lines; of two equal services the last one is in force. Equal means
 * the same name, type and directory (private or public).
 *
 * postconf(1) reads it otherwise: `postconf -M NAME/unix` takes a private and a public service of
 * one name for the same.
 */

#include <stdbool.h>
#include <stddef.h>

/* A stock master.cf has 30 services and 6 kB, a large one hundreds of services. */
#define MASTER_FILE_LINES_MAX 1024
#define MASTER_FILE_BYTES_MAX 1048576

/* The process limit column has "-": master takes default_process_limit. */
#define MASTER_LIMIT_DEFAULT (-1)

/* One service. Points into the text. */
struct master_line {
    const char *name;
    const char *type;
    bool public; /* "n" in the column `private` */
    bool chroot; /* "y" in the column `chroot`; its default depends on compatibility_level */
    int limit;   /* the process limit; 0: unlimited; or MASTER_LIMIT_DEFAULT */
    const char *command;   /* its last part */
    const char *arguments; /* the rest of the line; may be empty */
    unsigned number;       /* of its first line in the file, from 1 */
    unsigned replaced;     /* the same, of the last equal service that this one replaces; or 0 */
    const char *replaced_command; /* its command; or NULL */
};

struct master_file {
    size_t count;
    struct master_line line[MASTER_FILE_LINES_MAX];
};

/*
 * Understands the text, which is changed and must live as long as the result. Services with fewer
 * than eight columns, with which master does not start, and those beyond MASTER_FILE_LINES_MAX are
 * left out. Pure.
 */
void master_file_parse(char *text, struct master_file *file);

/*
 * Reads master.cf of a configuration directory and understands it. *text is the caller's, to be
 * freed after the last use of *file. A negative errno of open(2) or read(2), -EFBIG or -ENOMEM;
 * *text is then NULL.
 */
int master_file_read(const char *config_directory, char **text, struct master_file *file);

/* The service of that name, type and command (NULL: any); a private one before a public one. */
const struct master_line *master_file_find(const struct master_file *file, const char *name,
                                           const char *type, const char *command);

/*
 * The "name=value" of each `-o` among the arguments of a line, in order, at most `most`: pointers
 * into `arguments`, which is a copy and is changed. Returns how many. `{ name = value }` is one word.
 */
size_t master_line_settings(char *arguments, const char **settings, size_t most);

/* The word behind `-C` of a line: copied to `path`. False when there is none. */
bool master_line_config(const struct master_line *line, char *path, size_t size);

#endif

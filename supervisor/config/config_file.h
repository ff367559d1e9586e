#ifndef SUPERVISOR_CONFIG_FILE_H
#define SUPERVISOR_CONFIG_FILE_H

/*
 * Loads the configuration of a service from its file, and never fails: a file that can't be used
 * gives way to the last good copy, and where there is none to the defaults, with exactly one
 * warning that says what is wrong and what is used instead. (Warnings about what is in the file,
 * unknown keys for example, come on top.) Mail is never stopped by a comma.
 *
 * The copy is CONFIG_LAST_GOOD in a directory of the service, mode 0600, written by way of a
 * temporary name and only when the text has changed, so its modification time says since when it
 * dates. What is good is judged for one service: the directory must belong to that service alone.
 * It may have been made by an unprivileged user, so the copy is only believed when it is a regular
 * file with one link, owned by root or by the effective user, writable by nobody else.
 *
 * Blocks for the time of a small read and, after a change, of two fsync(2) calls: for the start,
 * not for the event loop.
 */

#include "supervisor/config/config.h"

#define CONFIG_LAST_GOOD "last-good.json"

enum config_source { CONFIG_FROM_DEFAULTS, CONFIG_FROM_FILE, CONFIG_FROM_LAST_GOOD };

/*
 * path              the file; a symbolic link is followed
 * named             the operator named it (-C FILE), so that its absence is worth a warning
 * state_directory   a directory descriptor, or -1: no copy is read or kept (headroomctl)
 * report            is called with CONFIG_WARNING only
 * Returns where *out came from.
 */
enum config_source config_file_load(const char *path, bool named, int state_directory,
                                    const char *service, struct config *out, config_report *report,
                                    void *context);

/*
 * Reads a whole regular file, for config_parse(). On success *text is to be freed by the caller (no
 * final NUL). Returns 0, -ENOENT, -EISDIR and other errors of open(2) and read(2), -EINVAL when it
 * is not a regular file, -EFBIG when it is larger than JSON_TEXT_MAX.
 */
int config_file_read(const char *path, char **text, size_t *length);

/*
 * True when somebody else than root may write the file, or put another in its place: then *line
 * says who and how to mend it. What cannot be looked at is no doubt: it is said when it is read.
 */
bool config_file_doubt(const char *path, char *line, size_t size);

/* What such an error means, for people. */
const char *config_file_error(int error);

/* "the file", "the last good copy", "the defaults": for the start-up line. */
const char *config_source_text(enum config_source source);

#endif

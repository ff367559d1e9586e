#ifndef SUPERVISOR_BASE_FILE_H
#define SUPERVISOR_BASE_FILE_H

/*
 * Replaces a file as a whole: whoever reads it sees the old or the new text. Not flushed to the disk: it is worth nothing
 * after a crash of the machine.
 */

#include <stddef.h>
#include <sys/types.h>

/*
 * Writes `name` in `directory` by way of `beside`, a name in the same directory that is overwritten and that nobody else
 * uses. Returns 0 or a negative errno; then the old file is as it was.
 */
int replace_file(int directory, const char *name, const char *beside, mode_t mode, const char *text,
                 size_t length);

#endif

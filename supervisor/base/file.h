#ifndef SUPERVISOR_BASE_FILE_H
#define SUPERVISOR_BASE_FILE_H

/*
 * Small files as a whole: read into memory, or replaced. Functions return 0 or a negative errno.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Reads a regular file of at most `most` bytes from an open descriptor, which stays open. On
 * success the caller frees *text, which has no final NUL. -EISDIR; -EINVAL: not a regular file;
 * -EFBIG: longer than `most`.
 */
int file_read(int descriptor, size_t most, char **text, size_t *length);

/*
 * Replaces `name` in `directory`: a reader sees the old or the new text. Writes by way of `beside`,
 * a name in the same directory that nobody else uses; a file of that name is removed. With
 * `durable` the text is on the disk on return; else it may be lost when the machine crashes. On an
 * error the old file is unchanged, but for one of the last flush.
 */
int file_replace(int directory, const char *name, const char *beside, mode_t mode, bool durable,
                 const char *text, size_t length);

#endif

#ifndef SUPERVISOR_PARENT_SETUP_H
#define SUPERVISOR_PARENT_SETUP_H

/*
 * What a supervisor needs before there are two processes: its lock, its directory, descriptors.
 * Done as root, in queue_directory, where master(8) starts its children.
 */

#include <pwd.h>
#include <sys/types.h>

/*
 * Takes the exclusive lock of the service, pid/headroom.SERVICE below the current directory: of two
 * processes of a service only one may run workers. The lock belongs to the open file, which only
 * the parent keeps: it is free when the parent has ended, and the dispatcher ends with it.
 * Waits up to `milliseconds` for a predecessor that is just ending, but not when `status` (master's
 * status channel) has come to its end.
 * Returns a descriptor, -EWOULDBLOCK when another process keeps it, -EPIPE when master has closed
 * the status channel, or another negative errno.
 */
int setup_lock(const char *service, int status, int milliseconds);

/*
 * A directory of mail_owner's, shut for others: `path`, relative to the descriptor `at` as with
 * openat(2). Made when it is not there. All of it is done with the rights of `owner` (rights.h),
 * who may write above it: root needs no capability for it, and gives nothing away. What is found
 * must be a directory, not a link, and the owner's. A descriptor, or a negative errno (-ENOTDIR,
 * -EPERM).
 */
int setup_directory(int at, const char *path, const struct passwd *owner);

/*
 * The directory of the service, DATA_DIRECTORY/headroom.SERVICE: what was learned, the status, and
 * sockets of workers. As setup_directory().
 */
int setup_state_directory(const char *data_directory, const char *service,
                          const struct passwd *owner);

/* What mends that a directory cannot be used, for the end of a line: "; make room there", or "". */
const char *setup_cure(int error);

/*
 * The directory of the last good configuration, pid/headroom-copy.SERVICE below the current
 * directory, 0700, root's: what root reads, mail_owner must not write, and in data_directory
 * `postfix check` complains of every file that is not mail_owner's. Made when it is not there. A
 * descriptor, or a negative errno.
 */
int setup_copy_directory(const char *service);

/*
 * The file with the state in a word, for everybody (report/status_word.h): `path` below the current
 * directory. Made when it is not there, and cut to `size`. A descriptor to write, or a negative errno.
 */
int setup_word(const char *path, off_t size);

/* Raises the soft limit of open files to the hard limit. 0 or a negative errno. */
int setup_descriptors(void);

#endif

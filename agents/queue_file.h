#ifndef AGENTS_QUEUE_FILE_H
#define AGENTS_QUEUE_FILE_H

/*
 * The queue file of a message (postfix-protocol.md 4.6). We never read or write one; we hold the
 * shared lock that a delivery agent holds, which keeps a restarted qmgr(8) from starting the same
 * delivery again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/statvfs.h>

/* Letters and digits, 1 to QUEUE_NAME_MAX of them; ids may have `_`, too, and QUEUE_ID_MAX. So no
 * path leaves the queue. */
bool queue_name_valid(const char *queue_name);
bool queue_id_valid(const char *queue_id);

/*
 * Writes the path of the queue file relative to queue_directory, with the NUL, to path[size];
 * QUEUE_PATH_SIZE is always enough. hash_queue_names (separated by commas and blanks) and
 * hash_queue_depth are Postfix's parameters of that name. 0, -EINVAL for a name or id that is not
 * valid or a depth over QUEUE_HASH_DEPTH_MAX, -ENAMETOOLONG.
 */
int queue_file_path(char *path, size_t size, const char *queue_name, const char *queue_id,
                    const char *hash_queue_names, unsigned hash_queue_depth);

/*
 * Opens the file below the directory and takes the shared lock without waiting. Returns a
 * descriptor >= 0 that is close-on-exec and holds the lock until it is closed, or -ENOENT       the
 * message is gone -EWOULDBLOCK  somebody has it locked exclusively (qmgr or pickup at work on it)
 *   -EINVAL       not a regular file
 *   -errno        of openat(2), fstat(2), flock(2); -ELOOP for a symbolic link
 */
int queue_file_lock(int queue_directory_fd, const char *path);

/* Is no file of this name there any more? A new qmgr(8) moves what is in active/ to incoming/. */
bool queue_file_moved(int queue_directory_fd, const char *path);

/*
 * Can the queue be written to? 0; -EROFS: it is read-only; -ENOSPC: for who is not root there is no block or no inode left.
 * Where that cannot be told, 0. *found is what was looked at, for a line about it; it may be NULL.
 */
int queue_writable(int queue_directory_fd, struct statvfs *found);

#endif

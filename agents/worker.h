#ifndef AGENTS_WORKER_H
#define AGENTS_WORKER_H

/*
 * One stock worker: the socket it listens on, and how it is executed.
 *
 * A worker has a listening socket of its own, `worker.N` in the current directory, so that a
 * request is tied to a process; and a status channel of its own, whose end of file tells a worker
 * that its master has gone, and us that the worker has (postfix-protocol.md 1.2, 2.2, 10 rows 12
 * to 17). It is executed as master(8) would execute it.
 */

/*
 * Makes worker N's listening socket, non-blocking and close-on-exec. A descriptor, or a negative
 * errno. Its name stays when the worker has gone, and with it the inode that the next worker N
 * needs: on a full disk there may be no other.
 */
int worker_listen(unsigned number);

/* A non-blocking connection to worker N. A descriptor, or a negative errno (-ECONNREFUSED: it has
 * gone). */
int worker_connect(unsigned number);

/*
 * Takes away the sockets of workers in the current directory. With `left`, those that still run are
 * kept, as `left.PID.N`: a predecessor's, or its predecessor's. `left` is given a connection to
 * each and owns the descriptor, which is readable when that worker has ended, or is done and about
 * to end. Without `left`, those of a predecessor that still run are kept as they are. 0 or a
 * negative errno.
 */
int worker_sweep(void (*left)(void *context, int fd), void *context);

/*
 * Becomes a worker: called in a new child process. Puts the listening socket and the status channel
 * where master(8) puts them; the flow pipe stays where it is, everything else is close-on-exec.
 * Does not return: exits with 127 when `path` can't be executed.
 */
_Noreturn void worker_execute(const char *path, char *const argv[], char *const environment[],
                              int listening, int status);

#endif

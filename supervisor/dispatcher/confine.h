#ifndef SUPERVISOR_DISPATCHER_CONFINE_H
#define SUPERVISOR_DISPATCHER_CONFINE_H

/*
 * What the dispatcher gives up, so that who conquers it by its input has little of it: besides the
 * rights of root, which it has given up before.
 *
 *   confine_files()  Landlock: it writes, makes and removes files in the given directories only,
 *                    executes none, and, where the kernel can, has no TCP, no abstract sockets of
 *                    others and sends no signals. Of the calling thread and those that it makes, so
 *                    it is called before there are others. Reading is not bound by it.
 *   confine_calls()  seccomp: system calls that it has no need of fail with EPERM, so that a library
 *                    that tries one goes on; those that are nothing but an attack end the process.
 *                    Sockets are of AF_UNIX only. Of all threads. None is made after it, and no
 *                    process. No core, and nobody traces it.
 *
 * Both need no_new_privs. What fails is not tried again and no reason to end.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes the filter for this process, and finds out whether another filter lets both be: systemd's
 * SystemCallFilter= may end a process that calls seccomp(2) or landlock(7). Both in a child process,
 * because libseccomp crashes or spins when there is no memory. 0, also when no filter could be made;
 * -EPERM: the child was ended when it tried; or another negative errno.
 */
int confine_probe(void);

/*
 * A directory with all that is below it, by name, or by descriptor where `name` is NULL. `emptied`:
 * directories are removed there, and nothing else is done. The kernel knows the directory, not its
 * name: one that is removed, and made again, is another.
 */
struct confine_place {
    const char *name;
    int descriptor;
    bool emptied;
};

/*
 * The version of Landlock that holds, or a negative errno: -ENOSYS and -EOPNOTSUPP when the kernel
 * has none or has it switched off, or the container does not pass it on. A directory that is not
 * there is left out.
 */
int confine_files(const struct confine_place *places, size_t count);

/* The filter that confine_probe() made; -ENOMEM when it made none. 0 or a negative errno; -EINVAL
 * and -ENOSYS when the kernel has no seccomp. */
int confine_calls(void);

#endif

#ifndef SUPERVISOR_PARENT_RIGHTS_H
#define SUPERVISOR_PARENT_RIGHTS_H

/*
 * Acting as mail_owner for a moment. A hardened unit takes capabilities from root (Debian 13's
 * leaves no CAP_FOWNER and no CAP_KILL), and what belongs to mail_owner is then out of root's
 * reach. Every unit that runs Postfix leaves CAP_SETUID and CAP_SETGID.
 *
 * Only the effective ids change: mail_owner can neither signal nor trace the process meanwhile,
 * because its real and its saved user id stay root's (kill(2), ptrace(2)).
 */

#include <pwd.h>
#include <sys/types.h>

/*
 * Takes the effective user and group id of `owner`. A process that has them already stays as it
 * is. 0 or a negative errno; then nothing has changed.
 */
int rights_borrow(const struct passwd *owner);

/*
 * Back to the real ids. Ends the process with abort(3) when the kernel refuses: nothing that
 * follows would have the rights it expects. Does not change errno.
 */
void rights_return(void);

/*
 * kill(2). Where root may not signal a process of `owner`, `owner` does. 0 or a negative errno.
 */
int rights_kill(const struct passwd *owner, pid_t pid, int signal);

#endif

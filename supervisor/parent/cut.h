#ifndef SUPERVISOR_PARENT_CUT_H
#define SUPERVISOR_PARENT_CUT_H

/*
 * What the parent gives up of root's rights, for itself and for the workers that it starts, which
 * master(8) would have started with all that it has.
 *
 *   capabilities  setuid, setgid, kill, sys_chroot, dac_override and dac_read_search are left: what
 *                 a stock agent needs for its start (postfix-protocol.md 2.2: it opens tables and
 *                 keys as root, changes its root and becomes mail_owner), and the parent to end it.
 *   no_new_privs  No set-user-id program and no file capability gives any back. Left out where
 *                 SELinux is, because a transition on exec may then be refused.
 *
 * Only where the agent is lmtp or smtp. local(8), pipe(8) and virtual(8) run other people's programs
 * and make files in their names.
 *
 * Of the calling thread and what it starts: called before there are others.
 */

enum cut {
    CUT_DONE,
    CUT_AGENT_NEEDS, /* nothing was given up: the agent is another one */
    CUT_FORBIDDEN,   /* nothing was given up: a filter of the unit ends who tries */
    CUT_WORKERS_KEEP /* the parent has given them up; what it starts gets them back */
};

/* `agent` is the name of the program. Tried in a child process first. */
enum cut cut_rights(const char *agent);

/* Why not all, for the end of a line; NULL where there is nothing to say. */
const char *cut_text(enum cut cut);

#endif

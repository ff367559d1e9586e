#ifndef AGENTS_TEMPLATE_H
#define AGENTS_TEMPLATE_H

/*
 * The template: one stock agent that has initialised itself and forks workers in the place of exec.
 * A forked worker shares what every agent has alike (relocated libraries, parameters), which is two
 * thirds of its memory, and starts in a fraction of the time.
 *
 * The template is executed as a worker is, with agents/template/ preloaded. That object takes over
 * Postfix's event_loop() at its first call. From there on the template reads wishes on its control
 * socket, which has the place of the status channel (descriptor 5). An eventfd that nobody writes
 * has the place of the listening socket (6). Nothing of Postfix is changed: an agent that the
 * object does not reach ends at the first wish, because the status channel says something.
 *
 *   template -> caller   TEMPLATE_READY    it may fork; `value` is 1 when it speaks TLS, else 0
 *                        TEMPLATE_SETTLES  not for some seconds: it waits for connections to close
 *                        TEMPLATE_REFUSED  it must not; `value` is an enum template_reason
 *                        TEMPLATE_STARTED  wish `number` is process `value`
 *                        TEMPLATE_FAILED   wish `number` made no process; `value` is an errno
 *                                          value, ESTALE when something has changed on disk
 *   caller -> template   TEMPLATE_FORK     with two descriptors: listening socket, status channel
 *
 * Workers are children of the template's parent, not of the template (CLONE_PARENT): the caller
 * reaps them and they outlive the template. Both the template and the new worker tell STARTED, and
 * the worker before anything else. So at the end of file on the control socket each living worker
 * has been told, whenever the template died. A worker that cannot tell ends.
 *
 * What an agent does before its loop (Postfix 3.7 to 3.12), and what becomes of it in a fork:
 *
 *   parameters, tables without a descriptor,  inherited; the template is stale when a file changes
 *   certificates                              that it has opened, when main.cf, master.cf, the
 *                                             program or a library does, and old after
 *                                             TEMPLATE_AGE_MOST
 *   uid, gid, chroot, directory, umask        inherited
 *   log                                       datagram socket: shared, each line is one message
 *   epoll descriptor                          made again by event_fork()
 *   the watchdog's pipe to itself             made again
 *   timers (max_idle)                         begin again; the watchdog's alarm, too
 *   pid (var_pid, process_id)                 set again
 *   rand(3) of Postfix                        seeded again from the kernel
 *   OpenSSL's generator                       seeds itself again when getpid(2) changes (since 1.1.1)
 *   tlsmgr, proxymap                          their idle connections are closed by their own timers
 *                                             before the template says READY
 *   tables of type hash and btree             opened again for each worker, where the agent's user
 *                                             may; else refused
 *   anything else that is open                TEMPLATE_REFUSED
 *
 * One thing differs in a forked worker: its buffers for a TCP connection across the loopback
 * interface have 36 kB, as across an Ethernet with large frames, not 0.3 MB (template/segments.c).
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Raised with each change of what is said; the object and the caller must agree. */
#define TEMPLATE_VERSION "3"
#define TEMPLATE_OBJECT "headroom-template.so"
#define TEMPLATE_ENVIRONMENT "HEADROOM_TEMPLATE"

/* The end of its process name, in the place of the agent's: "lmtp-template". */
#define TEMPLATE_NAME "-template"

#define TEMPLATE_DESCRIPTORS 2

#define TEMPLATE_AGE_MOST 3600 /* s */

enum template_kind {
    TEMPLATE_READY = 1,
    TEMPLATE_SETTLES,
    TEMPLATE_REFUSED,
    TEMPLATE_STARTED,
    TEMPLATE_FAILED,
    TEMPLATE_FORK,
};

/* Why workers are not forked. */
enum template_reason {
    TEMPLATE_FINE,
    TEMPLATE_NO_PROC,    /* it cannot look at itself */
    TEMPLATE_SYMBOLS,    /* a function of Postfix's is not exported */
    TEMPLATE_THREADS,    /* more than one */
    TEMPLATE_CONNECTION, /* a socket that is not the log's */
    TEMPLATE_FILE,       /* a file, a table */
    TEMPLATE_MAPPED,     /* memory that is shared and writable */
    TEMPLATE_TIMERS,     /* more than are kept */
    TEMPLATE_REPLACED,   /* something that it runs is not on disk any more */
    /* What the caller finds. */
    TEMPLATE_NOT_YET,   /* it initialises itself */
    TEMPLATE_NO_OBJECT, /* the object is not installed */
    TEMPLATE_PRELOAD,   /* LD_PRELOAD is used already */
    TEMPLATE_UNTAKEN,   /* the object did not take over */
    TEMPLATE_ENDED,     /* it has ended */
    TEMPLATE_SILENT,    /* it does not answer */
    TEMPLATE_NO_FORK,   /* its fork fails */
    TEMPLATE_OFF,       /* workers.start is exec */
};

#define TEMPLATE_REASONS (TEMPLATE_OFF + 1)
#define TEMPLATE_DETAIL_SIZE 128

struct template_message {
    uint32_t kind;
    uint32_t number;
    int32_t value;
    char detail[TEMPLATE_DETAIL_SIZE]; /* REFUSED: which one; closed with a NUL */
};

/* "it has a connection open"; for TEMPLATE_FINE "". */
const char *template_reason_text(enum template_reason reason);

/* The control socket's pair, close-on-exec: [0] is the caller's. 0 or a negative errno. */
int template_open(int ends[2]);

/*
 * Becomes the template: called in a new child process. `control` is the other end of the pair. The
 * environment has LD_PRELOAD=<object> and TEMPLATE_ENVIRONMENT=TEMPLATE_VERSION. Does not return:
 * exits with 127 when `path` cannot be executed.
 */
_Noreturn void template_execute(const char *path, char *const argv[], char *const environment[],
                                int control);

/*
 * Reads one message, waiting up to `milliseconds`. 1 with a message, 0 when there is none, -EPIPE at
 * the end, -EBADMSG for a malformed one.
 */
int template_receive(int control, struct template_message *message, int milliseconds);

/*
 * Asks for a worker, and waits up to `milliseconds` for the answer. The caller keeps its copies of
 * the descriptors. Its pid; -ETIMEDOUT; -EPIPE when the template has gone and made none; or what
 * FAILED says (-ESTALE, -EAGAIN, -ENOMEM). After another error than the last ones the template is
 * to be given up: template_late().
 */
pid_t template_ask(int control, uint32_t number, const int descriptors[TEMPLATE_DESCRIPTORS],
                   int milliseconds);

/*
 * The template was killed while it had wish `number`. The pid of the worker that it made all the
 * same; -EPIPE: there is none; -ETIMEDOUT: not known within `milliseconds`. One that tells later
 * finds the socket closed and ends.
 */
pid_t template_late(int control, uint32_t number, int milliseconds);

#endif

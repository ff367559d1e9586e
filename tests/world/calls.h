#ifndef TESTS_WORLD_CALLS_H
#define TESTS_WORLD_CALLS_H

/* What the linker puts in the place of the functions of those names (--wrap, in GNUmakefile). */

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "agents/postconf.h"
#include "cgroup/group.h"
#include "cgroup/memory_source.h"
#include "supervisor/dispatcher/dispatcher_confine.h"
#include "supervisor/dispatcher/dispatcher_modules.h"
#include "supervisor/journal/journal.h"
#include "supervisor/parent/channel.h"
#include "supervisor/report/holds.h"
#include "supervisor/report/snapshot.h"

/* calls.c, turn.c */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *block);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
ssize_t __wrap_recv(int fd, void *into, size_t size, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags);
int __wrap_shutdown(int fd, int how);
int __wrap_socketpair(int domain, int type, int protocol, int ends[2]);
int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
ssize_t __wrap_read(int fd, void *into, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_pread(int fd, void *into, size_t size, off_t offset);
int __wrap_close(int fd);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);
int __wrap_clock_gettime(clockid_t id, struct timespec *time);
unsigned __real_alarm(unsigned seconds);
unsigned __wrap_alarm(unsigned seconds);
ssize_t __wrap_getrandom(void *into, size_t size, unsigned flags);
int __wrap_getrlimit(int which, struct rlimit *limit);
int __wrap_signalfd(int fd, const sigset_t *set, int flags);
uid_t __wrap_geteuid(void);
pid_t __wrap_getppid(void);
int __wrap_prctl(int option, ...);

/* outside.c: when memory or the end of the run changes something, and that it does */
uint64_t outside_next(void);
void outside_act(void);
void outside_begin(void);
int __real_dispatcher_modules_create(struct router *router,
                                     const struct dispatcher_settings *settings,
                                     struct sockets *sockets);
void __real_dispatcher_modules_destroy(struct router *router);
int __wrap_dispatcher_modules_create(struct router *router,
                                     const struct dispatcher_settings *settings,
                                     struct sockets *sockets);
void __wrap_dispatcher_modules_destroy(struct router *router);
void __wrap_memory_source_read(const struct memory_source *source, struct memory_sample *sample);
bool __wrap_memory_source_renew(struct memory_source *source, const struct pool_group *group);
const char *__wrap_group_directory(const struct pool_group *group);
int __wrap_group_count_processes(const struct pool_group *group);
enum group_mode __wrap_group_mode(const struct pool_group *group);
const char *__wrap_group_note(const struct pool_group *group);
bool __wrap_group_settled(const struct pool_group *group);
int __wrap_queue_file_lock(int directory, const char *path);
bool __wrap_queue_file_moved(int directory, const char *path);
int __wrap_queue_writable(int directory);
int __wrap_defer_log_reason(int directory, const char *queue_id, const char *names, unsigned depth,
                            const char *domain, char *text, size_t size);
void __wrap_sockets_open(struct sockets *sockets, const struct sockets_config *config, int state);
int __wrap_sockets_listen(struct sockets *sockets, unsigned number, int *place, uint64_t now);
int __wrap_sockets_connect(struct sockets *sockets, unsigned number, int place);
void __wrap_sockets_close(struct sockets *sockets);
int __wrap_journal_open(struct journal **journal, const struct journal_options *options);
void __wrap_journal_log(struct journal *journal, enum journal_event event, int priority,
                        const struct journal_field *fields, size_t count, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
uint64_t __wrap_journal_close(struct journal *journal, int milliseconds);
int __wrap_snapshot_create(struct snapshot **out, int directory, const char *place, int word,
                           struct complaints *complaints);
void __wrap_snapshot_destroy(struct snapshot *snapshot);
void __wrap_snapshot_changed(struct snapshot *snapshot, const struct report_view *view);
void __wrap_snapshot_tick(struct snapshot *snapshot, const struct report_view *view, bool last);
int __wrap_learned_save(int directory, const char *name, const struct admission *admission,
                        unsigned limit, int64_t now, int64_t wall);
int __wrap_learned_load(int directory, const char *name, struct admission *admission,
                        unsigned *limit, int64_t now, int64_t wall);
void __wrap_dispatcher_confine_files(struct dispatcher_confinement *confinement,
                                     const struct dispatcher_settings *settings);
void __wrap_dispatcher_confine_calls(struct dispatcher_confinement *confinement,
                                     const struct dispatcher_settings *settings,
                                     struct journal *journal);
int __wrap_schedstat_open(void);
int __wrap_holds_read(const char *directory, unsigned owner, int64_t now, struct holds *holds);
int __wrap_lstat(const char *path, struct stat *status);

/* workers.c */
int __wrap_channel_send(int end, const struct channel_message *message, const int *fds);
int __wrap_channel_receive(int end, struct channel_message *message, int fds[CHANNEL_DESCRIPTORS]);

/* deferrals.c */
int __wrap_redirect_connect(int queue_directory);

#endif

/* What an agent must not have to be forked, and what must not change on disk. agents/template/ */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/template/parts.h"

static struct template_places places;

/* Looks in a child that has what a stock agent has in its loop, and what `prepare` adds. */
static int look(void (*prepare)(void))
{
    char detail[TEMPLATE_DETAIL_SIZE];
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        syscall(SYS_close_range, 3, ~0U, 0);
        for (int fd = 3; fd <= 6; fd++)
            open("/dev/null", O_RDWR);
        epoll_create1(0);
        places = (struct template_places){
            .root = open("/", O_RDONLY | O_DIRECTORY),
            .proc = open("/proc/self", O_RDONLY | O_DIRECTORY),
            .pipe = {-1, -1},
        };
        prepare();
        _exit((int)template_look(&places, detail));
    }
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void nothing(void)
{
}

static void own_pipe(void)
{
    int ends[2];

    if (pipe(ends) < 0 ||
        template_look(&places, (char[TEMPLATE_DETAIL_SIZE]){0}) != TEMPLATE_FINE ||
        places.pipe[0] != ends[0] || places.pipe[1] != ends[1])
        _exit(99);
}

static const struct sockaddr_un log_address = {.sun_family = AF_UNIX, .sun_path = "/tmp/dev-log"};

static void log_socket(void)
{
    int client = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (connect(client, (const struct sockaddr *)&log_address, sizeof log_address) < 0)
        _exit(99);
}

Test(template, a_stock_agent_may_be_forked)
{
    int server = socket(AF_UNIX, SOCK_DGRAM, 0);

    unlink(log_address.sun_path);
    cr_assert_eq(bind(server, (const struct sockaddr *)&log_address, sizeof log_address), 0);
    cr_expect_eq(look(nothing), TEMPLATE_FINE);
    cr_expect_eq(look(own_pipe), TEMPLATE_FINE, "the watchdog's");
    cr_expect_eq(look(log_socket), TEMPLATE_FINE, "the log");
    unlink(log_address.sun_path);
    close(server);
}

/* A file as Berkeley DB begins it. */
#define HASH 0x061561
#define BTREE 0x053162
static int table_open(uint32_t magic, mode_t mode, int flags)
{
    char name[] = "/tmp/headroom-table-XXXXXX";
    int made = mkstemp(name), fd;

    if (made < 0 || pwrite(made, &magic, sizeof magic, 12) != sizeof magic)
        _exit(99);
    fd = open(name, flags);
    fchmod(made, mode);
    close(made);
    unlink(name);
    return fd;
}

static void hash(void)
{
    table_open(HASH, 0644, O_RDONLY);
}

/* What workers get is not the template's: a lock of one is not another's. */
static void btree(void)
{
    int again[TEMPLATE_TABLES_MAX];
    int fd = table_open(BTREE, 0644, O_RDONLY);
    int template = fcntl(fd, F_DUPFD, 50);

    if (template_look(&places, (char[TEMPLATE_DETAIL_SIZE]){0}) != TEMPLATE_FINE ||
        places.tables != 2 || !template_tables_open(&places, again) ||
        flock(fd, LOCK_EX | LOCK_NB) < 0 || flock(template, LOCK_EX | LOCK_NB) < 0)
        _exit(99);
    places.tables = 1;
    if (!template_tables_begin(&places, again) || fcntl(fd, F_GETFD) != FD_CLOEXEC ||
        flock(fd, LOCK_SH | LOCK_NB) == 0)
        _exit(98);
}

Test(template, a_table_that_workers_can_open_again_is_fine)
{
    cr_expect_eq(look(hash), TEMPLATE_FINE);
    cr_expect_eq(look(btree), TEMPLATE_FINE);
}

static void table_of_another_kind(void)
{
    table_open(0x1234, 0644, O_RDONLY);
}

static void written_table(void)
{
    table_open(HASH, 0644, O_RDWR);
}

static void table_of_root(void)
{
    table_open(HASH, 0, O_RDONLY);
    if (geteuid() == 0 && setuid(65534) < 0)
        _exit(99);
}

static void file(void)
{
    open("/etc/passwd", O_RDONLY);
}

static void end_of_pipe(void)
{
    int ends[2];

    if (pipe(ends) == 0)
        close(ends[0]);
}

static void two_pipes(void)
{
    int ends[4];

    if (pipe(ends) < 0 || pipe(ends + 2) < 0)
        _exit(99);
}

static void full_pipe(void)
{
    int ends[2];

    if (pipe(ends) < 0 || write(ends[1], "", 1) != 1)
        _exit(99);
}

static void second_epoll(void)
{
    epoll_create1(0);
}

static void stream(void)
{
    int ends[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

static void datagrams(void)
{
    socket(AF_INET, SOCK_DGRAM, 0);
}

static void *wait_for_ever(void *nothing_given)
{
    pause();
    return nothing_given;
}

static void thread(void)
{
    pthread_t made;

    pthread_create(&made, NULL, wait_for_ever, NULL);
}

static void shared_memory(void)
{
    (void)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void shared_to_read(void)
{
    int fd = open("/etc/passwd", O_RDONLY);

    if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
        _exit(99);
    close(fd);
}

static void no_proc(void)
{
    close(places.proc);
    places.proc = -1;
}

Test(template, what_a_fork_must_not_share_is_refused)
{
    cr_expect_eq(look(file), TEMPLATE_FILE);
    cr_expect_eq(look(table_of_another_kind), TEMPLATE_FILE);
    cr_expect_eq(look(written_table), TEMPLATE_FILE);
    cr_expect_eq(look(table_of_root), TEMPLATE_FILE, "its user may not open it again");
    cr_expect_eq(look(end_of_pipe), TEMPLATE_FILE);
    cr_expect_eq(look(two_pipes), TEMPLATE_FILE);
    cr_expect_eq(look(full_pipe), TEMPLATE_FILE);
    cr_expect_eq(look(second_epoll), TEMPLATE_FILE);
    cr_expect_eq(look(stream), TEMPLATE_CONNECTION);
    cr_expect_eq(look(datagrams), TEMPLATE_CONNECTION);
    cr_expect_eq(look(thread), TEMPLATE_THREADS);
    cr_expect_eq(look(shared_memory), TEMPLATE_MAPPED);
    cr_expect_eq(look(shared_to_read), TEMPLATE_FINE);
    cr_expect_eq(look(no_proc), TEMPLATE_NO_PROC);
}

static void write_file(const char *path, const char *text)
{
    FILE *to = fopen(path, "w");

    cr_assert_not_null(to);
    fputs(text, to);
    fclose(to);
}

/* `change` happens after all was noted; `read` is a file that is opened before. */
static bool fresh_after(void (*change)(const char *directory))
{
    static const char *const names[] = {"main.cf", "master.cf", "table"};
    char directory[] = "/tmp/test_template.XXXXXX", path[64], detail[TEMPLATE_DETAIL_SIZE];
    bool fresh;
    int fd;

    cr_assert_not_null(mkdtemp(directory));
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        write_file(path, "a");
    }
    places = (struct template_places){
        .root = open("/", O_RDONLY | O_DIRECTORY),
        .proc = open("/proc/self", O_RDONLY | O_DIRECTORY),
        .pipe = {-1, -1},
    };
    template_note_begin(&places);
    fd = open(path, O_RDONLY);
    template_note_open(fd);
    close(fd);
    /* Criterion has mapped a file that has no name any more. */
    if (template_note_end(directory, detail) != TEMPLATE_FINE)
        cr_assert(strncmp(detail, "/dev/shm/", strlen("/dev/shm/")) == 0, "%s", detail);
    cr_assert(template_fresh());
    change(directory);
    fresh = template_fresh();
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
    return fresh;
}

static void change_nothing(const char *directory)
{
    (void)directory;
}

static void touch(const char *directory, const char *name)
{
    char path[64];
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

    snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void touch_main(const char *directory)
{
    touch(directory, "main.cf");
}

static void touch_table(const char *directory)
{
    touch(directory, "table");
}

static void replace_master(const char *directory)
{
    char from[64], to[64];

    snprintf(from, sizeof from, "%s/new", directory);
    snprintf(to, sizeof to, "%s/master.cf", directory);
    write_file(from, "a");
    cr_assert_eq(rename(from, to), 0);
}

static void remove_table(const char *directory)
{
    char path[64];

    snprintf(path, sizeof path, "%s/table", directory);
    cr_assert_eq(unlink(path), 0);
}

Test(template_fresh, nothing_has_changed)
{
    cr_expect(fresh_after(change_nothing));
}

Test(template_fresh, main_cf_is_newer)
{
    cr_expect_not(fresh_after(touch_main));
}

Test(template_fresh, master_cf_is_another_file)
{
    cr_expect_not(fresh_after(replace_master));
}

Test(template_fresh, a_file_that_was_read_is_newer)
{
    cr_expect_not(fresh_after(touch_table));
}

Test(template_fresh, a_file_that_was_read_is_gone)
{
    cr_expect_not(fresh_after(remove_table));
}

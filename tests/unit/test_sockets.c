/* supervisor/dispatcher/sockets.c: where workers' sockets go when the state directory does not take them. */

#include "supervisor/dispatcher/sockets.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/parent/setup.h"
#include "tests/unit/said.h"

static char directory[] = "/tmp/headroom-test-XXXXXX";
static struct complaints complaints;
static struct sockets sockets;
static const struct passwd *owner;
static int state, queue;
static bool root; /* it was, and can be again */
static char memory[64], private_path[64], memory_path[SOCKET_PLACE_NAME_MAX];

/* Sockets change the current directory, and remember which it is. */
static void here(void)
{
    cr_assert_eq(chdir(directory), 0);
    sockets.entered = -1;
}

static int renew(void *context)
{
    int fd;

    cr_expect_eq(context, &sockets);
    here();
    fd = setup_state_directory("data", "lmtp", owner);
    if (fd >= 0)
        state = fd;
    return fd;
}

static void begin(void)
{
    here();
    state = setup_state_directory("data", "lmtp", owner);
    sockets_open(&sockets,
                 &(struct sockets_config){.complaints = &complaints,
                                          .owner = owner,
                                          .service = "lmtp",
                                          .queue_directory = queue,
                                          .queue_name = "/the/queue",
                                          .memory = memory,
                                          .state_name = "/the/state",
                                          .renew = renew,
                                          .context = &sockets},
                 state);
    snprintf(memory_path, sizeof memory_path, "%s", sockets.place[2].name);
    here();
}

/* As mail_owner, because nothing is shut for root. */
static void setup(void)
{
    static const char *const own[] = {"data", "queue/private", "memory"};

    owner = geteuid() == 0 ? getpwnam("nobody") : getpwuid(geteuid());
    cr_assert_not_null(owner);
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chmod(directory, 0755), 0);
    here();
    snprintf(memory, sizeof memory, "%s/memory", directory);
    snprintf(private_path, sizeof private_path, "%s/queue/private/headroom.lmtp", directory);
    cr_assert_eq(mkdir("queue", 0755), 0);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(mkdir(own[i], 0700) == 0 &&
                  (geteuid() != 0 || chown(own[i], owner->pw_uid, owner->pw_gid) == 0));
    queue = open("queue", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(queue, 0);
    root = geteuid() == 0;
    if (root)
        cr_assert(setresgid(owner->pw_gid, owner->pw_gid, 0) == 0 &&
                  setresuid(owner->pw_uid, owner->pw_uid, 0) == 0);
}

static void teardown(void)
{
    char command[64];

    if (root)
        cr_assert(seteuid(0) == 0 && setresuid(0, 0, 0) == 0);
    cr_assert_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_assert_eq(system(command), 0); /* NOLINT(cert-env33-c): a name of our own */
}

TestSuite(sockets, .init = setup, .fini = teardown);

/* A socket for this worker, in this place, which is found also from elsewhere. */
static void expect_socket(unsigned number, int place)
{
    int at = -1, client, fd;

    fd = sockets_listen(&sockets, number, &at, 1);
    cr_assert_geq(fd, 0, "errno %d", -fd);
    cr_expect_eq(at, place);
    client = sockets_connect(&sockets, number, at);
    cr_expect_geq(client, 0, "errno %d", -client);
    close(client);
    close(fd);
    here();
}

Test(sockets, the_state_directory_first)
{
    begin();
    expect_socket(0, 0);
    cr_expect_eq(access("data/headroom.lmtp/worker.0", F_OK), 0);
    /* Somebody has removed it. */
    cr_assert_eq(unlink("data/headroom.lmtp/worker.0"), 0);
    cr_assert_eq(rmdir("data/headroom.lmtp"), 0);
    expect_socket(1, 0);
    cr_expect_eq(access("data/headroom.lmtp/worker.1", F_OK), 0);
    cr_expect_eq(said.times[COMPLAINT_SOCKETS], 0);
    sockets_close(&sockets);
    here();
    cr_expect_eq(access("data/headroom.lmtp/worker.1", F_OK), 0, "names stay: their inodes do");
}

Test(sockets, each_goes_where_it_can)
{
    int first, fd, client;

    begin();
    cr_assert_eq(chmod("data/headroom.lmtp", 0500), 0);
    expect_socket(0, 1);
    cr_expect_eq(said.times[COMPLAINT_SOCKETS], 1);
    cr_expect(strstr(said.last, "/the/queue/private/headroom.lmtp"), "%s", said.last);
    cr_expect(strstr(said.last, strerror(EACCES)), "%s", said.last);
    expect_socket(0, 1);
    cr_expect_eq(said.times[COMPLAINT_SOCKETS], 1);
    cr_expect_eq(access("queue/private/headroom.lmtp/worker.0", F_OK), 0);
    fd = sockets_listen(&sockets, 7, &first, 1);
    cr_assert_geq(fd, 0);
    here();
    cr_assert_eq(chmod("queue/private/headroom.lmtp", 0500), 0);
    expect_socket(1, 2);
    cr_expect_eq(said.times[COMPLAINT_SOCKETS], 2);
    /* The first is asked first again, and the others are still reached. */
    cr_assert_eq(chmod("data/headroom.lmtp", 0700), 0);
    expect_socket(2, 0);
    client = sockets_connect(&sockets, 7, first);
    cr_expect_geq(client, 0);
    here();
    cr_assert_eq(chmod("queue/private/headroom.lmtp", 0700), 0);
    sockets_end(&sockets);
    sockets_close(&sockets);
    cr_expect_neq(access(private_path, F_OK), 0, "it is left");
    cr_expect_neq(access(memory_path, F_OK), 0, "it is left");
}

/* What a killed predecessor left elsewhere goes at the next start. */
Test(sockets, leftovers_elsewhere)
{
    begin();
    cr_assert_eq(chmod("data/headroom.lmtp", 0500), 0);
    expect_socket(0, 1);
    cr_assert_eq(chmod("queue/private/headroom.lmtp", 0500), 0);
    expect_socket(0, 2);
    cr_assert_eq(chmod("data/headroom.lmtp", 0700), 0);
    cr_assert_eq(chmod("queue/private/headroom.lmtp", 0700), 0);
    begin();
    cr_expect_neq(access("queue/private/headroom.lmtp/worker.0", F_OK), 0, "it is left");
    cr_expect_neq(access(memory_path, F_OK), 0, "it is left");
    /* The directory itself goes with the service; a reload leaves it to the successor. */
    sockets_close(&sockets);
    here();
    cr_expect_eq(access(private_path, F_OK), 0);
}

Test(sockets, no_place_at_the_start_and_one_later)
{
    int at;

    cr_assert(chmod("data", 0500) == 0 && chmod("queue/private", 0500) == 0 &&
              chmod("memory", 0500) == 0);
    begin();
    cr_assert_eq(state, -EACCES);
    cr_expect_eq(sockets_listen(&sockets, 0, &at, 1), -EACCES);
    here();
    cr_assert_eq(chmod("memory", 0700), 0);
    expect_socket(0, 2);
    cr_expect_eq(said.times[COMPLAINT_SOCKETS], 0, "that there is no directory was said before");
    cr_assert_eq(chmod("data", 0700), 0);
    expect_socket(0, 0);
}

/* Everybody may write to /dev/shm, and mail_owner to private/. */
Test(sockets, not_what_others_prepared)
{
    int at;

    if (!root)
        cr_skip_test("needs other people");
    begin();
    cr_assert_eq(seteuid(0), 0);
    cr_assert(rename("data/headroom.lmtp", "data/was") == 0 && chmod("data/was", 0500) == 0 &&
              mkdir("data/headroom.lmtp", 0777) == 0 && symlink("/tmp", private_path) == 0 &&
              mkdir(memory_path, 0777) == 0 && chmod(memory_path, 0777) == 0);
    cr_assert_eq(seteuid(owner->pw_uid), 0);
    begin();
    cr_expect_eq(state, -EPERM);
    cr_expect_eq(sockets_listen(&sockets, 0, &at, 1), -EPERM);
}

/* Another place does not mend that. */
Test(sockets, short_of_descriptors)
{
    struct rlimit limit;
    int at, fd;

    begin();
    fd = dup(state);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)fd;
    close(fd);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_expect_eq(sockets_listen(&sockets, 0, &at, 1), -EMFILE);
    cr_expect_neq(access(private_path, F_OK), 0, "another place was tried");
    cr_expect_eq(said.times[COMPLAINT_SOCKETS], 0);
}

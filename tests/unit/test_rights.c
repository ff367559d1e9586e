/* supervisor/parent/rights.c: mail_owner's rights for a moment, as a root without capabilities needs them. */

#include "supervisor/parent/rights.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct passwd *owner_find(void)
{
    const struct passwd *owner = getpwnam("nobody");

    cr_assert_not_null(owner);
    return owner;
}

/* Takes one capability from this process. */
static void capability_drop(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    cr_assert_eq(syscall(SYS_capget, &header, data), 0);
    data[capability / 32].effective &= ~(1U << capability % 32);
    data[capability / 32].permitted &= ~(1U << capability % 32);
    cr_assert_eq(syscall(SYS_capset, &header, data), 0);
}

/* A process of `user` that ends of a signal only. */
static pid_t process_of(const struct passwd *user)
{
    int ready[2];
    char byte;
    pid_t pid;

    cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (setresgid(user->pw_gid, user->pw_gid, user->pw_gid) == 0 &&
            setresuid(user->pw_uid, user->pw_uid, user->pw_uid) == 0)
            (void)!write(ready[1], "r", 1);
        /* Should the test fail, it ends by itself. */
        alarm(10);
        for (;;)
            pause();
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void expect_ended_by(pid_t pid, int signal)
{
    int status;

    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == signal);
}

Test(rights, borrowed_and_returned)
{
    const struct passwd *owner = owner_find();
    uid_t real, effective, saved;

    if (geteuid() != 0)
        cr_skip_test("needs root");
    cr_assert_eq(rights_borrow(owner), 0);
    cr_assert_eq(getresuid(&real, &effective, &saved), 0);
    cr_assert(real == 0 && effective == owner->pw_uid && saved == 0);
    cr_assert_eq(getegid(), owner->pw_gid);
    errno = EXDEV;
    rights_return();
    cr_assert_eq(errno, EXDEV);
    cr_assert(geteuid() == 0 && getegid() == 0);
}

Test(rights, root_without_cap_kill_ends_a_process_of_its_owner)
{
    const struct passwd *owner = owner_find();
    pid_t pid;

    if (geteuid() != 0)
        cr_skip_test("needs root");
    pid = process_of(owner);
    capability_drop(CAP_KILL);
    cr_assert(kill(pid, 0) < 0 && errno == EPERM, "the kernel lets root do it all the same");
    cr_assert_eq(rights_kill(owner, pid, SIGTERM), 0);
    cr_assert_eq(geteuid(), 0);
    expect_ended_by(pid, SIGTERM);
    cr_assert_eq(rights_kill(owner, pid, SIGTERM), -ESRCH);
}

Test(rights, without_cap_setuid_it_is_said_and_nothing_has_changed)
{
    const struct passwd *owner = owner_find();
    pid_t pid, weak;
    int status;

    if (geteuid() != 0)
        cr_skip_test("needs root");
    pid = process_of(owner);
    weak = fork();
    cr_assert_geq(weak, 0);
    if (weak == 0) {
        capability_drop(CAP_KILL);
        capability_drop(CAP_SETUID);
        _exit(rights_kill(owner, pid, SIGKILL) == -EPERM && rights_borrow(owner) == -EPERM &&
                      geteuid() == 0 && getegid() == 0
                  ? 0
                  : 1);
    }
    cr_assert_eq(waitpid(weak, &status, 0), weak);
    cr_assert_eq(status, 0);
    cr_assert_eq(kill(pid, SIGTERM), 0);
    expect_ended_by(pid, SIGTERM);
}

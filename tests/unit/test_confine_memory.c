/*
 * supervisor/dispatcher/confine.h when memory cannot be had. libseccomp 2.5.4 then crashes, spins for
 * ever, or makes a filter without some of the calls: found by `make check-faults`.
 */

#include "supervisor/dispatcher/confine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Atomic unsigned long failing; /* the number of the call; 0: none */
static _Atomic bool lasting;          /* and all that follow */

/* The sanitizer's are its own. */
#ifndef __SANITIZE_ADDRESS__
static _Atomic unsigned long calls;

/* The C library's own. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static bool fails(void)
{
    return failing > 0 && (++calls == failing || (lasting && calls > failing));
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}
#endif

static int status_of(unsigned long number, bool on)
{
    int status, result;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(60);
        lasting = on;
        failing = number;
        result = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? confine_probe() : 1;
        if (result == 0)
            result = confine_calls();
        /* The C library crashes when its last call is not in the filter. */
        _exit(result < 0 ? -result : result);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

Test(confine_memory, the_dispatcher_goes_on_without)
{
    static const unsigned long numbers[] = {1, 10, 1336, 1337, 2384, 5000};
    int status;

    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        cr_skip_test("this kernel, or what runs this, has no seccomp");
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("the sanitizer takes malloc(3) over");
#endif
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        for (int on = 0; on < 2; on++) {
            status = status_of(numbers[i], on == 1);
            cr_expect(
                WIFEXITED(status) && (WEXITSTATUS(status) == ENOMEM || WEXITSTATUS(status) == 0),
                "call %lu%s: %#x", numbers[i], on ? " and all that follow" : "", (unsigned)status);
        }
    }
    cr_expect_eq(status_of(1, true), ENOMEM << 8);
    cr_expect_eq(status_of(1000000, true), 0);
}

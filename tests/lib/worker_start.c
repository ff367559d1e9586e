/*
 * What the start of a stock agent costs, forked and executed, until its greeting:
 *
 *     MAIL_CONFIG=DIR worker_start OBJECT AGENT COUNT
 *
 * Starts COUNT of each, one after another, in the current directory. Prints "forked WALL CPU" and
 * "executed WALL CPU", medians in microseconds; CPU is the agent's own, with its end by SIGKILL.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agents/template.h"
#include "agents/worker.h"

#define MOST 10000

/* execve(2) writes to none of them. */
static char words[][12] = {"lmtp", "-l", "-n", "lmtp-test", "-t", "unix", "-u"};
static char *arguments[] = {words[0], words[1], words[2], words[3],
                            words[4], words[5], words[6], NULL};
static const char *agent;
static int control = -1;

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static void fail(const char *what)
{
    fprintf(stderr, "worker_start: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void template_start(const char *object)
{
    static char preload[4096], version[] = TEMPLATE_ENVIRONMENT "=" TEMPLATE_VERSION, config[4096];
    char *environment[] = {preload, version, config, NULL};
    struct template_message message;
    int ends[2];

    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", object);
    snprintf(config, sizeof config, "MAIL_CONFIG=%s", getenv("MAIL_CONFIG"));
    if (template_open(ends) < 0)
        fail("socketpair");
    if (fork() == 0)
        template_execute(agent, arguments, environment, ends[1]);
    close(ends[1]);
    control = ends[0];
    if (template_receive(control, &message, 20000) != 1 || message.kind != TEMPLATE_READY) {
        fprintf(stderr, "worker_start: %s: %s\n",
                template_reason_text((enum template_reason)message.value), message.detail);
        exit(1);
    }
}

static pid_t begin(uint32_t number, const int fds[2])
{
    pid_t pid;

    if (control >= 0)
        return template_ask(control, number, fds, 10000);
    pid = fork();
    if (pid == 0)
        worker_execute(agent, arguments, environ, fds[0], fds[1]);
    return pid;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;

    return *one < *other ? -1 : *one > *other;
}

static void run(const char *name, unsigned count)
{
    static uint64_t wall[MOST], cpu[MOST];

    for (unsigned i = 0; i < count; i++) {
        struct pollfd greeting = {.events = POLLIN};
        struct rusage usage;
        uint64_t from;
        int ends[2], listening = worker_listen(0);
        pid_t pid;

        if (listening < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            fail("sockets");
        greeting.fd = worker_connect(0);
        from = now();
        pid = begin(i + 1, (const int[]){listening, ends[1]});
        if (pid <= 0 || poll(&greeting, 1, 10000) != 1)
            fail(name);
        wall[i] = now() - from;
        kill(pid, SIGKILL);
        if (wait4(pid, NULL, 0, &usage) != pid)
            fail("wait");
        cpu[i] = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
        close(listening);
        close(greeting.fd);
        close(ends[0]);
        close(ends[1]);
    }
    qsort(wall, count, sizeof *wall, compare);
    qsort(cpu, count, sizeof *cpu, compare);
    printf("%s %llu %llu\n", name, (unsigned long long)wall[count / 2],
           (unsigned long long)cpu[count / 2]);
}

int main(int argc, char **argv)
{
    unsigned long count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

    if (count < 1 || count > MOST || !getenv("MAIL_CONFIG")) {
        fprintf(stderr, "usage: MAIL_CONFIG=DIR worker_start OBJECT AGENT COUNT\n");
        return 2;
    }
    for (int fd = 3; fd <= 6; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            fail("/dev/null");
    /* What we were given is not for agents. */
    syscall(SYS_close_range, 7, ~0U, 0);
    signal(SIGPIPE, SIG_IGN);
    agent = argv[2];
    run("executed", (unsigned)count);
    template_start(argv[1]);
    run("forked", (unsigned)count);
    unlink("worker.0");
    return 0;
}

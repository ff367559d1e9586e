/*
 * world [-v] [-j PROCESSES] [-t SECONDS] [-n SEEDS] SEED: runs the seeds from SEED on (world.h), as
 * many as -n says, or for so long, by so many processes. The exit status is 1 when a promise was
 * broken: the first of each process is said. With -v it says what happens.
 */

#include "tests/world/world.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/world/calls.h"
#include "tests/world/kernel.h"

#define PROCESSES_MAX 16
#define HANGS 60 /* s of real time for one seed */
#define DATE INT64_C(1795300000000000)

struct world world;
uint64_t figures[FIGURES];

const char *const figure_names[FIGURES] = {
    "turns",           "calls",          "clients accepted", "answered",    "recipients delivered",
    "deferred",        "without record", "refused",          "hung up",     "split",
    "workers started", "workers died",   "turns in SHED",    "clock jumps", "failed allocations",
};

/* What a process has done; all are in memory that the processes share. */
static struct account {
    pid_t pid;
    uint64_t running; /* the seed */
    uint64_t seeds, ends, calm, trouble[TROUBLES], figures[FIGURES];
} * accounts, *account;

/* The world counts blocks itself; LeakSanitizer is not asked. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

uint64_t draw(void)
{
    /* splitmix64 */
    uint64_t z = world.random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t draw_below(uint64_t bound)
{
    return bound > 0 ? draw() % bound : 0;
}

uint64_t draw_from(uint64_t low, uint64_t high)
{
    return low + draw_below(high - low + 1);
}

bool chance(unsigned permille)
{
    return draw_below(1000) < permille;
}

void note(const char *format, ...)
{
    va_list list;

    if (!world.verbose)
        return;
    va_start(list, format);
    printf("%12.6f  ", (double)(world.now - BEGIN) / 1e6);
    vprintf(format, list);
    printf("\n");
    va_end(list);
}

void broken(const char *promise, const char *format, ...)
{
    char text[512];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    printf("seed %" PRIu64 ", turn %" PRIu64 ", %.3f s: BROKEN %s: %s\n", world.seed, world.steps,
           (double)(world.now - BEGIN) / 1e6, promise, text);
    fflush(stdout);
    _exit(1);
}

static void show_plan(void)
{
    const struct plan *plan = &world.plan;

    printf(
        "%s%s, %s; %u mails to %u destinations, workers %u to %u, waiting.max %u, %u descriptors\n",
        plan->config.dry_run ? "dry run, " : "",
        plan->calm   ? "calm"
        : plan->ends ? "trouble ends"
                     : "trouble stays",
        plan->stop ? "SIGTERM" : "reload", plan->mails, plan->domains, plan->config.workers_min,
        plan->config.workers_max, plan->config.waiting_max, plan->descriptors);
    for (unsigned i = 0; i < plan->episodes; i++) {
        const struct episode *episode = &plan->episode[i];

        printf("%s from %.3f s", trouble_names[episode->what],
               (double)(episode->begin - BEGIN) / 1e6);
        if (episode->end != NEVER)
            printf(" to %.3f s", (double)(episode->end - BEGIN) / 1e6);
        printf("\n");
    }
}

static void run(uint64_t seed, bool verbose)
{
    const struct passwd owner = {.pw_name = (char[]){"postfix"}, .pw_uid = 100, .pw_gid = 100};
    struct dispatcher_settings settings = {
        .postconf = &world.plan.postconf,
        .config = &world.plan.config,
        .config_source = "the seed",
        .service = "lmtp",
        .parent = 4711,
        .sockets = 1,
        .queue_directory = 8,
        .state_directory = 9,
        .word = -1,
        .owner = &owner,
    };
    int status;

    world = (struct world){
        .seed = seed, .random = seed, .verbose = verbose, .now = BEGIN, .wall = DATE};
    account->running = seed;
    plan_draw(&world.plan);
    world.calm_since = BEGIN;
    if (verbose)
        show_plan();
    kernel_begin();
    outside_begin();
    workers_begin();
    deferrals_begin();
    mail_begin();
    settings.channel = kernel_open(KIND_CHANNEL, 0);
    settings.trigger[0].descriptor = kernel_open(KIND_TRIGGER, 0);
    settings.trigger[1].descriptor = -1;
    __real_alarm(HANGS);
    status = dispatcher_run(&settings);
    __real_alarm(0);
    promise_end(status);
    account->seeds++;
    account->ends += world.plan.ends;
    account->calm += world.plan.calm;
    for (unsigned i = 0; i < world.plan.episodes; i++)
        account->trouble[world.plan.episode[i].what]++;
}

static double real_time(void)
{
    struct timespec now;

    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(double took)
{
    struct account all = {0};

    for (unsigned i = 0; i < PROCESSES_MAX; i++) {
        all.seeds += accounts[i].seeds;
        all.ends += accounts[i].ends;
        all.calm += accounts[i].calm;
        for (unsigned k = 0; k < TROUBLES; k++)
            all.trouble[k] += accounts[i].trouble[k];
        for (unsigned k = 0; k < FIGURES; k++)
            all.figures[k] += accounts[i].figures[k];
    }
    printf("%" PRIu64 " seeds in %.1f s, %.0f a second; of them %" PRIu64 " calm, in %" PRIu64
           " trouble ends\n",
           all.seeds, took, (double)all.seeds / took, all.calm, all.ends);
    for (unsigned i = 0; i < FIGURES; i++)
        printf("%s%" PRIu64 " %s", i == 0 ? "" : ", ", all.figures[i], figure_names[i]);
    printf("\nseeds with:");
    for (unsigned i = 0; i < TROUBLES; i++)
        printf("%s %s %" PRIu64, i == 0 ? "" : ",", trouble_names[i], all.trouble[i]);
    printf("\n");
}

static bool number(const char *text, uint64_t *value)
{
    char *end;

    *value = text ? strtoull(text, &end, 10) : 0;
    return text && *text != '\0' && *end == '\0';
}

/* Whether it broke a promise, or was ended by an assertion, a wild pointer, or the alarm. */
static bool ended(const struct account *one)
{
    int status;

    if (waitpid(one->pid, &status, 0) != one->pid)
        return true;
    if (WIFSIGNALED(status))
        printf("seed %" PRIu64
               ": BROKEN 10: no input makes the dispatcher crash or hang: signal %d\n",
               one->running, WTERMSIG(status));
    else if (WEXITSTATUS(status) > 1)
        printf("seed %" PRIu64 ": the process ended with %d\n", one->running, WEXITSTATUS(status));
    return status != 0;
}

int main(int argc, char **argv)
{
    uint64_t first, processes = 1, length = 0, seeds = 0;
    double began = real_time();
    bool verbose = false, wrong = false;
    int option, failed = 0;

    while ((option = getopt(argc, argv, "vj:t:n:")) != -1)
        if (option == 'v')
            verbose = true;
        else
            wrong |= !number(optarg, option == 'j' ? &processes : option == 't' ? &length : &seeds);
    if (wrong || !number(argv[optind], &first) || processes < 1 || processes > PROCESSES_MAX) {
        fprintf(stderr, "usage: world [-v] [-j PROCESSES] [-t SECONDS] [-n SEEDS] SEED\n");
        return 2;
    }
    if (seeds == 0)
        seeds = length == 0 ? 1 : UINT64_MAX;
    accounts = mmap(NULL, PROCESSES_MAX * sizeof *accounts, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (accounts == MAP_FAILED)
        return 2;
    for (uint64_t i = 0; i < processes; i++) {
        account = &accounts[i];
        pid_t pid = fork();

        /* Not the child: it would write 0 to the memory that both have. */
        if (pid != 0) {
            account->pid = pid;
            continue;
        }
        for (uint64_t n = i; n < seeds && (length == 0 || real_time() - began < (double)length);
             n += processes) {
            run(first + n, verbose);
            memcpy(account->figures, figures, sizeof figures);
        }
        world.over = true;
        exit(0);
    }
    for (uint64_t i = 0; i < processes; i++)
        failed |= ended(&accounts[i]);
    report(real_time() - began);
    fflush(stdout);
    _exit(failed);
}

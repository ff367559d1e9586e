/* agents/master: arguments, descriptors, GENERATION and the status channel. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "agents/master.h"
#include "supervisor/limits.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A command line and what was made of it. */
struct line {
    char text[512];
    char *argv[64];
    int argc;
    struct master_arguments arguments;
    char error[300];
};

/* Cut at blanks; '~' stands for a blank inside a word. */
static int parse(struct line *line, const char *text)
{
    char *rest = line->text;
    char *word;

    memset(line, 0, sizeof *line);
    (void)snprintf(line->text, sizeof line->text, "%s", text);
    while ((word = strsep(&rest, " ")) != NULL) {
        for (char *c = word; *c != '\0'; c++)
            if (*c == '~')
                *c = ' ';
        line->argv[line->argc++] = word;
    }
    return master_arguments_parse(line->argc, line->argv, &line->arguments, line->error,
                                  sizeof line->error);
}

/* The worker's command line, words in brackets. */
static const char *worker(struct line *line, const char *text)
{
    static char out[1024];
    char *argv[MASTER_WORKER_ARGUMENTS_MAX];
    size_t used = 0;

    if (parse(line, text) < 0)
        return line->error;
    cr_assert_eq(master_worker_arguments(&line->arguments, "lmtp", argv, COUNT(argv)), 0);
    out[0] = '\0';
    for (size_t i = 0; argv[i] != NULL; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "[%s]", argv[i]);
    return out;
}

/* As master(8) wrote it for an entry of type unix with words of the operator's (postfix-protocol.md 1.1). */
Test(arguments, of_master)
{
    struct line line;

    cr_assert_eq(parse(&line, "headroom -l -n relay -t unix -u -c flags=DRhu -o a=b -v -v"), 0,
                 "%s", line.error);
    cr_expect_str_eq(line.arguments.service, "relay");
    cr_expect_null(line.arguments.config_file);
    cr_expect_eq(line.arguments.sockets, 1);
    cr_expect_eq(line.arguments.verbose, 2);
    cr_expect(line.arguments.unprivileged);
    cr_expect(line.arguments.chroot);
    cr_expect_eq(line.arguments.limit, 1);
    cr_expect_eq(line.arguments.settings, 1);
    cr_expect_str_eq(line.arguments.setting[0], "a=b");
    cr_expect_null(line.arguments.setting[1]);
}

Test(arguments, name_is_that_of_the_program_without_n)
{
    struct line line;

    cr_assert_eq(parse(&line, "../../build/headroom -t unix"), 0, "%s", line.error);
    cr_expect_str_eq(line.arguments.service, "headroom");
    cr_expect_not(line.arguments.unprivileged);
    cr_expect_not(line.arguments.chroot);
    cr_expect_eq(line.arguments.limit, MASTER_LIMIT_DEFAULT);
    cr_expect_eq(line.arguments.settings, 0);
}

Test(arguments, configuration_file_is_ours)
{
    struct line line;

    cr_expect_str_eq(worker(&line, "headroom -n x -t unix -C /etc/h.json -o a=b -C/etc/i.json"),
                     "[lmtp][-l][-n][x][-t][unix][-o][a=b]");
    cr_expect_str_eq(line.arguments.config_file, "/etc/i.json");
}

/* Order, blanks and words between options are kept; what we give ourselves is given once. */
Test(arguments, worker_gets_all_else_in_order)
{
    struct line line;

    cr_expect_str_eq(
        worker(&line, "headroom -z -n relay -t unix -d -v -u -c -o stress= -s 1 flags=DRhu "
                      "-o x=one~two -o inet_interfaces=1.2.3.4 -r 60s -i 5s -m 7 -D -V word - -vu"),
        "[lmtp][-l][-n][relay][-t][unix][-d][-v][-u][-c][-o][stress=][flags=DRhu]"
        "[-o][x=one two][-o][inet_interfaces=1.2.3.4][-r][60s][-i][5s][-m][7][-D][-V][word][-]"
        "[-v][-u]");
    cr_expect_eq(line.arguments.verbose, 2);
    cr_expect_str_eq(worker(&line, "headroom -l -t unix -- -o not=ours"),
                     "[lmtp][-l][-n][headroom][-t][unix][--][-o][not=ours]");
    cr_expect_eq(line.arguments.settings, 0);
}

/* -i and -m are -o max_idle and -o max_use (postfix-protocol.md 2.1); of several the last one counts. */
Test(arguments, short_settings)
{
    static const char *const want[] = {"max_idle=1", "a=b", "max_use=9", "max_idle=30s"};
    struct line line;

    cr_assert_eq(parse(&line, "headroom -t unix -o max_idle=1 -i 2 -o a=b -m9 -i 30s"), 0);
    cr_assert_eq(line.arguments.settings, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++)
        cr_expect_str_eq(line.arguments.setting[i], want[i]);
    cr_expect_null(line.arguments.setting[COUNT(want)]);
}

Test(arguments, refused)
{
    static const struct {
        const char *line;
        const char *reason;
    } cases[] = {
        {"headroom -n relay -t inet -s 2", "write \"relay unix\" in the place of \"relay inet\""},
        {"headroom -n relay -t pass", "master.cf"},
        {"headroom -S -t unix", "-S"},
        {"headroom -t unix -x", "-x: unknown option"},
        {"headroom -t unix -o", "-o: unknown option, or its argument is missing"},
        {"headroom", "started by master(8)"},
        {"headroom -n relay -u", "started by master(8)"},
        {"headroom -t unix -s 0", "-s 0"},
        {"headroom -t unix -s 65", "-s 65"},
        {"headroom -t unix -s 1x", "-s 1x"},
        {"headroom -t unix -s -1", "-s -1"},
        {"headroom -t unix -n a/b", "a/b"},
        {"headroom -t unix -n ..", ".."},
        {"headroom -t unix -n a~b", "a b"},
        {"/usr/lib/ -t unix", "service name"},
        {"headroom -t unix -i 1234567890123456789012345678901234567890123456789", "-i 1234"},
    };
    struct line line;

    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_expect_eq(parse(&line, cases[i].line), -EINVAL, "%s", cases[i].line);
        cr_expect_not_null(strstr(line.error, cases[i].reason), "%s: %s", cases[i].line,
                           line.error);
        cr_expect_null(strchr(line.error, '\n'));
    }
}

Test(arguments, service_name_may_be_as_long_as_a_socket_allows)
{
    char longest[MASTER_SERVICE_MAX + 1];
    char longer[MASTER_SERVICE_MAX + 2];
    char program[] = "headroom";
    char t[] = "-tunix";
    char n[] = "-n";
    char *argv[] = {program, t, n, longest, NULL};
    struct master_arguments arguments;
    char error[300];

    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    cr_expect_eq(master_arguments_parse(4, argv, &arguments, error, sizeof error), 0);
    argv[3] = longer;
    cr_expect_eq(master_arguments_parse(4, argv, &arguments, error, sizeof error), -EINVAL);
}

/* As many settings as are taken fit a worker's argv; one more is refused. */
Test(arguments, bounded)
{
    static struct master_arguments arguments;
    static char *argv[2 * MASTER_WORDS_MAX + 8];
    static char *given[MASTER_WORKER_ARGUMENTS_MAX];
    char program[] = "headroom";
    char type[] = "-tunix";
    char setting[] = "-oa=b";
    char word[] = "word";
    char error[300];
    int count = 2;

    argv[0] = program;
    argv[1] = type;
    while (count < 2 + MASTER_SETTINGS_MAX)
        argv[count++] = setting;
    while (count < 2 + 2 * MASTER_WORDS_MAX - MASTER_SETTINGS_MAX)
        argv[count++] = word;
    cr_expect_eq(master_arguments_parse(count, argv, &arguments, error, sizeof error), 0);
    cr_expect_eq(master_worker_arguments(&arguments, "lmtp", given, COUNT(given)), 0);
    cr_expect_eq(master_worker_arguments(&arguments, "lmtp", given, COUNT(given) - 1), -E2BIG);
    argv[count++] = word;
    cr_expect_eq(master_arguments_parse(count, argv, &arguments, error, sizeof error), -E2BIG);
    for (count = 2; count < 2 + MASTER_SETTINGS_MAX + 1; count++)
        argv[count] = setting;
    cr_expect_eq(master_arguments_parse(count, argv, &arguments, error, sizeof error), -E2BIG);
    cr_expect_not_null(strstr(error, "master.cf"));
}

Test(generation, octal)
{
    static const struct {
        const char *text;
        int result;
        unsigned value;
    } cases[] = {
        {NULL, 0, 0},
        {"0", 0, 0},
        {"17", 0, 15},
        {"10", 0, 8},
        {"37777777777", 0, 4294967295U},
        {"40000000000", -EINVAL, 0},
        {"377777777770", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"8", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"0x1", -EINVAL, 0},
    };
    unsigned value;

    for (size_t i = 0; i < COUNT(cases); i++) {
        value = 0;
        cr_expect_eq(master_generation_parse(cases[i].text, &value), cases[i].result, "case %zu",
                     i);
        cr_expect_eq(value, cases[i].value, "case %zu", i);
    }
}

Test(generation, for_a_worker)
{
    char entry[MASTER_GENERATION_SIZE];

    master_generation_format(15, entry);
    cr_expect_str_eq(entry, "GENERATION=17");
    master_generation_format(4294967295U, entry);
    cr_expect_str_eq(entry, "GENERATION=37777777777");
}

/* The bytes that a stock agent with pid 17632 and GENERATION=17 wrote (postfix-protocol.md 1.3). */
static const unsigned char captured_taken[] = {0xe0, 0x44, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0};
static const unsigned char captured_available[] = {0xe0, 0x44, 0, 0, 0x0f, 0, 0, 0, 1, 0, 0, 0};

/* One read on a packet socket gives one write, so it shows that there was one only. */
Test(status, announced_in_one_write)
{
    unsigned char got[64];
    int channel[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel), 0);
    cr_assert_eq(master_status_announce(channel[0], 17632, 15), 0);
    cr_assert_eq(recv(channel[1], got, sizeof got, MSG_DONTWAIT), 24);
    cr_expect_arr_eq(got, captured_taken, 12);
    cr_expect_arr_eq(got + 12, captured_available, 12);
    cr_expect_lt(recv(channel[1], got, sizeof got, MSG_DONTWAIT), 0);
}

Test(status, announced_to_nobody)
{
    int channel[2];

    signal(SIGPIPE, SIG_IGN); /* as it is below master */
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), 0);
    (void)close(channel[1]);
    cr_expect_eq(master_status_announce(channel[0], 17632, 15), -EPIPE);
}

/* A worker may say all that its channel holds, again and again: it never waits, and nor do we. */
Test(status, discarded)
{
    int channel[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, channel), 0);
    for (int i = 0; i < 20; i++) {
        int said = 0;

        while (write(channel[1], captured_taken, sizeof captured_taken) > 0)
            said++;
        cr_assert_gt(said, 2 * STATUS_CONNECTIONS, "only %d fit", said);
        master_status_discard(channel[0]);
    }
    cr_expect_lt(read(channel[0], (char[1]){0}, 1), 0, "something was left");
    cr_expect_eq(errno, EAGAIN);
    (void)close(channel[1]);
    master_status_discard(channel[0]);
}

static int listener(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    /* a name that the kernel chooses, in the abstract space: nothing to clean up */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
        listen(fd, 1) < 0)
        return -1;
    return fd;
}

/*
 * In a child with 3 to 5 open and listeners from 6 on, `listening` of them; `closed` is then closed. The descriptors are
 * criterion's own, so it cannot be done in the test's process.
 */
static int check_in_child(int listening, unsigned sockets, int closed, char *error, size_t size)
{
    int result[2];
    int answer = 1;
    pid_t child;

    cr_assert_eq(pipe(result), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        int out = fcntl(result[1], F_DUPFD, 100);
        int fd = fcntl(listener(), F_DUPFD, 101);

        for (int i = MASTER_FLOW_READ; i < MASTER_LISTEN_FD + 10; i++)
            (void)close(i);
        for (int i = MASTER_FLOW_READ; i < MASTER_LISTEN_FD; i++)
            (void)dup2(STDOUT_FILENO, i);
        for (int i = 0; i < listening; i++)
            (void)dup2(fd, MASTER_LISTEN_FD + i);
        (void)close(closed);
        answer = master_descriptors_check(sockets, error, size);
        (void)!write(out, &answer, sizeof answer);
        (void)!write(out, error, size);
        _exit(0);
    }
    (void)close(result[1]);
    cr_assert_eq(read(result[0], &answer, sizeof answer), (ssize_t)sizeof answer);
    cr_assert_eq(read(result[0], error, size), (ssize_t)size);
    (void)close(result[0]);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    return answer;
}

Test(descriptors, checked)
{
    char error[300] = "";

    cr_expect_eq(check_in_child(1, 1, -1, error, sizeof error), 0, "%s", error);
    cr_expect_eq(check_in_child(2, 2, -1, error, sizeof error), 0, "%s", error);
    for (int fd = MASTER_FLOW_READ; fd <= MASTER_STATUS_FD; fd++) {
        cr_expect_eq(check_in_child(1, 1, fd, error, sizeof error), -EBADF);
        cr_expect_not_null(strstr(error, "master.cf"), "%s", error);
    }
    cr_expect_eq(check_in_child(1, 1, MASTER_LISTEN_FD, error, sizeof error), -ENOTSOCK);
    cr_expect_not_null(strstr(error, "descriptor 6"), "%s", error);
    cr_expect_eq(check_in_child(1, 2, -1, error, sizeof error), -ENOTSOCK);
    cr_expect_not_null(strstr(error, "descriptor 7"), "%s", error);
}

/* A socket at 6 that nobody can connect to is not a service: the first one is a listener, the second is not. */
Test(descriptors, not_listening)
{
    char error[300] = "";
    int connected[2];

    cr_expect_eq(check_in_child(0, 1, -1, error, sizeof error), -ENOTSOCK);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, connected), 0);
    cr_assert_eq(dup2(connected[0], MASTER_LISTEN_FD + 20), MASTER_LISTEN_FD + 20);
    cr_expect_eq(check_in_child(20, 21, -1, error, sizeof error), -ENOTSOCK);
    cr_expect_not_null(strstr(error, "descriptor 26"), "%s", error);
}

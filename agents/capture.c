#include "agents/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the program may complain; only its first lines are of use. */
#define COMPLAINT_SIZE 4096

static long long milliseconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A stream of the child, kept up to a bound. More output is an error, more complaints are cut. */
struct stream {
    int fd; /* -1 after its end */
    char *text;
    size_t size;
    size_t length;
    bool overflow;
};

static int stream_open(struct stream *stream, int *writer)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    stream->fd = ends[0];
    *writer = ends[1];
    return 0;
}

static void stream_close(struct stream *stream)
{
    if (stream->fd >= 0)
        (void)close(stream->fd);
    stream->fd = -1;
}

static int stream_read(struct stream *stream)
{
    char beyond[512];
    size_t room = stream->size - 1 - stream->length;
    ssize_t got = read(stream->fd, room > 0 ? stream->text + stream->length : beyond,
                       room > 0 ? room : sizeof beyond);

    if (got < 0)
        return errno == EINTR ? 0 : -errno;
    if (got == 0)
        stream_close(stream);
    else if (room > 0)
        stream->length += (size_t)got;
    else
        stream->overflow = true;
    stream->text[stream->length] = '\0';
    return 0;
}

/* Reads both until they end. -ETIMEDOUT, -EMSGSIZE (more than fits), or the error of read(2). */
static int streams_read(struct stream *output, struct stream *complaint, long long deadline)
{
    struct stream *both[2] = {output, complaint};

    while (output->fd >= 0 || complaint->fd >= 0) {
        struct pollfd wait[2] = {{.fd = output->fd, .events = POLLIN},
                                 {.fd = complaint->fd, .events = POLLIN}};
        long long left = deadline - milliseconds();
        int ready = left > 0 ? poll(wait, 2, (int)left) : 0;

        if (ready == 0)
            return -ETIMEDOUT;
        if (ready < 0 && errno != EINTR)
            return -errno;
        for (size_t i = 0; i < 2 && ready > 0; i++)
            if (wait[i].revents != 0) {
                int result = stream_read(both[i]);

                if (result < 0)
                    return result;
            }
        if (output->overflow)
            return -EMSGSIZE;
    }
    return 0;
}

/* The child has closed its streams: it exits soon. Asks each millisecond, kills at the deadline. */
static int child_reap(pid_t child, long long deadline, int *status)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    bool killed = false;
    pid_t got;

    for (;;) {
        if (!killed && milliseconds() >= deadline) {
            (void)kill(child, SIGKILL);
            killed = true;
        }
        got = waitpid(child, status, killed ? 0 : WNOHANG);
        if (got == child)
            return killed ? -ETIMEDOUT : 0;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            (void)nanosleep(&moment, NULL);
    }
}

/* In the child: nothing but async-signal-safe calls. */
_Noreturn static void child_run(const char *const *words, int output, int complaint)
{
    union {
        const char *const *given;
        char *const *taken;
    } argv = {.given = words}; /* execv writes to neither the array nor the words */
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(complaint, STDERR_FILENO) >= 0) {
        /* master's descriptors are not for postconf; where the kernel cannot, it gets them */
        (void)close_range(3, ~0U, 0);
        (void)execv(words[0], argv.taken);
    }
    _exit(127);
}

/* The line that says why: not a warning when there is one that is none. */
static const char *complaint_line(char *text)
{
    char *first = NULL;
    char *line;

    while ((line = strsep(&text, "\n")) != NULL) {
        if (*line == '\0')
            continue;
        if (first == NULL)
            first = line;
        if (strstr(line, "warning:") == NULL)
            return line;
    }
    return first != NULL ? first : "it said nothing";
}

static int outcome(int result, int status, const char *program, const struct stream *output,
                   char *complaint, char *error, size_t error_size)
{
    if (result == -ETIMEDOUT) {
        (void)snprintf(error, error_size, "%s did not end in time and was killed", program);
        return result;
    }
    if (result == -EMSGSIZE) {
        (void)snprintf(error, error_size, "%s wrote more than %zu bytes", program,
                       output->size - 1);
        return -EPROTO;
    }
    if (result < 0) {
        (void)snprintf(error, error_size, "%s: %s", program, strerrordesc_np(-result));
        return result;
    }
    if (WIFSIGNALED(status)) {
        (void)snprintf(error, error_size, "%s was ended by signal %d", program, WTERMSIG(status));
        return -EPROTO;
    }
    /* The dynamic linker ends so, too, and says what it misses. */
    if (WEXITSTATUS(status) == 127 && complaint[0] == '\0') {
        (void)snprintf(error, error_size, "%s cannot be run", program);
        return -EPROTO;
    }
    if (WEXITSTATUS(status) != 0) {
        const char *why = complaint_line(complaint);
        size_t name = strlen(program);

        if (strncmp(why, program, name) == 0 && strncmp(why + name, ": ", 2) == 0)
            why += name + 2;
        (void)snprintf(error, error_size, "%s failed: %.300s", program, why);
        return -EPROTO;
    }
    return 0;
}

int capture_run(const char *const *words, int timeout, char *output, size_t output_size,
                char *error, size_t error_size)
{
    char complaint[COMPLAINT_SIZE] = "";
    struct stream out = {.fd = -1, .text = output, .size = output_size};
    struct stream err = {.fd = -1, .text = complaint, .size = sizeof complaint};
    long long deadline = milliseconds() + timeout;
    int writer[2] = {-1, -1}; /* the child's ends */
    int status = 0;
    pid_t child = -1;
    int result;
    int reaped;

    output[0] = '\0';
    result = stream_open(&out, &writer[0]);
    if (result == 0)
        result = stream_open(&err, &writer[1]);
    if (result == 0 && (child = fork()) < 0)
        result = -errno;
    if (child == 0)
        child_run(words, writer[0], writer[1]);
    for (size_t i = 0; i < 2; i++)
        if (writer[i] >= 0)
            (void)close(writer[i]);
    if (result == 0)
        result = streams_read(&out, &err, deadline);
    stream_close(&out);
    stream_close(&err);
    if (child > 0) {
        reaped = child_reap(child, result < 0 ? 0 : deadline, &status);
        if (result == 0)
            result = reaped;
    }
    return outcome(result, status, words[0], &out, complaint, error, error_size);
}

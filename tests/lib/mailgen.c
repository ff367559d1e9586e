/*
 * mailgen: sends mail by SMTP and remembers what was accepted.
 *
 *     mailgen --to SERVER --prefix TEXT --sent FILE [OPTION...] --rcpt PATTERN[*COUNT]...
 *     mailgen --wait SECONDS SERVER    until the server greets; status 1 when it does not
 *
 *     --to ADDRESS:PORT    the server
 *     --prefix TEXT        of the Message-IDs: <TEXT.NUMBER.START.PID@mailgen.invalid>, never used twice
 *     --sent FILE          gets a line TIME MESSAGE-ID RECIPIENT for every recipient of a message, appended after the
 *                          server's 250 to it
 *     --count N            so many messages (default 1)
 *     --rate R --time T    instead: R messages a second for T seconds, each at its time on a fixed schedule
 *     --sessions N         connections at once (default 4); with --rate also the limit of messages under way
 *     --from ADDRESS       envelope sender (default sender@sender.invalid)
 *     --size BYTES         of the body (default 1000)
 *     --rcpt PATTERN*COUNT every message has COUNT recipients of this pattern (default 1); may be given several times. A
 *                          %d in the local part is replaced by the number of the recipient, counted over all messages
 *                          for each pattern; one in the domain by the same number modulo --cycle. So the domain is a
 *                          new one each time, or one of K in turn.
 *     --cycle K            (default: never the same)
 *     --first N            where this counting begins (default 0)
 *
 * The header field X-Sent-At has the time at which the message's content was sent; with --rate the time for which it
 * was planned, so that a server that is slow to accept does not look quick.
 *
 * A lost connection is made anew, for RECONNECT_TIME; the message under way counts as refused and is not sent again.
 * At the end: "accepted N of N messages, N recipients, in S s (R/s), late S s"; late is the worst lateness against the
 * plan. Status 1 when not everything was accepted.
 */

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/endpoint.h"

#define SESSIONS_MAX 1000
#define PATTERNS_MAX 32
#define RECIPIENTS_MAX 1000 /* of a message; Postfix takes that many (smtpd_recipient_limit) */
#define ADDRESS_MAX 321
#define SIZE_MAX_BODY (100UL << 20)
#define LINE_LENGTH 76           /* of a body line, with its end */
#define ANSWER_TIMEOUT 60        /* s for one answer of the server */
#define RECONNECT_TIME 20000000U /* us */
#define RECONNECT_DELAY 50000    /* us */
#define STACK_SIZE (256U << 10)

struct pattern {
    const char *text;
    unsigned long count;
};

struct generator {
    struct endpoint server;
    const char *prefix, *from;
    struct pattern patterns[PATTERNS_MAX];
    unsigned patterns_count;
    unsigned long recipients; /* of one message */
    unsigned long cycle, first, count, size, sessions;
    double rate, seconds;
    int sent;
    uint64_t start, start_real; /* monotonic and since 1970, us */
    char *body;
    size_t body_length;
    atomic_ulong next, accepted, accepted_recipients;
    atomic_ullong late;
};

struct session {
    struct generator *generator;
    int fd;
    size_t input_used, input_length;
    char input[4096];
    size_t output_length;
    char output[RECIPIENTS_MAX * (ADDRESS_MAX + 16)];
    bool accepted[RECIPIENTS_MAX];
};

static uint64_t clock_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

static void sleep_until(uint64_t us)
{
    struct timespec time = {.tv_sec = (time_t)(us / 1000000U),
                            .tv_nsec = (long)(us % 1000000U) * 1000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
}

/* Recipient `index` of message `number`. */
static void recipient_address(const struct generator *generator, unsigned long number,
                              unsigned long index, char *text, size_t size)
{
    const struct pattern *pattern = generator->patterns;
    unsigned long counter;
    bool domain = false;
    size_t used = 0;

    for (; index >= pattern->count; pattern++)
        index -= pattern->count;
    counter = generator->first + number * pattern->count + index;
    for (const char *c = pattern->text; *c != '\0' && *c != '*' && used + 24 < size; c++) {
        domain |= *c == '@';
        if (c[0] == '%' && c[1] == 'd') {
            used += (size_t)snprintf(text + used, size - used, "%lu",
                                     domain && generator->cycle > 0 ? counter % generator->cycle
                                                                    : counter);
            c++;
        } else {
            text[used++] = *c;
        }
    }
    text[used] = '\0';
}

/* --- one session; all return 0 or a negative errno --- */

static void put(struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put(struct session *session, const char *format, ...)
{
    size_t room = sizeof(session->output) - session->output_length;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(session->output + session->output_length, room, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < room)
        session->output_length += (size_t)length;
}

static int session_send(struct session *session, const char *data, size_t length, int flags)
{
    ssize_t sent;

    while (length > 0) {
        sent = send(session->fd, data, length, MSG_NOSIGNAL | flags);
        if (sent < 0 && errno != EINTR)
            return -errno;
        if (sent > 0) {
            data += sent;
            length -= (size_t)sent;
        }
    }
    return 0;
}

static int session_flush(struct session *session, int flags)
{
    size_t length = session->output_length;

    session->output_length = 0;
    return session_send(session, session->output, length, flags);
}

/* The code of the next answer, the last of its lines. */
static int session_answer(struct session *session)
{
    char *line;
    char *end;
    ssize_t got;
    bool last;
    int code;

    for (;;) {
        line = session->input + session->input_used;
        end = memchr(line, '\n', session->input_length - session->input_used);
        if (end != NULL) {
            session->input_used = (size_t)(end - session->input) + 1;
            if (end - line < 4)
                return -EPROTO;
            code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
            last = line[3] != '-';
            if (code < 200 || code > 599)
                return -EPROTO;
            if (last)
                return code;
            continue;
        }
        session->input_length -= session->input_used;
        memmove(session->input, line, session->input_length);
        session->input_used = 0;
        if (session->input_length == sizeof(session->input))
            return -EPROTO;
        got = recv(session->fd, session->input + session->input_length,
                   sizeof(session->input) - session->input_length, 0);
        if (got == 0)
            return -ECONNRESET;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            session->input_length += (size_t)got;
    }
}

static int session_expect(struct session *session, int wanted)
{
    int code = session_answer(session);

    if (code < 0)
        return code;
    return code == wanted ? 0 : -EAGAIN;
}

static void session_close(struct session *session)
{
    if (session->fd >= 0)
        close(session->fd);
    session->fd = -1;
    session->input_used = 0;
    session->input_length = 0;
    session->output_length = 0;
}

static int session_connect(struct session *session, int timeout)
{
    const struct endpoint *server = &session->generator->server;
    struct timeval limit = {.tv_sec = timeout};
    int result;

    session->fd = socket(server->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (session->fd < 0)
        return -errno;
    if (setsockopt(session->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(session->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(session->fd, &server->address.any, server->length) < 0) {
        result = -errno;
        session_close(session);
        return result;
    }
    result = session_expect(session, 220);
    if (result < 0)
        session_close(session);
    return result;
}

/* Connects, again and again until RECONNECT_TIME is over. */
static int session_open(struct session *session)
{
    uint64_t give_up = clock_us(CLOCK_MONOTONIC) + RECONNECT_TIME;
    int result;

    for (;;) {
        result = session_connect(session, ANSWER_TIMEOUT);
        if (result == 0) {
            put(session, "EHLO mailgen.invalid\r\n");
            result = session_flush(session, 0);
        }
        if (result == 0)
            result = session_expect(session, 250);
        if (result == 0)
            return 0;
        session_close(session);
        if (clock_us(CLOCK_MONOTONIC) >= give_up)
            return result;
        usleep(RECONNECT_DELAY);
    }
}

/* MAIL, every RCPT and DATA in one go (RFC 2920), then their answers. */
static int send_envelope(struct session *session, unsigned long number, unsigned long *accepted)
{
    struct generator *generator = session->generator;
    char address[ADDRESS_MAX];
    int mail;
    int code;
    int result;

    put(session, "MAIL FROM:<%s>\r\n", generator->from);
    for (unsigned long i = 0; i < generator->recipients; i++) {
        recipient_address(generator, number, i, address, sizeof(address));
        put(session, "RCPT TO:<%s>\r\n", address);
    }
    put(session, "DATA\r\n");
    result = session_flush(session, 0);
    if (result < 0)
        return result;
    mail = session_answer(session);
    if (mail < 0)
        return mail;
    *accepted = 0;
    for (unsigned long i = 0; i < generator->recipients; i++) {
        code = session_answer(session);
        if (code < 0)
            return code;
        session->accepted[i] = code / 100 == 2;
        *accepted += session->accepted[i];
    }
    code = session_answer(session);
    if (code < 0)
        return code;
    return code == 354 ? 0 : -EAGAIN;
}

/* Records what was accepted, with one write, so that sessions do not mix. */
static int record_sent(struct session *session, const char *id, unsigned long number)
{
    const struct generator *generator = session->generator;
    uint64_t now = clock_us(CLOCK_REALTIME);
    char address[ADDRESS_MAX];

    for (unsigned long i = 0; i < generator->recipients; i++) {
        if (!session->accepted[i])
            continue;
        recipient_address(generator, number, i, address, sizeof(address));
        put(session, "%llu.%06llu %s %s\n", (unsigned long long)(now / 1000000U),
            (unsigned long long)(now % 1000000U), id, address);
        /* A message with very many recipients needs more than one. */
        if (session->output_length > sizeof(session->output) / 2 &&
            (write(generator->sent, session->output, session->output_length) !=
             (ssize_t)session->output_length))
            return -EIO;
        if (session->output_length > sizeof(session->output) / 2)
            session->output_length = 0;
    }
    if (write(generator->sent, session->output, session->output_length) !=
        (ssize_t)session->output_length)
        return -EIO;
    session->output_length = 0;
    return 0;
}

/* planned: since 1970, us, or 0 for now. */
static int send_message(struct session *session, unsigned long number, uint64_t planned)
{
    struct generator *generator = session->generator;
    unsigned long accepted = 0;
    char id[256];
    int result;

    snprintf(id, sizeof(id), "<%s.%lu.%llx.%ld@mailgen.invalid>", generator->prefix, number,
             (unsigned long long)generator->start_real, (long)getpid());
    result = send_envelope(session, number, &accepted);
    if (result < 0)
        return result;
    if (planned == 0)
        planned = clock_us(CLOCK_REALTIME);
    put(session, "From: <%s>\r\nTo: undisclosed-recipients:;\r\nSubject: %lu\r\nMessage-ID: %s\r\n",
        generator->from, number, id);
    put(session, "X-Sent-At: %llu.%06llu\r\n\r\n", (unsigned long long)(planned / 1000000U),
        (unsigned long long)(planned % 1000000U));
    result = session_flush(session, MSG_MORE);
    if (result == 0)
        result = session_send(session, generator->body, generator->body_length, 0);
    if (result == 0)
        result = session_expect(session, 250);
    if (result < 0)
        return result;
    atomic_fetch_add(&generator->accepted, accepted == generator->recipients ? 1 : 0);
    atomic_fetch_add(&generator->accepted_recipients, accepted);
    return record_sent(session, id, number);
}

static void note_lateness(struct generator *generator, uint64_t due)
{
    uint64_t now = clock_us(CLOCK_MONOTONIC);
    unsigned long long late = now > due ? now - due : 0;
    unsigned long long seen = atomic_load(&generator->late);

    while (late > seen && !atomic_compare_exchange_weak(&generator->late, &seen, late))
        ;
}

static void *session_run(void *argument)
{
    struct session *session = argument;
    struct generator *generator = session->generator;
    unsigned long number;
    uint64_t due;
    uint64_t planned;
    int result;

    for (;;) {
        /* Connected before its turn: making the connection is not part of the message's time. */
        if (session->fd < 0 && session_open(session) < 0)
            break;
        number = atomic_fetch_add(&generator->next, 1);
        if (number >= generator->count)
            break;
        planned = 0;
        if (generator->rate > 0) {
            due = generator->start + (uint64_t)((double)number * 1e6 / generator->rate);
            sleep_until(due);
            note_lateness(generator, due);
            planned = generator->start_real + (due - generator->start);
        }
        result = send_message(session, number, planned);
        if (result < 0) {
            fprintf(stderr, "mailgen: message %lu: %s\n", number,
                    result == -EAGAIN ? "refused by the server" : strerror(-result));
            session_close(session);
        }
    }
    if (session->fd >= 0) {
        put(session, "QUIT\r\n");
        if (session_flush(session, 0) == 0)
            session_answer(session);
    }
    session_close(session);
    return NULL;
}

/* --- main --- */

static int make_body(struct generator *generator)
{
    static const char end[] = ".\r\n";
    size_t left = generator->size;
    size_t line;
    char *at;

    generator->body = malloc(generator->size + LINE_LENGTH + sizeof(end));
    if (generator->body == NULL)
        return -ENOMEM;
    at = generator->body;
    while (left > 0) {
        line = left < LINE_LENGTH ? left : LINE_LENGTH;
        line = line < 3 ? 3 : line;
        memset(at, 'x', line - 2);
        at[line - 2] = '\r';
        at[line - 1] = '\n';
        at += line;
        left -= line < left ? line : left;
    }
    memcpy(at, end, sizeof(end)); /* its NUL is not sent */
    generator->body_length = (size_t)(at - generator->body) + sizeof(end) - 1;
    return 0;
}

static int wait_for_server(const char *seconds, const char *server)
{
    struct generator generator = {.prefix = "wait"};
    struct session *session = calloc(1, sizeof(*session));
    uint64_t give_up = clock_us(CLOCK_MONOTONIC) + strtoul(seconds, NULL, 10) * 1000000U;
    int result = -ENOMEM;

    if (session == NULL || endpoint_parse(server, &generator.server) < 0) {
        free(session);
        return 2;
    }
    session->generator = &generator;
    while ((result = session_connect(session, 1)) < 0 && clock_us(CLOCK_MONOTONIC) < give_up)
        usleep(RECONNECT_DELAY);
    if (result == 0) {
        put(session, "QUIT\r\n");
        if (session_flush(session, 0) == 0)
            session_answer(session);
    }
    session_close(session);
    free(session);
    return result == 0 ? 0 : 1;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: mailgen --to ADDRESS:PORT --prefix TEXT --sent FILE [--count N | --rate R --time "
        "S]\n"
        "               [--sessions N] [--from ADDRESS] [--size BYTES] [--cycle K] [--first N]\n"
        "               --rcpt PATTERN[*COUNT]...\n"
        "       mailgen --wait SECONDS ADDRESS:PORT\n");
    return 2;
}

/* A whole number up to max. */
static int parse_number(const char *text, unsigned long max, unsigned long *number)
{
    char *end;

    errno = 0;
    *number = strtoul(text, &end, 10);
    return errno != 0 || end == text || *end != '\0' || *text == '-' || *number > max ? -EINVAL : 0;
}

static int parse_positive(const char *text, double *number)
{
    char *end;

    *number = strtod(text, &end);
    return end == text || *end != '\0' || !(*number > 0 && *number < 1e6) ? -EINVAL : 0;
}

static int parse_pattern(struct generator *generator, const char *text)
{
    const char *star = strchr(text, '*');
    struct pattern *pattern = &generator->patterns[generator->patterns_count];

    if (generator->patterns_count == PATTERNS_MAX || strlen(text) >= ADDRESS_MAX / 2)
        return -EINVAL;
    pattern->text = text;
    pattern->count = 1;
    if (star != NULL &&
        (parse_number(star + 1, RECIPIENTS_MAX, &pattern->count) < 0 || pattern->count == 0))
        return -EINVAL;
    generator->patterns_count++;
    generator->recipients += pattern->count;
    return generator->recipients > RECIPIENTS_MAX ? -EINVAL : 0;
}

static int parse_option(struct generator *generator, const char *name, const char *value)
{
    if (strcmp(name, "--to") == 0)
        return endpoint_parse(value, &generator->server);
    if (strcmp(name, "--prefix") == 0) {
        generator->prefix = value;
        return strlen(value) < 64 && strpbrk(value, " \t<>@") == NULL ? 0 : -EINVAL;
    }
    if (strcmp(name, "--sent") == 0) {
        generator->sent = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        return generator->sent < 0 ? -errno : 0;
    }
    if (strcmp(name, "--from") == 0) {
        generator->from = value;
        return strlen(value) < ADDRESS_MAX ? 0 : -EINVAL;
    }
    if (strcmp(name, "--count") == 0)
        return parse_number(value, 100000000, &generator->count);
    if (strcmp(name, "--rate") == 0)
        return parse_positive(value, &generator->rate);
    if (strcmp(name, "--time") == 0)
        return parse_positive(value, &generator->seconds);
    if (strcmp(name, "--sessions") == 0)
        return parse_number(value, SESSIONS_MAX, &generator->sessions);
    if (strcmp(name, "--size") == 0)
        return parse_number(value, SIZE_MAX_BODY, &generator->size);
    if (strcmp(name, "--cycle") == 0)
        return parse_number(value, ULONG_MAX, &generator->cycle);
    if (strcmp(name, "--first") == 0)
        return parse_number(value, ULONG_MAX / 2, &generator->first);
    if (strcmp(name, "--rcpt") == 0)
        return parse_pattern(generator, value);
    return -EINVAL;
}

/* Runs all sessions to their end; how many could be started. */
static unsigned long run_sessions(struct generator *generator)
{
    struct session *sessions = calloc(generator->sessions, sizeof(*sessions));
    pthread_t *threads = calloc(generator->sessions, sizeof(*threads));
    pthread_attr_t attributes;
    unsigned long started = 0;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    if (sessions != NULL && threads != NULL) {
        for (; started < generator->sessions; started++) {
            sessions[started].generator = generator;
            sessions[started].fd = -1;
            if (pthread_create(&threads[started], &attributes, session_run, &sessions[started]) !=
                0)
                break;
        }
        for (unsigned long i = 0; i < started; i++)
            pthread_join(threads[i], NULL);
    }
    pthread_attr_destroy(&attributes);
    free(threads);
    free(sessions);
    return started;
}

int main(int argc, char **argv)
{
    struct generator generator = {
        .from = "sender@sender.invalid", .count = 1, .size = 1000, .sessions = 4, .sent = -1};
    double took;

    if (argc == 4 && strcmp(argv[1], "--wait") == 0)
        return wait_for_server(argv[2], argv[3]);
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || parse_option(&generator, argv[i], argv[i + 1]) < 0) {
            fprintf(stderr, "mailgen: %s %s\n", argv[i], i + 1 == argc ? "" : argv[i + 1]);
            return usage();
        }
    }
    if (generator.server.length == 0 || generator.prefix == NULL || generator.sent < 0 ||
        generator.patterns_count == 0 || generator.sessions == 0 ||
        (generator.rate > 0) != (generator.seconds > 0))
        return usage();
    if (generator.rate > 0)
        generator.count = (unsigned long)(generator.rate * generator.seconds + 0.5);
    if (generator.sessions > generator.count)
        generator.sessions = generator.count > 0 ? generator.count : 1;
    if (make_body(&generator) < 0)
        return 1;
    generator.start = clock_us(CLOCK_MONOTONIC);
    generator.start_real = clock_us(CLOCK_REALTIME);
    if (run_sessions(&generator) < generator.sessions)
        fprintf(stderr, "mailgen: not all sessions could be started\n");
    took = (double)(clock_us(CLOCK_MONOTONIC) - generator.start) / 1e6;
    printf("accepted %lu of %lu messages, %lu recipients, in %.3f s (%.0f/s), late %.3f s\n",
           atomic_load(&generator.accepted), generator.count,
           atomic_load(&generator.accepted_recipients), took,
           (double)atomic_load(&generator.accepted) / (took > 0 ? took : 1),
           (double)atomic_load(&generator.late) / 1e6);
    free(generator.body);
    close(generator.sent);
    return atomic_load(&generator.accepted) == generator.count ? 0 : 1;
}

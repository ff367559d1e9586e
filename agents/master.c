#include "agents/master.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Options of a stock agent, and -C. With '-' in front getopt(3) returns words in their place. */
#define OPTIONS "-cdDi:lm:n:o:r:s:St:uvVzC:"

_Static_assert(sizeof(struct master_status) == 12, "master(8) reads messages of 12 bytes");

/* "-x" for an option letter, as text that lives for ever. */
static const char *option_word(int option)
{
    static const char words[][3] = {"-c", "-d", "-D", "-i", "-m", "-o", "-r", "-u", "-v", "-V"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i][1] == option)
            return words[i];
    return NULL;
}

static int word_add(struct master_arguments *arguments, const char *word)
{
    if (arguments->words == sizeof arguments->word / sizeof arguments->word[0])
        return -E2BIG;
    arguments->word[arguments->words++] = word;
    return 0;
}

static int setting_add(struct master_arguments *arguments, const char *setting)
{
    if (arguments->settings == MASTER_SETTINGS_MAX)
        return -E2BIG;
    arguments->setting[arguments->settings++] = setting;
    arguments->setting[arguments->settings] = NULL;
    return 0;
}

/* -i and -m mean -o max_idle= and -o max_use=. The last one counts, as in a stock agent. */
static int short_setting_add(struct master_arguments *arguments, char *buffer, const char *name,
                             const char *value)
{
    int length = snprintf(buffer, MASTER_SHORT_SETTING_SIZE, "%s=%s", name, value);

    if (length < 0 || length >= MASTER_SHORT_SETTING_SIZE)
        return -EINVAL;
    for (size_t i = 0; i < arguments->settings; i++)
        if (arguments->setting[i] == buffer) { /* given before: its place is now the last */
            memmove(&arguments->setting[i], &arguments->setting[i + 1],
                    (arguments->settings - i) * sizeof arguments->setting[0]);
            arguments->settings--;
            break;
        }
    return setting_add(arguments, buffer);
}

/* The service's name becomes a part of file names and of log lines. */
static bool service_usable(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > MASTER_SERVICE_MAX || name[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '/')
            return false;
    return true;
}

static int sockets_parse(const char *text, unsigned *out)
{
    char *end;
    unsigned long value;

    if (text[0] < '0' || text[0] > '9')
        return -EINVAL;
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < 1 || value > MASTER_SOCKETS_MAX)
        return -EINVAL;
    *out = (unsigned)value;
    return 0;
}

/* One option or word. Returns what master_arguments_parse returns. */
static int option_take(struct master_arguments *out, int option, const char **type, char *error,
                       size_t error_size)
{
    const char *value = optarg != NULL ? optarg : "";
    int result = 0;

    switch (option) {
    case 1: /* a word */
        return word_add(out, optarg);
    case 'C':
        out->config_file = optarg;
        return 0;
    case 'l': /* alone on its socket: every worker is, so it is given anyway */
        out->limit = 1;
        return 0;
    case 'z':
        out->limit = 0;
        return 0;
    case 'n':
        out->service = optarg;
        return 0;
    case 't':
        *type = optarg;
        return 0;
    case 's':
        if (sockets_parse(value, &out->sockets) < 0) {
            (void)snprintf(error, error_size,
                           "-s %.32s: a count of sockets from 1 to %d is expected", value,
                           MASTER_SOCKETS_MAX);
            return -EINVAL;
        }
        return 0;
    case 'S':
        (void)snprintf(error, error_size,
                       "-S (one delivery on standard input) is not possible here");
        return -EINVAL;
    case '?':
        (void)snprintf(
            error, error_size,
            "-%c: unknown option, or its argument is missing; see the line of this service in "
            "master.cf",
            optopt > ' ' && optopt <= '~' ? optopt : '?');
        return -EINVAL;
    case 'i':
        result = short_setting_add(out, out->idle, "max_idle", value);
        break;
    case 'm':
        result = short_setting_add(out, out->use, "max_use", value);
        break;
    case 'o':
        result = setting_add(out, optarg);
        break;
    case 'u':
        out->unprivileged = true;
        break;
    case 'c':
        out->chroot = true;
        break;
    case 'v':
        out->verbose++;
        break;
    default: /* d D r V: the workers' own affair */
        break;
    }
    if (result == -EINVAL)
        (void)snprintf(error, error_size, "-%c %.32s: not a usable value", option, value);
    if (result == 0)
        result = word_add(out, option_word(option));
    if (result == 0 && optarg != NULL)
        result = word_add(out, optarg);
    return result;
}

int master_arguments_parse(int argc, char **argv, struct master_arguments *out, char *error,
                           size_t error_size)
{
    const char *type = NULL;
    const char *slash;
    int option;
    int result;

    memset(out, 0, sizeof *out);
    out->sockets = 1;
    out->limit = MASTER_LIMIT_DEFAULT;
    if (argc < 1 || argv[0] == NULL) {
        (void)snprintf(error, error_size, "started without a name");
        return -EINVAL;
    }
    slash = strrchr(argv[0], '/');
    out->service = slash != NULL ? slash + 1 : argv[0];

    optind = 0; /* glibc: starts at the first word again */
    opterr = 0;
    result = 0;
    for (;;) {
        optarg = NULL;
        option = getopt(argc, argv, OPTIONS);
        if (option == -1)
            break;
        result = option_take(out, option, &type, error, error_size);
        if (result < 0)
            break;
    }
    if (result == 0 && optind < argc) { /* what follows "--" is words, for the worker too */
        result = word_add(out, "--");
        while (result == 0 && optind < argc)
            result = word_add(out, argv[optind++]);
    }
    if (result == -E2BIG)
        (void)snprintf(error, error_size, "more than %d words or %d settings in master.cf",
                       MASTER_WORDS_MAX, MASTER_SETTINGS_MAX);
    if (result < 0)
        return result;

    if (type == NULL) {
        (void)snprintf(
            error, error_size,
            "this program is started by master(8), from a line in master.cf; it does nothing by "
            "hand");
        return -EINVAL;
    }
    if (!service_usable(out->service)) {
        (void)snprintf(
            error, error_size,
            "%.120s: a service name has 1 to %d printable characters, no '/', and no '.' in front",
            out->service, MASTER_SERVICE_MAX);
        return -EINVAL;
    }
    if (strcmp(type, "unix") != 0) {
        (void)snprintf(
            error, error_size,
            "type %.16s is not possible: write \"%s unix\" in the place of \"%s %.16s\" in "
            "master.cf",
            type, out->service, out->service, type);
        return -EINVAL;
    }
    return 0;
}

/* execve takes pointers to char without const and writes to none of them. */
static char *exec_word(const char *word)
{
    union {
        const char *given;
        char *taken;
    } same = {.given = word};

    return same.taken;
}

int master_worker_arguments(const struct master_arguments *arguments, const char *agent,
                            char **argv_out, size_t size)
{
    const char *own[] = {agent, "-l", "-n", arguments->service, "-t", "unix"};
    const size_t count = sizeof own / sizeof own[0];

    if (size < count + arguments->words + 1)
        return -E2BIG;
    for (size_t i = 0; i < count; i++)
        argv_out[i] = exec_word(own[i]);
    for (size_t i = 0; i < arguments->words; i++)
        argv_out[count + i] = exec_word(arguments->word[i]);
    argv_out[count + arguments->words] = NULL;
    return 0;
}

int master_descriptors_check(unsigned sockets, char *error, size_t error_size)
{
    static const char where[] = "this program is started by master(8), from a line in master.cf";
    static const int pipes[] = {MASTER_FLOW_READ, MASTER_FLOW_WRITE, MASTER_STATUS_FD};
    int listening = 0;
    socklen_t length = sizeof listening;

    for (size_t i = 0; i < sizeof pipes / sizeof pipes[0]; i++)
        if (fcntl(pipes[i], F_GETFD) < 0) {
            (void)snprintf(error, error_size, "%s (descriptor %d is not open)", where, pipes[i]);
            return -EBADF;
        }
    for (int fd = MASTER_LISTEN_FD; fd < MASTER_LISTEN_FD + (int)sockets; fd++)
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0 || listening == 0) {
            (void)snprintf(error, error_size, "%s (descriptor %d is not a listening socket)", where,
                           fd);
            return -ENOTSOCK;
        }
    return 0;
}

int master_generation_parse(const char *text, unsigned *out)
{
    unsigned value = 0;

    if (text == NULL) {
        *out = 0;
        return 0;
    }
    if (*text == '\0')
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '7' || value > UINT_MAX / 8)
            return -EINVAL;
        value = value * 8 + (unsigned)(*text - '0');
    }
    *out = value;
    return 0;
}

void master_generation_format(unsigned generation, char out[MASTER_GENERATION_SIZE])
{
    (void)snprintf(out, MASTER_GENERATION_SIZE, "GENERATION=%o", generation);
}

static int status_write(int fd, const struct master_status *status, size_t size)
{
    ssize_t written;

    do
        written = write(fd, status, size);
    while (written < 0 && errno == EINTR);
    if (written < 0)
        return -errno;
    /* A short write: master has not read hundreds of messages. */
    return (size_t)written == size ? 0 : -EIO;
}

int master_status_announce(int fd, pid_t pid, unsigned generation)
{
    const struct master_status both[2] = {
        {.pid = pid, .generation = generation, .available = MASTER_TAKEN},
        {.pid = pid, .generation = generation, .available = MASTER_AVAILABLE},
    };

    return status_write(fd, both, sizeof both);
}

int master_status_busy(int fd, pid_t pid, unsigned generation)
{
    const struct master_status taken = {
        .pid = pid, .generation = generation, .available = MASTER_TAKEN};

    return status_write(fd, &taken, sizeof taken);
}

void master_status_discard(int fd)
{
    unsigned char bytes[4096];
    ssize_t got;

    do
        got = read(fd, bytes, sizeof bytes);
    while (got == sizeof bytes || (got < 0 && errno == EINTR));
}

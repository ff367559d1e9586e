/*
 * account: what became of the mail that was sent, per message and recipient.
 *
 *     account [--sent FILE]... [--log FILE]... [--queue DIRECTORY]... [--prefix TEXT] [--may-double N] [--latency]
 *
 *     --sent     what a generator had accepted (mailgen.c)
 *     --log      what an LMTP server got (lmtpd.c)
 *     --queue    a Postfix queue directory
 *     --prefix   only messages whose Message-ID begins with <TEXT and a dot
 *
 * It prints
 *
 *     sent N, delivered N, queued N, bounced N, lost N, doubled N
 *
 * and, when there are any, "N of the queued were delivered" and "N deliveries of unknown mail". A recipient counts as
 *
 *     delivered  when the server's log has it;
 *     queued     when it is not delivered, and is to be delivered according to a finished queue file in incoming, active,
 *                deferred, hold or maildrop;
 *     bounced    when it is neither, and a delivery status report gives it up that was delivered (says the server's log) or
 *                is itself in the queue;
 *     lost       when it is none of these;
 *     doubled    as often as it was delivered beyond once. One that was delivered and will be again, because the queue
 *                still has it, counts here too, but only once Postfix is stopped or quiet can that be told from one that
 *                is about to be marked.
 *
 * Mail moves while it is counted: a message that goes back from deferred to active between the reading of the two is in
 * neither. So a count that sees a loss is made again, up to RECOUNTS times; what is lost stays lost.
 *
 * Recipients that the server got but nobody sent (bounces, or mail of which a generator never saw the 250) are not held
 * against anyone. Status 1 when nothing was sent, something is lost, or more than --may-double (0) is doubled, or a queue file is damaged.
 * With --latency it also prints, from the first delivery of each, in seconds since X-Sent-At,
 *
 *     latency of N: p50 S p99 S max S
 */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/message_scan.h"
#include "tests/lib/queue_file.h"

#define SOURCES_MAX 64
#define LINE_MAX_LENGTH 1024
#define DEPTH_MAX 4               /* of hashed queue directories (hash_queue_depth) */
#define QUEUE_RECIPIENTS_MAX 5000 /* of one queue file */
#define HEADER_LINE_MAX 4096
#define RECOUNTS 10
#define RECOUNT_AFTER_NS 50000000L

struct entry {
    char *key; /* MESSAGE-ID, blank, recipient */
    unsigned sent, delivered, queued, bounced;
    double latency; /* of the first delivery; NaN when not known */
};

struct ledger {
    const char *prefix;
    struct entry *entries; /* open addressing; a power of two of them */
    size_t size, count;
    unsigned long damaged;
};

/* --- the ledger --- */

static size_t hash_text(const char *text)
{
    uint64_t hash = 14695981039346656037U; /* FNV-1a */

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211U;
    return (size_t)(hash ^ (hash >> 32));
}

static struct entry *ledger_slot(struct entry *entries, size_t size, const char *key)
{
    size_t at = hash_text(key) & (size - 1);

    while (entries[at].key != NULL && strcmp(entries[at].key, key) != 0)
        at = (at + 1) & (size - 1);
    return &entries[at];
}

/* A tool of the tests: without memory there is nothing to tell. */
static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "account: out of memory\n");
        exit(2);
    }
    return memory;
}

static void ledger_grow(struct ledger *ledger)
{
    size_t size = ledger->size == 0 ? 4096 : ledger->size * 2;
    struct entry *entries = must(calloc(size, sizeof(*entries)));

    for (size_t i = 0; i < ledger->size; i++)
        if (ledger->entries[i].key != NULL)
            *ledger_slot(entries, size, ledger->entries[i].key) = ledger->entries[i];
    free(ledger->entries);
    ledger->entries = entries;
    ledger->size = size;
}

/* The entry of a message and recipient, made when it is new; NULL when the prefix is another. */
static struct entry *ledger_entry(struct ledger *ledger, const char *id, const char *recipient)
{
    char key[MESSAGE_ID_MAX + MESSAGE_ADDRESS_MAX + 2];
    size_t length = ledger->prefix == NULL ? 0 : strlen(ledger->prefix);
    struct entry *entry;

    if (length > 0 &&
        (id[0] != '<' || strncmp(id + 1, ledger->prefix, length) != 0 || id[1 + length] != '.'))
        return NULL;
    if (ledger->count >= ledger->size / 2)
        ledger_grow(ledger);
    snprintf(key, sizeof(key), "%.*s %.*s", MESSAGE_ID_MAX, id, MESSAGE_ADDRESS_MAX, recipient);
    entry = ledger_slot(ledger->entries, ledger->size, key);
    if (entry->key == NULL) {
        entry->key = must(strdup(key));
        entry->latency = NAN;
        ledger->count++;
    }
    return entry;
}

/* --- what is read --- */

static int read_sent(struct ledger *ledger, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[LINE_MAX_LENGTH];
    char id[MESSAGE_ID_MAX];
    char recipient[MESSAGE_ADDRESS_MAX];
    struct entry *entry;

    if (file == NULL)
        return -errno;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%*s %255s %320s", id, recipient) != 2) {
            fprintf(stderr, "account: %s: not understood: %s", path, line);
            ledger->damaged++;
            continue;
        }
        entry = ledger_entry(ledger, id, recipient);
        if (entry != NULL)
            entry->sent++;
    }
    fclose(file);
    return 0;
}

static int read_log(struct ledger *ledger, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[LINE_MAX_LENGTH];
    char kind[16];
    char id[MESSAGE_ID_MAX];
    char recipient[MESSAGE_ADDRESS_MAX];
    char seconds[32];
    struct entry *entry;

    if (file == NULL)
        return errno == ENOENT ? 0 : -errno; /* nothing was delivered yet */
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%*s %15s %255s %320s %31s", kind, id, recipient, seconds) != 4) {
            fprintf(stderr, "account: %s: not understood: %s", path, line);
            ledger->damaged++;
            continue;
        }
        entry = ledger_entry(ledger, id, recipient);
        if (entry == NULL)
            continue;
        if (strcmp(kind, "bounced") == 0)
            entry->bounced++;
        else if (entry->delivered++ == 0 && strcmp(seconds, "-") != 0)
            entry->latency = strtod(seconds, NULL);
    }
    fclose(file);
    return 0;
}

/* Enters the recipients of one queue file that are still to be delivered; 0 or -EBADMSG. */
static int read_records(struct ledger *ledger, const unsigned char *file, size_t size)
{
    struct queue_reader reader = {.file = file, .size = size};
    struct queue_record record;
    struct message_scan scan;
    char(*recipients)[MESSAGE_ADDRESS_MAX] =
        must(calloc(QUEUE_RECIPIENTS_MAX, sizeof(*recipients)));
    char line[HEADER_LINE_MAX];
    size_t line_length = 0;
    size_t count = 0;
    size_t part;
    bool report = false;
    bool content = false;
    struct entry *entry;
    int result;

    message_scan_begin(&scan);
    while ((result = queue_reader_next(&reader, &record)) > 0) {
        if (content &&
            (record.type == QUEUE_RECORD_LINE || record.type == QUEUE_RECORD_LINE_PART)) {
            part = record.length < sizeof(line) - line_length ? record.length
                                                              : sizeof(line) - line_length;
            memcpy(line + line_length, file + record.data, part);
            line_length += part;
            if (record.type == QUEUE_RECORD_LINE) {
                message_scan_line(&scan, line, line_length);
                line_length = 0;
            }
        } else if (record.type == QUEUE_RECORD_RECIPIENT && count < QUEUE_RECIPIENTS_MAX) {
            snprintf(recipients[count++], MESSAGE_ADDRESS_MAX, "%.*s", (int)record.length,
                     (const char *)file + record.data);
        } else if (record.type == QUEUE_RECORD_SENDER) {
            report = record.length == 0;
        } else if (record.type == QUEUE_RECORD_MESSAGE) {
            content = true;
        } else if (record.type == QUEUE_RECORD_EXTRACTED) {
            content = false;
        }
    }
    if (result == 0) {
        for (size_t i = 0; i < count; i++) {
            entry = ledger_entry(ledger, scan.id, recipients[i]);
            if (entry != NULL)
                entry->queued++;
        }
        for (unsigned i = 0; report && count > 0 && i < scan.failed_count; i++) {
            entry = ledger_entry(ledger, scan.original_id, scan.failed[i]);
            if (entry != NULL)
                entry->bounced++;
        }
    }
    free(recipients);
    return result;
}

static void read_queue_file(struct ledger *ledger, int directory, const char *name,
                            const char *path)
{
    struct stat status;
    void *file = MAP_FAILED;
    int result = 0;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    /* Gone meanwhile: the next directory has it, or the server. */
    if (fd < 0)
        return;
    /* cleanup(8) sets the owner's execute bit when the file is complete; before, nobody was told 250. */
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IXUSR) != 0) {
        result = -EBADMSG;
        if (status.st_size > 0 && status.st_size <= QUEUE_FILE_MAX) {
            file = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
            if (file != MAP_FAILED)
                result = read_records(ledger, file, (size_t)status.st_size);
        }
    }
    if (result < 0) {
        fprintf(stderr, "account: %s/%s is damaged\n", path, name);
        ledger->damaged++;
    }
    if (file != MAP_FAILED)
        munmap(file, (size_t)status.st_size);
    close(fd);
}

static void read_queue_directory(struct ledger *ledger, const char *path, unsigned depth)
{
    char below[PATH_MAX];
    DIR *directory = opendir(path);
    struct dirent *item;

    if (directory == NULL)
        return; /* not every queue has every directory, and hashed ones come and go */
    while ((item = readdir(directory)) != NULL) {
        if (item->d_name[0] == '.')
            continue;
        if (item->d_type == DT_DIR && depth > 0 &&
            (size_t)snprintf(below, sizeof(below), "%s/%s", path, item->d_name) < sizeof(below))
            read_queue_directory(ledger, below, depth - 1);
        else if (item->d_type == DT_REG)
            read_queue_file(ledger, dirfd(directory), item->d_name, path);
    }
    closedir(directory);
}

static int read_queue(struct ledger *ledger, const char *path)
{
    /* In the order in which mail moves on. */
    static const char *const queues[] = {"maildrop", "incoming", "active", "deferred", "hold"};
    char below[PATH_MAX];

    if (access(path, R_OK | X_OK) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
        if ((size_t)snprintf(below, sizeof(below), "%s/%s", path, queues[i]) < sizeof(below))
            read_queue_directory(ledger, below, DEPTH_MAX);
    return 0;
}

/* --- what is told --- */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

static void print_latency(const struct ledger *ledger)
{
    double *values = must(calloc(ledger->count + 1, sizeof(*values)));
    size_t count = 0;

    for (size_t i = 0; i < ledger->size; i++)
        if (ledger->entries[i].key != NULL && !isnan(ledger->entries[i].latency))
            values[count++] = ledger->entries[i].latency;
    qsort(values, count, sizeof(*values), compare_doubles);
    if (count == 0)
        printf("latency of 0: p50 - p99 - max -\n");
    else /* nearest rank */
        printf("latency of %zu: p50 %.4f p99 %.4f max %.4f\n", count,
               values[(count * 50 + 99) / 100 - 1], values[(count * 99 + 99) / 100 - 1],
               values[count - 1]);
    free(values);
}

static bool loses(const struct ledger *ledger)
{
    const struct entry *entry;

    for (size_t i = 0; i < ledger->size; i++) {
        entry = &ledger->entries[i];
        if (entry->key != NULL && entry->sent > 0 && entry->delivered == 0 && entry->queued == 0 &&
            entry->bounced == 0)
            return true;
    }
    return false;
}

static int report(const struct ledger *ledger, unsigned long may_double)
{
    unsigned long sent = 0;
    unsigned long delivered = 0;
    unsigned long queued = 0;
    unsigned long bounced = 0;
    unsigned long lost = 0;
    unsigned long doubled = 0;
    unsigned long again = 0;
    unsigned long unknown = 0;
    const struct entry *entry;

    for (size_t i = 0; i < ledger->size; i++) {
        entry = &ledger->entries[i];
        if (entry->key == NULL)
            continue;
        if (entry->sent == 0) {
            unknown += entry->delivered;
            continue;
        }
        sent++;
        if (entry->delivered > 0) {
            delivered++;
            doubled += entry->delivered - 1;
            again += entry->queued > 0;
        } else if (entry->queued > 0) {
            queued++;
        } else if (entry->bounced > 0) {
            bounced++;
        } else {
            lost++;
            fprintf(stderr, "lost: %s\n", entry->key);
        }
    }
    doubled += again;
    printf("sent %lu, delivered %lu, queued %lu, bounced %lu, lost %lu, doubled %lu\n", sent,
           delivered, queued, bounced, lost, doubled);
    if (again > 0)
        printf("%lu of those doubled were delivered and are still queued\n", again);
    if (unknown > 0)
        printf("%lu deliveries of unknown mail\n", unknown);
    if (sent == 0)
        fprintf(stderr, "account: nothing was sent; that proves nothing\n");
    return sent == 0 || lost > 0 || doubled > may_double || ledger->damaged > 0 ? 1 : 0;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: account [--sent FILE]... [--log FILE]... [--queue DIRECTORY]... [--prefix TEXT]\n"
        "               [--may-double N] [--latency]\n");
    return 2;
}

struct sources {
    const char *path[SOURCES_MAX];
    unsigned count;
};

static int read_sources(struct ledger *ledger, const struct sources *sources,
                        int (*read_one)(struct ledger *, const char *))
{
    int result;

    for (unsigned i = 0; i < sources->count; i++) {
        result = read_one(ledger, sources->path[i]);
        if (result < 0) {
            fprintf(stderr, "account: %s: %s\n", sources->path[i], strerror(-result));
            return result;
        }
    }
    return 0;
}

static void ledger_clear(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->size; i++)
        free(ledger->entries[i].key);
    free(ledger->entries);
    *ledger = (struct ledger){.prefix = ledger->prefix};
}

/* One count, from the beginning; 0 or a negative errno, which was told. */
static int count_all(struct ledger *ledger, const struct sources *sent,
                     const struct sources *queues, const struct sources *logs)
{
    int result;

    ledger_clear(ledger);
    ledger_grow(ledger);
    /* The queue before the server's log: what is delivered between the two is then in both, not in neither. */
    result = read_sources(ledger, sent, read_sent);
    if (result == 0)
        result = read_sources(ledger, queues, read_queue);
    if (result == 0)
        result = read_sources(ledger, logs, read_log);
    return result;
}

int main(int argc, char **argv)
{
    static const struct timespec pause = {.tv_nsec = RECOUNT_AFTER_NS};
    struct ledger ledger = {.prefix = NULL};
    struct sources sent = {.count = 0};
    struct sources logs = {.count = 0};
    struct sources queues = {.count = 0};
    struct sources *sources;
    unsigned long may_double = 0;
    bool latency = false;
    char *end;
    int status = 2;
    int result;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--latency") == 0) {
            latency = true;
            continue;
        }
        if (i + 1 == argc)
            return usage();
        sources = NULL;
        if (strcmp(argv[i], "--sent") == 0) {
            sources = &sent;
        } else if (strcmp(argv[i], "--log") == 0) {
            sources = &logs;
        } else if (strcmp(argv[i], "--queue") == 0) {
            sources = &queues;
        } else if (strcmp(argv[i], "--prefix") == 0) {
            ledger.prefix = argv[i + 1];
        } else if (strcmp(argv[i], "--may-double") == 0) {
            may_double = strtoul(argv[i + 1], &end, 10);
            if (*end != '\0')
                return usage();
        } else {
            return usage();
        }
        if (sources != NULL && sources->count == SOURCES_MAX)
            return usage();
        if (sources != NULL)
            sources->path[sources->count++] = argv[i + 1];
        i++;
    }
    result = count_all(&ledger, &sent, &queues, &logs);
    /* Without a queue nothing moves. */
    for (unsigned i = 0; i < RECOUNTS && result == 0 && queues.count > 0 && loses(&ledger); i++) {
        nanosleep(&pause, NULL);
        result = count_all(&ledger, &sent, &queues, &logs);
    }
    if (result == 0) {
        status = report(&ledger, may_double);
        if (latency)
            print_latency(&ledger);
    }
    ledger_clear(&ledger);
    return status;
}

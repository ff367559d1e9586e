#include "supervisor/ctl/ctl_journal.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/ctl/ctl_words.h"

/* Fields of ours are short; the rest of a longer one is not loaded. */
#define FIELD_MAX 4096

/* How often it is looked whether a second has passed. Entries. */
#define PROGRESS_EVERY 256

static int add_match(sd_journal *journal, const char *name, const char *value)
{
    char match[POSTCONF_NAME_SIZE + 64];

    snprintf(match, sizeof match, "%s=%s", name, value);
    return sd_journal_add_match(journal, match, 0);
}

/* Which lines: of Headroom, or of master(8). */
struct wish {
    const char *service;       /* NULL: all */
    const char *const *events; /* NULL: master's */
    int64_t since;
};

/* Several matches of one field mean either; of several fields, all. */
static int add_matches(sd_journal *journal, const struct ctl *ctl, const struct wish *wish)
{
    const struct passwd *owner = getpwnam(ctl->postconf.mail_owner);
    char text[POSTCONF_NAME_SIZE + 16];
    char uid[16];
    int result = 0;

    for (const char *const *event = wish->events; event && *event && result >= 0; event++)
        result = add_match(journal, "HEADROOM_EVENT", *event);
    if (result >= 0 && wish->service)
        result = add_match(journal, "HEADROOM_SERVICE", wish->service);
    if (result >= 0 && !wish->events) {
        snprintf(text, sizeof text, "%s/master", ctl->postconf.syslog_name);
        return add_match(journal, "SYSLOG_IDENTIFIER", text) < 0 ? -ENOMEM
                                                                 : add_match(journal, "_UID", "0");
    }
    if (result >= 0)
        result = add_match(journal, "_UID", "0");
    if (result >= 0 && owner) {
        snprintf(uid, sizeof uid, "%u", (unsigned)owner->pw_uid);
        result = add_match(journal, "_UID", uid);
    }
    return result;
}

/* The value of a field as a text that is safe for a terminal; empty without that field. */
static void take_text(sd_journal *journal, const char *name, char *text, size_t size)
{
    const void *data;
    size_t length;
    size_t skip = strlen(name) + 1;

    text[0] = '\0';
    if (sd_journal_get_data(journal, name, &data, &length) >= 0 && length >= skip)
        ctl_plain((const char *)data + skip, length - skip, size, text, size);
}

static int64_t take_number(sd_journal *journal, const char *name)
{
    char text[32];
    char *end;
    long long number;

    take_text(journal, name, text, sizeof text);
    number = strtoll(text, &end, 10);
    return end == text || *end != '\0' || number < 0 ? -1 : number;
}

static double take_percent(sd_journal *journal, const char *name)
{
    char text[32];
    char *end;
    double number;

    take_text(journal, name, text, sizeof text);
    number = strtod(text, &end);
    return end == text || strcmp(end, "%") != 0 || !(number >= 0 && number <= 100) ? -1 : number;
}

static void take(sd_journal *journal, struct ctl_entry *entry)
{
    uint64_t time = 0;

    sd_journal_get_realtime_usec(journal, &time);
    entry->time = (int64_t)time;
    take_text(journal, "HEADROOM_EVENT", entry->event, sizeof entry->event);
    take_text(journal, "HEADROOM_SERVICE", entry->service, sizeof entry->service);
    take_text(journal, "HEADROOM_STATE", entry->state, sizeof entry->state);
    take_text(journal, "HEADROOM_REASON", entry->reason, sizeof entry->reason);
    take_text(journal, "MESSAGE", entry->text, sizeof entry->text);
    entry->limit = take_number(journal, "HEADROOM_LIMIT");
    entry->workers = take_number(journal, "HEADROOM_WORKERS");
    entry->busy = take_number(journal, "HEADROOM_BUSY");
    entry->waiting = take_number(journal, "HEADROOM_WAITING");
    entry->would_defer = take_number(journal, "HEADROOM_WOULD_DEFER");
    entry->would_wait = take_number(journal, "HEADROOM_WOULD_WAIT");
    entry->would_split = take_number(journal, "HEADROOM_WOULD_SPLIT");
    entry->available = take_number(journal, "HEADROOM_AVAILABLE");
    entry->working_set = take_number(journal, "HEADROOM_WORKING_SET");
    entry->pressure = take_percent(journal, "HEADROOM_PRESSURE");
}

static void show_progress(int64_t count, int64_t time, bool *shown)
{
    char date[CTL_WORD_SIZE];

    fprintf(stderr, "\r%lld lines, at %s\033[K", (long long)count, ctl_date(time, date));
    *shown = true;
}

/* libsystemd opens a journal without files, or without readable ones, without an error. */
static int look_for_files(sd_journal *journal)
{
    if (sd_journal_has_runtime_files(journal) > 0 || sd_journal_has_persistent_files(journal) > 0)
        return 0;
    if (geteuid() == 0)
        return -ENOENT;
    return access("/run/log/journal", F_OK) == 0 || access("/var/log/journal", F_OK) == 0 ? -EACCES
                                                                                          : -ENOENT;
}

static int64_t read_lines(const struct ctl *ctl, const struct wish *wish, ctl_entry_use *use,
                          void *context)
{
    struct ctl_entry *entry = malloc(sizeof *entry);
    sd_journal *journal = NULL;
    bool terminal = isatty(STDERR_FILENO) == 1;
    bool shown = false;
    time_t told = time(NULL);
    int64_t count = 0;
    int result =
        entry ? sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM) : -ENOMEM;

    if (result >= 0)
        result = look_for_files(journal);
    if (result >= 0)
        result = sd_journal_set_data_threshold(journal, FIELD_MAX);
    if (result >= 0)
        result = add_matches(journal, ctl, wish);
    if (result >= 0)
        result =
            sd_journal_seek_realtime_usec(journal, wish->since > 0 ? (uint64_t)wish->since : 0);
    while (result >= 0 && (result = sd_journal_next(journal)) > 0) {
        take(journal, entry);
        if (entry->time < wish->since)
            continue;
        use(context, entry);
        count++;
        if (terminal && count % PROGRESS_EVERY == 0 && time(NULL) > told) {
            told = time(NULL);
            show_progress(count, entry->time, &shown);
        }
    }
    if (shown)
        fputs("\r\033[K", stderr);
    sd_journal_close(journal);
    free(entry);
    return result < 0 ? result : count;
}

int64_t ctl_journal_read(const struct ctl *ctl, const char *service, int64_t since,
                         const char *const *events, ctl_entry_use *use, void *context)
{
    return read_lines(ctl, &(struct wish){.service = service, .events = events, .since = since},
                      use, context);
}

int64_t ctl_journal_read_master(const struct ctl *ctl, int64_t since, ctl_entry_use *use,
                                void *context)
{
    return read_lines(ctl, &(struct wish){.since = since}, use, context);
}

const char *ctl_journal_error(int error)
{
    switch (-error) {
    case ENOENT:
        return "there is none on this machine";
    case EACCES:
    case EPERM:
        return "you may not: run this as root or in group systemd-journal";
    default:
        return strerror(-error);
    }
}

#include "supervisor/ctl/ctl_refused.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/ctl/ctl_journal.h"
#include "supervisor/ctl/ctl_words.h"

/* How much of the end of maillog_file is read: some thousand lines. */
#define TAIL_MAX (1 << 20)

struct search {
    const char *service;
    char program[PATH_MAX + 16];
    struct ctl_refused *refused;
    bool own;
    char cause[sizeof((struct ctl_refused *)0)->text]; /* what came before the last refusal */
};

static void keep_cause(struct search *search, const char *text, bool own)
{
    ctl_plain(text, strlen(text), sizeof search->cause, search->cause, sizeof search->cause);
    search->own = own;
}

static void drop_cause(struct search *search)
{
    search->cause[0] = '\0';
    search->own = false;
}

/* master(8): "process PROGRAM pid 7 exit status 127", "fatal: master_spawn: exec PROGRAM: ...",
 * then "PROGRAM: bad command startup -- throttling". The second, and what Headroom itself says, say
 * more than an exit status. */
static void look(struct search *search, const char *text, int64_t time)
{
    static const char refusal[] = ": bad command startup";
    struct ctl_refused *refused = search->refused;
    const char *at = strstr(text, search->program);

    if (!at)
        return;
    if (strncmp(at + strlen(search->program), refusal, sizeof refusal - 1) != 0) {
        if (!search->own && !strstr(search->cause, " exec "))
            keep_cause(search, text, false);
        return;
    }
    if (search->cause[0] == '\0')
        keep_cause(search, text, false);
    refused->found = true;
    refused->own = search->own;
    refused->time = time;
    memcpy(refused->text, search->cause, sizeof refused->text);
    drop_cause(search);
}

static void look_at_entry(void *context, const struct ctl_entry *entry)
{
    look(context, entry->text, entry->time);
}

/* One of Headroom's own lines: it starts, or says why it cannot. */
static void look_at_own(struct search *search, const char *line)
{
    char starts[STATUS_NAME_SIZE + 32];

    snprintf(starts, sizeof starts, " starts: service %s,", search->service);
    if (!strstr(line, "/headroom["))
        return;
    if (strstr(line, starts)) {
        search->refused->found = false;
        drop_cause(search);
    } else if (strstr(line, ": cannot run: ")) {
        keep_cause(search, line, true);
    }
}

/* A line begins with "Nov 28 12:12:18", local time. Microseconds since 1970, of the end of that
 * second: a reload and what fails after it are often in one. 0: it does not. */
static int64_t time_of(const char *line)
{
    time_t now = time(NULL), at;
    struct tm when;

    if (!localtime_r(&now, &when) || !strptime(line, "%b %d %H:%M:%S", &when))
        return 0;
    when.tm_isdst = -1;
    at = mktime(&when);
    /* Of last year: a clock is not wrong by a day. */
    if (at > now + 86400) {
        when.tm_year--;
        when.tm_isdst = -1;
        at = mktime(&when);
    }
    return at < 0 ? 0 : (int64_t)at * 1000000 + 999999;
}

/* The end of the file; the first line is only part of one. 0 or a negative errno. */
static int look_at_file(struct search *search, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *text = malloc(TAIL_MAX + 1);
    char *line, *rest = text;
    struct stat found;
    ssize_t length;
    int result = 0;

    if (fd < 0 || fstat(fd, &found) < 0) {
        result = -errno;
    } else if (!S_ISREG(found.st_mode)) {
        result = -ESPIPE;
    } else if (!text) {
        result = -ENOMEM;
    } else {
        length = pread(fd, text, TAIL_MAX, found.st_size > TAIL_MAX ? found.st_size - TAIL_MAX : 0);
        /* After a power failure there may be a block of NULs. */
        for (ssize_t i = 0; i < length; i++)
            if (text[i] == '\0')
                text[i] = ' ';
        text[length > 0 ? length : 0] = '\0';
        while ((line = strsep(&rest, "\n"))) {
            look_at_own(search, line);
            look(search, line, time_of(line));
        }
    }
    free(text);
    if (fd >= 0)
        close(fd);
    return result;
}

void ctl_refused_find(const struct ctl *ctl, const char *service, int64_t since, int64_t started,
                      struct ctl_refused *refused)
{
    struct search search = {.service = service, .refused = refused};
    int64_t count;

    *refused = (struct ctl_refused){0};
    snprintf(search.program, sizeof search.program, "%s/headroom", ctl->postconf.daemon_directory);
    if (ctl->postconf.maillog_file[0] != '\0') {
        refused->looked = look_at_file(&search, ctl->postconf.maillog_file);
    } else {
        count = ctl_journal_read_master(ctl, since, look_at_entry, &search);
        refused->looked = count < 0 ? (int)count : 0;
    }
    if (refused->time < since || refused->time <= started)
        refused->found = false;
}

#include "supervisor/journal/journal_sink.h"

#include <errno.h>
#include <paths.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Without CODE_FILE and CODE_LINE: they would name this file for every event. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

/* systemd-journald(8) */
#define JOURNALD_SOCKET "/run/systemd/journal/socket"
/* Tag, host, time and severity besides the text. postlogd takes 4096. */
#define POSTLOG_SIZE (JOURNAL_TEXT_MAX + JOURNAL_TAG_SIZE + JOURNAL_HOST_SIZE + 128)

static int address_make(struct sockaddr_un *address, const char *path)
{
    size_t length = strlen(path);

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (length >= sizeof address->sun_path)
        return -ENAMETOOLONG;
    memcpy(address->sun_path, path, length + 1);
    return 0;
}

/* Whether a process has this socket open. sd_journal_sendv returns 0 also without journald. */
static int reach(const struct journal_sink *sink, const struct sockaddr_un *address)
{
    return connect(sink->fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
}

static int reach_path(const struct journal_sink *sink, const char *path)
{
    struct sockaddr_un address;
    int result = address_make(&address, path);

    return result < 0 ? result : reach(sink, &address);
}

int journal_sink_open(struct journal_sink *sink, const char *postlog)
{
    memset(sink, 0, sizeof *sink);
    sink->postlog_given = postlog != NULL && address_make(&sink->postlog, postlog) == 0;
    sink->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return sink->fd < 0 ? -errno : 0;
}

void journal_sink_close(struct journal_sink *sink)
{
    if (sink->syslog_open)
        closelog();
    if (sink->fd >= 0)
        (void)close(sink->fd);
    sink->fd = -1;
}

/* The word that Postfix puts before the text: who searches logs for it finds these lines, too. */
static const char *severity(int priority)
{
    if (priority <= LOG_CRIT)
        return "fatal: ";
    if (priority == LOG_ERR)
        return "error: ";
    return priority == LOG_WARNING ? "warning: " : "";
}

size_t journal_sink_postlog(char *out, size_t size, time_t now,
                            const struct journal_identity *identity,
                            const struct journal_line *line)
{
    /* Unlike strftime: English months in any locale. The day has two digits, as in Postfix. */
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm local = {.tm_mon = 0};
    int length;

    (void)localtime_r(&now, &local);
    length = snprintf(out, size, "%s %02d %02d:%02d:%02d %s %s[%ld]: %s%s", months[local.tm_mon],
                      local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, identity->host,
                      identity->tag, (long)identity->pid, severity(line->priority), line->text);
    if (length < 0)
        return 0;
    return (size_t)length < size ? (size_t)length : size - 1;
}

static int postlog_write(const struct journal_sink *sink, const struct journal_identity *identity,
                         const struct journal_line *line)
{
    char text[POSTLOG_SIZE];
    size_t length = journal_sink_postlog(text, sizeof text, time(NULL), identity, line);

    return send(sink->fd, text, length, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void syslog_write(struct journal_sink *sink, const struct journal_identity *identity,
                         const struct journal_line *line)
{
    if (!sink->syslog_open) {
        openlog(identity->tag, LOG_PID | LOG_NDELAY, identity->facility);
        sink->syslog_open = true;
    }
    syslog(identity->facility | LOG_PRI(line->priority), "%s%s", severity(line->priority),
           line->text);
}

int journal_sink_write(struct journal_sink *sink, const struct journal_identity *identity,
                       const struct journal_line *line)
{
    int result;

    if (reach_path(sink, JOURNALD_SOCKET) == 0)
        return sd_journal_sendv(line->field, (int)line->fields);
    if (sink->postlog_given && reach(sink, &sink->postlog) == 0)
        return postlog_write(sink, identity, line);
    result = reach_path(sink, _PATH_LOG);
    if (result == 0)
        syslog_write(sink, identity, line);
    return result;
}

#include "supervisor/report/status_word.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int status_word_write(int fd, const char *state, int64_t wall)
{
    char line[STATUS_WORD_SIZE_IN_FILE + 1];
    int length = snprintf(line, sizeof line, "%s %" PRId64, state, wall / 1000000);

    if (length < 0 || length >= STATUS_WORD_SIZE_IN_FILE)
        return -ENAMETOOLONG;
    memset(line + length, ' ', STATUS_WORD_SIZE_IN_FILE - (size_t)length);
    line[STATUS_WORD_SIZE_IN_FILE - 1] = '\n';
    if (pwrite(fd, line, STATUS_WORD_SIZE_IN_FILE, 0) != STATUS_WORD_SIZE_IN_FILE)
        return errno != 0 ? -errno : -EIO;
    return 0;
}

int status_public_write(int fd, const struct status *status)
{
    enum { SIZE = STATUS_PUBLIC_SIZE - STATUS_WORD_SIZE_IN_FILE };
    bool dry = status->settings.dry_run > 0;
    char text[SIZE + 1];
    int length = snprintf(
        text, sizeof text,
        "version %s\nstarted %" PRId64 "\n%s%s%ssince %" PRId64 "\nreason %s\nlimit %" PRIu64
        "\nworkers %" PRIu64 "\nbusy %" PRIu64 "\nwaiting %" PRIu64 "\ndelivered %" PRIu64
        "\nfailed %" PRIu64 "\ndeferred %" PRIu64 "\nlost %" PRIu64
        "\ndelivered_last_minute %" PRIu64 "\nfailed_last_minute %" PRIu64 "\n",
        status->version, status->started / 1000000, dry ? "would_be " : "",
        dry ? status->state.name : "", dry ? "\n" : "", status->state.since / 1000000,
        status->state.reason, status->state.limit, status->workers.live,
        status->workers.busy + status->workers.connecting, status->requests.waiting,
        status->totals.delivered, status->totals.failed, status->totals.deferred,
        status->totals.lost, status->minute.delivered, status->minute.failed);

    if (length < 0 || length >= SIZE)
        return -ENAMETOOLONG;
    memset(text + length, ' ', (size_t)(SIZE - length));
    text[SIZE - 1] = '\n';
    if (pwrite(fd, text, SIZE, STATUS_WORD_SIZE_IN_FILE) != SIZE)
        return errno != 0 ? -errno : -EIO;
    return 0;
}

bool status_word_sheds(const char *line, size_t length, int64_t wall)
{
    char text[STATUS_WORD_SIZE_IN_FILE + 1];
    int64_t seconds, age;

    if (length != STATUS_WORD_SIZE_IN_FILE)
        return false;
    memcpy(text, line, length);
    text[length] = '\0';
    if (sscanf(text, "SHED %" SCNd64, &seconds) != 1 || seconds < 0 ||
        seconds > INT64_MAX / 1000000)
        return false;
    age = wall - seconds * 1000000;
    /* The clock may have been set back a little since. */
    return age > -STATUS_WORD_SILENT_AFTER && age < STATUS_WORD_SILENT_AFTER;
}

#include "supervisor/dispatcher/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/worker.h"
#include "supervisor/parent/setup.h"

enum { STATE, PRIVATE, MEMORY };

/* The name of a place as openat(2) takes it, and what it is relative to. Not of STATE. */
static const char *name_at(const struct sockets *sockets, int which, int *at)
{
    const char *name = sockets->place[which].name;

    *at = which == PRIVATE ? sockets->config.queue_directory : AT_FDCWD;
    return which == PRIVATE ? name + sockets->queue_length : name;
}

static int enter(struct sockets *sockets, int which)
{
    if (sockets->entered == which)
        return 0;
    if (sockets->place[which].descriptor < 0)
        return -ENOENT;
    if (fchdir(sockets->place[which].descriptor) < 0)
        return -errno;
    sockets->entered = which;
    return 0;
}

static void forget(struct sockets *sockets, int which)
{
    if (which != STATE && sockets->place[which].descriptor >= 0)
        close(sockets->place[which].descriptor);
    sockets->place[which].descriptor = -1;
    if (sockets->entered == which)
        sockets->entered = -1;
}

/* Made when it is not there. */
static int place_open(struct sockets *sockets, int which)
{
    const struct sockets_config *config = &sockets->config;
    const char *name;
    int at, result;

    forget(sockets, which);
    if (which == STATE) {
        result = config->renew(config->context);
    } else {
        name = name_at(sockets, which, &at);
        result = setup_directory(at, name, config->owner);
    }
    if (result < 0)
        return result;
    sockets->place[which].descriptor = result;
    return 0;
}

static void place_sweep(struct sockets *sockets, int which, void (*left)(void *context, int fd))
{
    if (enter(sockets, which) == 0)
        worker_sweep(left, sockets->config.context);
    forget(sockets, which);
}

static void place_remove(const struct sockets *sockets, int which)
{
    int at;
    const char *name = name_at(sockets, which, &at);

    unlinkat(at, name, AT_REMOVEDIR);
}

void sockets_open(struct sockets *sockets, const struct sockets_config *config, int state)
{
    struct stat queue = {0};
    struct stat found;
    int at;

    *sockets = (struct sockets){.config = *config, .entered = -1};
    for (int i = 0; i < SOCKET_PLACES; i++)
        sockets->place[i].descriptor = -1;
    fstat(config->queue_directory, &queue);
    snprintf(sockets->place[STATE].name, SOCKET_PLACE_NAME_MAX, "%.500s", config->state_name);
    snprintf(sockets->place[PRIVATE].name, SOCKET_PLACE_NAME_MAX, "%.300s/private/headroom.%.100s",
             config->queue_name, config->service);
    sockets->queue_length = strnlen(config->queue_name, 300) + 1;
    snprintf(sockets->place[MEMORY].name, SOCKET_PLACE_NAME_MAX,
             "%.100s/headroom.%.100s.%" PRIx64 "-%" PRIx64, config->memory, config->service,
             (uint64_t)queue.st_dev, (uint64_t)queue.st_ino);
    if (state >= 0) {
        sockets->place[STATE].descriptor = state;
        if (enter(sockets, STATE) == 0)
            worker_sweep(config->left, config->context);
    } else {
        sockets->used = -1;
    }
    for (int i = PRIVATE; i < SOCKET_PLACES; i++) {
        const char *name = name_at(sockets, i, &at);

        if (fstatat(at, name, &found, AT_SYMLINK_NOFOLLOW) < 0 || place_open(sockets, i) < 0)
            continue;
        place_sweep(sockets, i, config->left);
        if (i == MEMORY)
            place_remove(sockets, i);
    }
}

/* The process is short of something, which no other place mends. */
static bool is_short(int result)
{
    return result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS;
}

/* Somebody may have removed the directory: it is made again. */
static int listen_in(struct sockets *sockets, int which, unsigned number)
{
    int result = enter(sockets, which);

    if (result == 0)
        result = worker_listen(number);
    if (result != -ENOENT)
        return result;
    result = place_open(sockets, which);
    if (result == 0)
        result = enter(sockets, which);
    return result < 0 ? result : worker_listen(number);
}

static void say(struct sockets *sockets, int which, int error, uint64_t now)
{
    const struct sockets_config *config = &sockets->config;
    int before = sockets->used;

    sockets->used = which;
    if (which == before || (before < 0 && which != STATE))
        return;
    if (which == STATE)
        journal_log(config->complaints->journal, EVENT_STATE_FILE, LOG_NOTICE, NULL, 0,
                    "sockets of workers are made in %s again", sockets->place[STATE].name);
    else
        complain(config->complaints, COMPLAINT_SOCKETS, now, NULL, 0,
                 "no socket of a worker can be made in %s: %s; they are made in %s%s",
                 sockets->place[STATE].name, strerror(-error), sockets->place[which].name,
                 error == -ENOENT ? "; `postfix reload` makes it again" : setup_cure(error));
}

int sockets_listen(struct sockets *sockets, unsigned number, int *place, uint64_t now)
{
    int first = 0;

    for (int i = 0; i < SOCKET_PLACES; i++) {
        int result = listen_in(sockets, i, number);

        if (result >= 0) {
            *place = i;
            say(sockets, i, first, now);
            return result;
        }
        if (is_short(result))
            return result;
        if (first == 0)
            first = result;
    }
    return first;
}

int sockets_connect(struct sockets *sockets, unsigned number, int place)
{
    int result = enter(sockets, place);

    return result < 0 ? result : worker_connect(number);
}

void sockets_end(struct sockets *sockets)
{
    sockets->ended = true;
    if (sockets->config.owner && enter(sockets, STATE) == 0)
        worker_sweep(NULL, NULL);
}

void sockets_close(struct sockets *sockets)
{
    /* It may never have been opened. */
    if (!sockets->config.owner)
        return;
    if (sockets->place[MEMORY].descriptor >= 0) {
        place_sweep(sockets, MEMORY, NULL);
        place_remove(sockets, MEMORY);
    }
    if (sockets->ended) {
        place_sweep(sockets, PRIVATE, NULL);
        place_remove(sockets, PRIVATE);
    }
    forget(sockets, PRIVATE);
}

/*
 * retry(8): one process that takes a request, defers it, and says so.
 */

#include <errno.h>
#include <string.h>

#include "tests/world/calls.h"
#include "tests/world/kernel.h"
#include "tests/world/wire.h"
#include "tests/world/world.h"

#define TALKS 8

static struct talk {
    int stream; /* -1: none */
    bool greeted, answered;
    uint64_t wake;
    char bytes[STREAM_SIZE];
    size_t length;
} talks[TALKS];

void deferrals_begin(void)
{
    for (unsigned i = 0; i < TALKS; i++)
        talks[i].stream = -1;
}

int __wrap_redirect_connect(int queue_directory)
{
    (void)queue_directory;
    if (troubled(RETRY_GONE))
        return chance(500) ? -ENOENT : -ECONNREFUSED;
    if (troubled(RETRY_FULL))
        return -EAGAIN;
    for (unsigned i = 0; i < TALKS; i++) {
        struct talk *talk = &talks[i];
        int fd;

        if (talk->stream >= 0)
            continue;
        *talk =
            (struct talk){.stream = stream_open(ROLE_RETRY), .wake = world.now + draw_below(3000)};
        streams[talk->stream].wake = &talk->wake;
        fd = kernel_open(KIND_STREAM, talk->stream);
        if (fd < 0) {
            streams[talk->stream].ours = 0;
            return -EMFILE;
        }
        return fd;
    }
    return -EAGAIN;
}

uint64_t deferrals_next(void)
{
    uint64_t when = NEVER;

    for (unsigned i = 0; i < TALKS; i++)
        if (talks[i].stream >= 0 && talks[i].wake < when)
            when = talks[i].wake;
    return when;
}

static void end(struct talk *talk)
{
    stream_close(talk->stream);
    talk->stream = -1;
}

static void work(struct talk *talk)
{
    unsigned number[RECIPIENTS_MAX], count;
    char nexthop[REPLY_SIZE];
    int id;

    talk->wake = troubled(RETRY_MUTE) ? world.now + 100000 : NEVER;
    if (stream_ended(talk->stream) || strikes(RETRY_LIES, 100)) {
        end(talk);
        return;
    }
    if (troubled(RETRY_MUTE))
        return;
    if (strikes(RETRY_LIES, 100)) {
        stream_say(talk->stream, WIRE_DONE, sizeof WIRE_DONE - 1);
        return;
    }
    if (!talk->greeted) {
        stream_say(talk->stream, WIRE_GREETING, sizeof WIRE_GREETING - 1);
        talk->greeted = true;
        return;
    }
    talk->length +=
        stream_hear(talk->stream, talk->bytes + talk->length, sizeof talk->bytes - talk->length);
    if (talk->answered)
        return;
    id = mail_of(talk->bytes, talk->length, number, &count, nexthop);
    if (id < 0)
        return;
    mail_replied(&mails[id], WIRE_DEFERRED, sizeof WIRE_DEFERRED - 1);
    stream_say(talk->stream, WIRE_DEFERRED, sizeof WIRE_DEFERRED - 1);
    talk->answered = true;
}

void deferrals_act(void)
{
    for (unsigned i = 0; i < TALKS; i++)
        if (talks[i].stream >= 0 && talks[i].wake <= world.now)
            work(&talks[i]);
}

/*
 * The parent, and the processes of workers that it starts and reaps.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/world/calls.h"
#include "tests/world/kernel.h"
#include "tests/world/wire.h"
#include "tests/world/world.h"

#define NEWS_MAX 64

enum phase { GONE, ASKED, BOOTING, IDLE, GREETED, WORKING, REPLIED };

static struct process {
    enum phase phase;
    pid_t pid;
    int listener, status, stream; /* -1: none */
    uint64_t wake;
    uint64_t idle_until; /* it goes then */
    unsigned used;       /* connections */
    bool lied;
    int mail;
    unsigned number[RECIPIENTS_MAX], count; /* recipients of the mail that it delivers to */
    char bytes[STREAM_SIZE];
    size_t length;
    char reply[REPLY_SIZE];
    size_t reply_length, said;
} processes[WORKERS_MAX];

static struct parent {
    struct channel_message news[NEWS_MAX];
    uint64_t due[NEWS_MAX];
    unsigned count;
    pid_t pid;
    unsigned dsn; /* replies with one: each has another text */
} parent;

void workers_begin(void)
{
    parent = (struct parent){.pid = 5000};
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        processes[i].phase = GONE;
}

unsigned workers_live(void)
{
    unsigned live = 0;

    for (unsigned i = 0; i < WORKERS_MAX; i++)
        live += processes[i].phase != GONE;
    return live;
}

/* --- the parent --- */

static void tell(enum channel_kind kind, unsigned number, pid_t pid, int status)
{
    uint64_t due = world.now + draw_below(chance(50) ? SECONDS(3) : 2000);

    /* In the order in which it happened. */
    if (parent.count > 0 && due < parent.due[parent.count - 1])
        due = parent.due[parent.count - 1];
    if (parent.count == NEWS_MAX)
        broken("the test itself", "more than %d news of the parent", NEWS_MAX);
    parent.news[parent.count] =
        (struct channel_message){.kind = kind, .worker = number, .pid = pid, .status = status};
    parent.due[parent.count++] = due;
}

bool parent_has_news(void)
{
    return parent.count > 0 && parent.due[0] <= world.now;
}

int __wrap_channel_receive(int end, struct channel_message *message, int fds[CHANNEL_DESCRIPTORS])
{
    (void)end;
    (void)fds;
    if (!parent_has_news())
        return kernel.parent_gone ? -EPIPE : 0;
    *message = parent.news[0];
    parent.count--;
    memmove(parent.news, parent.news + 1, parent.count * sizeof parent.news[0]);
    memmove(parent.due, parent.due + 1, parent.count * sizeof parent.due[0]);
    return 1;
}

static void closes(struct process *process)
{
    if (process->stream >= 0)
        stream_close(process->stream);
    process->stream = -1;
}

static void ends(struct process *process, int status)
{
    closes(process);
    listener_close(process->listener);
    stream_close(process->status);
    outside_killed(status);
    figures[DIED] += status != 0;
    process->phase = GONE;
    tell(CHANNEL_EXITED, (unsigned)(process - processes), process->pid, status);
    note("worker %d ends with %d", (int)(process - processes), status);
}

static int spawn(unsigned number, const int *fds)
{
    struct process *process = &processes[number];

    if (process->phase != GONE)
        broken("5: a number is of one worker", "worker %u is there", number);
    promise_spawn();
    if (troubled(FORK_FAILS) || troubled(EXEC_FAILS)) {
        tell(CHANNEL_FAILED, number, 0, troubled(FORK_FAILS) ? EAGAIN : ENOENT);
        return 0;
    }
    *process = (struct process){.phase = ASKED,
                                .pid = ++parent.pid,
                                .listener = descriptors[fds[0]].object,
                                .status = descriptors[fds[1]].object,
                                .stream = -1,
                                .mail = -1,
                                .wake = world.now + draw_below(2000)};
    listeners[process->listener].open++;
    listeners[process->listener].wake = &process->wake;
    streams[process->status].theirs++;
    streams[process->status].wake = &process->wake;
    figures[SPAWNED]++;
    return 0;
}

int __wrap_channel_send(int end, const struct channel_message *message, const int *fds)
{
    (void)end;
    if (message->worker >= WORKERS_MAX)
        broken("12: no more workers than somebody chose", "worker %u", message->worker);
    if (strikes(PARENT_DEAF, 700))
        return -EAGAIN;
    if (message->kind == CHANNEL_SPAWN)
        return spawn(message->worker, fds);
    if (processes[message->worker].phase != GONE) {
        const struct process *process = &processes[message->worker];

        /* Of one that has lied the dispatcher knows no better. */
        if (!process->lied && (process->phase == WORKING || process->phase == REPLIED))
            broken("10: a busy worker is never killed", "worker %u", message->worker);
        ends(&processes[message->worker], SIGKILL);
    }
    return 0;
}

/* --- a worker --- */

static uint64_t delivery_time(const struct process *process)
{
    uint64_t time = 0;

    for (unsigned i = 0; i < process->count; i++) {
        enum server server =
            world.plan.server[mails[process->mail].recipient[process->number[i]].domain];
        uint64_t one = server == SLOW   ? draw_from(SECONDS(1), SECONDS(12))
                       : server == DEAD ? draw_from(SECONDS(20), SECONDS(60))
                                        : draw_from(500, 20000);

        time += one;
    }
    return time;
}

static bool delivers(enum server server)
{
    return server == QUICK || server == SLOW || (server == SOMETIMES && chance(600));
}

static bool knows(unsigned domain)
{
    return world.plan.server[domain] == REFUSING || world.plan.server[domain] == DEAD;
}

/* Marks whom it delivered to, and makes up the reply. */
static void deliver(struct process *process)
{
    struct mail *mail = &mails[process->mail];
    bool all = true, none = true, rest = true;

    for (unsigned i = 0; i < process->count; i++) {
        struct recipient *recipient = &mail->recipient[process->number[i]];

        if (delivers(world.plan.server[recipient->domain])) {
            recipient->marked = true;
            none = rest = false;
        } else {
            all = false;
            rest &= knows(recipient->domain);
        }
    }
    if (mail->locks == 0 && !stream_ended(process->stream))
        broken("4: the queue file stays locked", "mail %d, in delivery", process->mail);
    process->said = 0;
    if (all) {
        memcpy(process->reply, WIRE_DONE, sizeof WIRE_DONE - 1);
        process->reply_length = sizeof WIRE_DONE - 1;
    } else if (none && rest && chance(700)) {
        int text = snprintf(process->reply + sizeof WIRE_DSN_BEGIN - 1, 64, "refused no. %u",
                            ++parent.dsn);

        memcpy(process->reply, WIRE_DSN_BEGIN, sizeof WIRE_DSN_BEGIN - 1);
        process->reply_length = sizeof WIRE_DSN_BEGIN - 1 + (size_t)text;
        memcpy(process->reply + process->reply_length, WIRE_DSN_END, sizeof WIRE_DSN_END - 1);
        process->reply_length += sizeof WIRE_DSN_END - 1;
    } else {
        memcpy(process->reply, WIRE_DEFERRED, sizeof WIRE_DEFERRED - 1);
        process->reply_length = sizeof WIRE_DEFERRED - 1;
    }
    process->phase = REPLIED;
    process->wake = world.now;
}

/* Its words count once all of them are said. */
static void replied(struct process *process)
{
    struct mail *mail = &mails[process->mail];
    bool done = process->reply_length == sizeof WIRE_DONE - 1;
    bool dsn = process->reply_length > sizeof WIRE_DEFERRED - 1;

    mail_replied(mail, process->reply, process->reply_length);
    for (unsigned i = 0; i < process->count; i++) {
        mail->recipient[process->number[i]].delivered |= done;
        mail->recipient[process->number[i]].rested |= dsn;
        figures[DELIVERED] += done;
    }
}

static void say_reply(struct process *process)
{
    size_t length = process->reply_length - process->said;

    process->wake = world.now + draw_below(1000);
    if (strikes(WORKERS_LIE, 100)) {
        char junk[40];

        for (unsigned i = 0; i < sizeof junk; i++)
            junk[i] = (char)draw();
        process->lied = true;
        stream_say(process->stream, junk, draw_from(1, sizeof junk));
        process->said = process->reply_length;
        return;
    }
    if (!world.plan.calm && chance(100))
        length = draw_from(1, length);
    stream_say(process->stream, process->reply + process->said, length);
    process->said += length;
    if (process->said == process->reply_length && !process->lied && !stream_ended(process->stream))
        replied(process);
}

static void rests(struct process *process)
{
    closes(process);
    process->phase = IDLE;
    process->idle_until =
        chance(30) || troubled(WORKERS_DIE) ? world.now + draw_below(SECONDS(20)) : NEVER;
    process->wake = world.now + draw_below(300);
}

static void accepts(struct process *process)
{
    int stream = listener_accept(process->listener);

    if (stream < 0) {
        /* It may go by itself, too, as after max_idle. */
        if (stream_ended(process->status) ||
            (process->used > 0 && process->idle_until <= world.now))
            ends(process, 0);
        else
            process->wake = process->idle_until;
        return;
    }
    process->stream = stream;
    streams[stream].wake = &process->wake;
    process->lied = false;
    process->idle_until = 0;
    process->length = 0;
    process->used++;
    process->phase = GREETED;
    process->wake = world.now + draw_below(strikes(WORKERS_SLEEP, 300) ? SECONDS(70) : 300);
    process->lied = strikes(WORKERS_LIE, 30);
    if (process->lied)
        stream_say(stream, WIRE_DONE, sizeof WIRE_DONE - 1);
    else
        stream_say(stream, WIRE_GREETING, sizeof WIRE_GREETING - 1);
}

static void hears(struct process *process)
{
    char nexthop[REPLY_SIZE];

    process->length += stream_hear(process->stream, process->bytes + process->length,
                                   sizeof process->bytes - process->length);
    process->mail =
        mail_of(process->bytes, process->length, process->number, &process->count, nexthop);
    if (process->mail >= 0) {
        process->phase = WORKING;
        process->wake = world.now + delivery_time(process);
        return;
    }
    process->wake = NEVER;
    if (stream_ended(process->stream)) {
        rests(process);
    } else if (strikes(WORKERS_LIE, 20)) {
        process->lied = true;
        stream_say(process->stream, WIRE_DEFERRED, sizeof WIRE_DEFERRED - 1);
    }
}

static void lives(struct process *process)
{
    if (process->phase > ASKED && strikes(WORKERS_DIE, process->phase == IDLE ? 2 : 60)) {
        ends(process, chance(500) ? SIGKILL : 256);
        return;
    }
    switch (process->phase) {
    case ASKED:
        tell(CHANNEL_STARTED, (unsigned)(process - processes), process->pid, 0);
        process->phase = BOOTING;
        process->wake = world.now + draw_below(strikes(WORKERS_SLEEP, 300) ? SECONDS(90) : 20000);
        break;
    case BOOTING:
        rests(process);
        break;
    case IDLE:
        accepts(process);
        break;
    case GREETED:
        hears(process);
        break;
    case WORKING:
        deliver(process);
        break;
    case REPLIED:
        if (process->said < process->reply_length) {
            say_reply(process);
        } else if (stream_ended(process->stream)) {
            rests(process);
        } else if (!process->lied) {
            process->wake = NEVER;
        } else if (process->idle_until == 0) {
            /* It has said what nobody understands, and its own watchdog ends it. */
            process->wake = process->idle_until = world.now + SECONDS(30);
        } else {
            ends(process, SIGALRM);
        }
        break;
    case GONE:
        break;
    }
}

uint64_t workers_next(void)
{
    uint64_t when = parent.count > 0 && parent.due[0] > world.now ? parent.due[0] : NEVER;

    for (unsigned i = 0; i < WORKERS_MAX; i++)
        if (processes[i].phase != GONE && processes[i].wake < when)
            when = processes[i].wake;
    return when;
}

void workers_act(void)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        if (processes[i].phase != GONE && processes[i].wake <= world.now)
            lives(&processes[i]);
}

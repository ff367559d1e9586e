/*
 * The dispatcher under events in a random order: requests come, qmgr(8) hangs up, workers greet,
 * reply, and die in any state. Promises 1 to 4 of the design are held against what the test saw. See
 * fake.h.
 */

#include "tests/unit/fake.h"

#define REQUESTS 150
#define TOGETHER 12

/* What is known of request number i; its queue id says the number. */
struct request_seen {
    int qmgr; /* -1: not asked, answered, or hung up */
    bool impatient;
    unsigned handed; /* to so many workers */
    bool done;       /* a worker said status 0 */
};

struct process {
    bool live;
    bool ready; /* the dispatcher has read its first greeting: its end is no failed start, for which
                   starts pause */
    bool told;
    int connection;
    char bytes[4096];
    size_t length;
    int request; /* -1: none in hand */
};

struct chance {
    struct fake fake;
    uint64_t seed;
    struct request_seen request[REQUESTS];
    struct process process[WORKERS_MAX];
    int asked, finished, open, lost, delivered, left;
};

static unsigned random_below(struct chance *chance, unsigned limit)
{
    chance->seed = chance->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(chance->seed >> 33) % limit;
}

static void ask(struct chance *chance)
{
    char id[16];

    if (chance->asked == REQUESTS || chance->open == TOGETHER)
        return;
    snprintf(id, sizeof id, "AAAA%04d", chance->asked);
    chance->request[chance->asked].impatient = random_below(chance, 5) == 0;
    chance->request[chance->asked++].qmgr = fake_ask(&chance->fake, id);
    chance->open++;
}

static void finished(struct chance *chance, struct request_seen *request)
{
    close(request->qmgr);
    request->qmgr = -1;
    chance->open--;
    chance->finished++;
}

/* qmgr reads its answers, and sometimes loses patience. */
static void qmgr_turn(struct chance *chance)
{
    for (int i = 0; i < chance->asked; i++) {
        struct request_seen *request = &chance->request[i];
        char reply[512];

        if (request->qmgr < 0)
            continue;
        if (request->impatient && random_below(chance, 40) == 0) {
            chance->left++;
            finished(chance, request);
        } else if (readable(request->qmgr, 0)) {
            struct wire done = wire(WIRE_REPLY_DONE);
            ssize_t got = read(request->qmgr, reply, sizeof reply);
            bool success = got == (ssize_t)done.len && memcmp(reply, done.bytes, done.len) == 0;

            cr_assert_gt(got, 0, "request %d was not answered", i);
            cr_assert_eq(success, request->done, "request %d: not what its worker said", i);
            chance->delivered += success;
            chance->lost += !success;
            fake_expect_end(dup(request->qmgr));
            finished(chance, request);
            wire_free(&done);
        }
    }
}

static void process_end(struct chance *chance, unsigned number)
{
    struct process *process = &chance->process[number];

    if (process->connection >= 0)
        close(process->connection);
    fake_closed(&chance->fake, number);
    *process = (struct process){.connection = -1, .request = -1};
    fake_tell(&chance->fake, CHANNEL_EXITED, number, chance->fake.worker[number].pid,
              (int)random_below(chance, 2) * 9);
}

static void parent_turn(struct chance *chance)
{
    while (readable(chance->fake.channel, 0)) {
        unsigned number = fake_expect_spawn(&chance->fake);

        chance->process[number] = (struct process){.live = true, .connection = -1, .request = -1};
        fake_started(&chance->fake, number);
    }
}

/* The worker has a whole request: which is it, and was it given to anybody before? */
static void handed(struct chance *chance, struct process *process)
{
    static const char name[] = "queue_id";
    const char *at = memmem(process->bytes, process->length, name, sizeof name);
    char id[16];
    int number;

    cr_assert_not_null(at);
    snprintf(id, sizeof id, "%s", at + sizeof name);
    number = atoi(id + 4); /* NOLINT: our own */
    process->request = number;
    cr_assert_eq(++chance->request[number].handed, 1, "request %d was given to two workers",
                 number);
    cr_assert(fake_locked(&chance->fake, id), "request %d is not locked", number);
}

static void connection_turn(struct chance *chance, unsigned number)
{
    struct process *process = &chance->process[number];
    const struct wire whole = fake_request("AAAA0000", 1);
    ssize_t got = read(process->connection, process->bytes + process->length,
                       sizeof process->bytes - process->length);

    process->ready = true;
    if (got <= 0) {
        close(process->connection);
        process->connection = -1;
        process->request = -1;
        fake_available(&chance->fake, number, MASTER_AVAILABLE);
    } else {
        process->length += (size_t)got;
        cr_assert_leq(process->length, whole.len);
        if (process->length == whole.len)
            handed(chance, process);
    }
    free(whole.bytes);
}

static void worker_turn(struct chance *chance, unsigned number)
{
    struct process *process = &chance->process[number];
    const struct fake_worker *worker = &chance->fake.worker[number];
    unsigned dice = random_below(chance, 100);
    bool told_to_go;

    if (!process->live)
        return;
    told_to_go =
        process->connection < 0 && !readable(worker->listening, 0) && readable(worker->status, 0);
    if ((dice < 3 && process->ready) || told_to_go) {
        process_end(chance, number);
    } else if (process->connection < 0 && readable(worker->listening, 0)) {
        process->connection = fake_accept(&chance->fake, number);
        process->length = 0;
        process->told = false;
        fake_available(&chance->fake, number, MASTER_TAKEN);
    } else if (process->connection >= 0 && !process->told && dice < 60) {
        struct wire greeting = wire(WIRE_GREETING);

        process->told = true;
        send(process->connection, greeting.bytes, greeting.len, MSG_NOSIGNAL);
        wire_free(&greeting);
    } else if (process->connection >= 0 && process->told && readable(process->connection, 0)) {
        connection_turn(chance, number);
    } else if (process->request >= 0 && dice < 60) {
        chance->request[process->request].done = true;
        fake_say(process->connection, WIRE_REPLY_DONE);
        process->request = -1;
        if (dice < 10)
            process_end(chance, number); /* right behind its reply */
    }
}

Test(dispatcher_chance, promises)
{
    static struct chance chance = {.seed = 4711};
    int64_t deadline;
    char id[16];

    signal(SIGPIPE, SIG_IGN);
    fake_prepare(&chance.fake);
    chance.fake.config.workers_max = 5;
    chance.fake.config.waiting_max = 6; /* fewer than ask at a time */
    fake_start(&chance.fake);
    for (int i = 0; i < REQUESTS; i++)
        chance.request[i].qmgr = -1;
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        chance.process[i] = (struct process){.connection = -1, .request = -1};
    chance.process[fake_first_worker(&chance.fake)].live = true;
    chance.process[0].ready = true;
    deadline = fake_now_ms() + 20000;
    while (chance.finished < REQUESTS) {
        cr_assert(fake_now_ms() < deadline, "%d of %d finished, %d open", chance.finished, REQUESTS,
                  chance.open);
        parent_turn(&chance);
        if (chance.open < 6)
            ask(&chance);
        for (unsigned i = 0; i < 5; i++)
            worker_turn(&chance, i);
        qmgr_turn(&chance);
    }
    cr_assert(chance.delivered > 50 && chance.left > 0, "%d delivered, %d lost, %d left",
              chance.delivered, chance.lost, chance.left);
    /* Those that qmgr left run to their end; then nothing is held any more. */
    for (unsigned i = 0; i < 5; i++)
        if (chance.process[i].live)
            process_end(&chance, i);
    for (int i = 0; i < REQUESTS; i++) {
        snprintf(id, sizeof id, "AAAA%04d", i);
        fake_expect_lock(&chance.fake, id, false);
    }
    fake_end(&chance.fake);
}

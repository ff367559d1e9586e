/* The model: see model.h. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/beside/model.h"

#define EVENTS (6 * MESSAGES + 1000)
#define PARTS (CLIENTS + ROOM)

/* Growth of L as supervisor/limit/limit.c has it while memory is there: a step a second, while it is used. */
#define GROWTH 1.127
#define GROWTH_EVERY SECOND

_Noreturn void model_broken(const char *what)
{
    fprintf(stderr, "beside: the core broke its promise: %s\n", what);
    exit(2);
}

double model_uniform(struct model *model)
{
    uint64_t z = model->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

int64_t model_gap(struct model *model, double rate)
{
    return (int64_t)(-log(1 - model_uniform(model)) * 1e6 / rate);
}

static bool earlier(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

uint64_t model_push(struct model *model, int64_t at, enum event_kind kind, int index)
{
    struct event event = {at, model->order++, kind, index};
    size_t i = ++model->event_count;

    if (i >= EVENTS)
        model_broken("too many events");
    for (; i > 1 && earlier(&event, &model->events[i / 2]); i /= 2)
        model->events[i] = model->events[i / 2];
    model->events[i] = event;
    return event.order;
}

static struct event pop(struct model *model)
{
    struct event top = model->events[1], last = model->events[model->event_count--];
    size_t i = 1;

    for (size_t child = 2; child <= model->event_count; child = 2 * i) {
        if (child < model->event_count && earlier(&model->events[child + 1], &model->events[child]))
            child++;
        if (earlier(&last, &model->events[child]))
            break;
        model->events[i] = model->events[child];
        i = child;
    }
    model->events[i] = last;
    return top;
}

void model_queue_add(struct model *model, struct queue *queue, int index)
{
    model->messages[index].next = -1;
    if (queue->count++ == 0)
        queue->head = index;
    else
        model->messages[queue->tail].next = index;
    queue->tail = index;
}

int model_queue_take(struct model *model, struct queue *queue)
{
    int index = queue->head;

    queue->head = model->messages[index].next;
    queue->count--;
    return index;
}

int model_domain(struct model *model, enum server server, int64_t time)
{
    struct domain *domain = &model->domains[model->domain_count];

    if (model->domain_count == DOMAINS)
        model_broken("too many domains");
    *domain = (struct domain){.server = server, .time = time, .lines = 1};
    snprintf(domain->name, sizeof domain->name, "d%d.example", model->domain_count);
    return model->domain_count++;
}

void model_mail(struct model *model, int64_t at, int domain, enum kind kind)
{
    if (model->message_count == MESSAGES)
        model_broken("too many messages");
    model->messages[model->message_count] =
        (struct message){.domain = domain, .arrived = at, .kind = kind, .first = true};
    model_push(model, at, EVENT_ARRIVE, model->message_count++);
}

static struct hop *hop_of(struct model *model, const struct message *message)
{
    return &model->hops[model->plan->relay ? 0 : message->domain];
}

static void wake_at(struct model *model, int64_t when)
{
    if (when == ADMISSION_NEVER || (model->wake > model->now && model->wake <= when))
        return;
    if (when <= model->now)
        when = model->now + 1;
    model->wake = when;
    model_push(model, when, EVENT_WAKE, 0);
}

static void ended(struct model *model, int index, bool failed);

/* Takes the part of an own deferral out. */
static void defer_part(struct model *model, int part)
{
    int index = model->held[part];

    if (index < 0 || model->messages[index].exempt)
        model_broken("a part was deferred that must not be");
    model->held[part] = -1;
    model->spare[model->spare_count++] = (unsigned)part;
    model->messages[index].deferred = true;
    model->messages[index].given_up = true;
    ended(model, index, false);
}

/* But for so many that are spared. */
static bool full(const struct model *model, unsigned spared)
{
    struct admission_counters counters;

    admission_count(model->admission, &counters);
    return room_full(&model->room, counters.waiting - model->exempt - spared, model->busy,
                     UINT64_C(1000) * counters.waiting);
}

static enum admission_space space(const struct model *model)
{
    struct admission_counters counters;
    unsigned kept = room_bound(&model->room, model->busy) / 4;

    admission_count(model->admission, &counters);
    if (full(model, 0))
        return ADMISSION_FULL;
    return room_full(&model->room, counters.waiting - model->exempt + kept, model->busy,
                     UINT64_C(1000) * counters.waiting)
               ? ADMISSION_SPACE
               : ADMISSION_ROOMY;
}

/* What the dispatcher does when the room is full. */
static void make_room(struct model *model)
{
    struct admission_leave leave;

    if (model->now - model->looked >= SECOND) {
        room_learn(&model->room, &model->flow, model->here);
        model->looked = model->now;
    }
    while (full(model, 0) && admission_victim(model->admission, model->now) >= 0)
        ;
    while ((leave = admission_leave(model->admission, room_hurries(&model->room, model->here, 0),
                                    space(model), model->now))
               .part >= 0)
        if (!leave.stays)
            defer_part(model, leave.part);
    wake_at(model, leave.again);
}

static void accept_one(struct model *model)
{
    int index = model_queue_take(model, &model->connected);
    struct message *message = &model->messages[index];
    const struct domain *domain = &model->domains[message->domain];
    const char *nexthop = model->plan->relay ? "relay" : domain->name;
    const struct admission_arrival arrival = {.key = domain->name,
                                              .key_length = strlen(domain->name),
                                              .nexthop = nexthop,
                                              .nexthop_length = strlen(nexthop),
                                              .first = message->first,
                                              .exempt = message->exempt};
    unsigned part = model->spare[--model->spare_count];

    model->held[part] = index;
    model->here++;
    model->line[model->line_count++] = index;
    room_arrived(&model->flow, model->now - message->arrived);
    message->part = part;
    model->exempt += message->exempt;
    if (admission_arrive(model->admission, part, &arrival, model->now) != 0)
        model_broken("an arrival was refused");
}

static void grow(struct model *model)
{
    struct admission_counters counters;
    bool barred;

    if (model->workers >= model->plan->workers_most || model->now - model->grown < GROWTH_EVERY)
        return;
    admission_count(model->admission, &counters);
    barred = counters.waiting > 0 &&
             admission_runnable(model->admission, (unsigned)model->workers, model->now, 1, 1) == 0;
    if (model->busy >= model->workers / (barred ? 8 : 2))
        model->workers = fmin(model->workers * GROWTH, model->plan->workers_most);
    model->grown = model->now;
    model_push(model, model->now + GROWTH_EVERY, EVENT_WAKE, 0);
}

/* Is there an idle worker, or would one more be started? Those that were started once are there to the end. */
static bool may_begin(struct model *model)
{
    unsigned runnable;

    return model->busy < model->peak ||
           admission_gaining(model->admission, (unsigned)model->workers, model->now, 1, CLIENTS,
                             &runnable) > 0;
}

/* As supervisor/dispatcher/router_window.c: qmgr(8) may hold back other mail. The part that is chosen, or -1. */
static int next_windowed(struct model *model)
{
    const unsigned limit = (unsigned)model->workers;
    struct admission_counters counters;
    int kept = 0, found = -1;

    admission_count(model->admission, &counters);
    if (model->busy >= limit || !admission_one_nexthop(model->admission) ||
        model->busy >=
            room_windowed(&model->room, model->here, model->busy + counters.waiting, limit))
        return -1;
    for (int i = 0; i < model->line_count; i++) {
        int index = model->line[i];
        const struct message *message = &model->messages[index];

        if (message->begun > 0 || message->deferred)
            continue;
        model->line[kept++] = index;
        if (found < 0 && admission_may_anyway(model->admission, message->part, model->now))
            found = (int)message->part;
    }
    model->line_count = kept;
    if (found >= 0 &&
        admission_start_anyway(model->admission, (unsigned)found, limit, model->now) < 0)
        model_broken("what waits cannot be started");
    return found;
}

/* What the dispatcher does after every event. */
static void pump(struct model *model)
{
    bool again = true;
    int64_t due;
    int part;

    grow(model);
    while (again) {
        struct admission_choice choice = {.answer = ADMISSION_LIMIT, .again = ADMISSION_NEVER};
        if (may_begin(model))
            choice = admission_next(model->admission, (unsigned)model->workers, model->now);
        else
            choice.again = admission_due(model->admission, (unsigned)model->workers, model->now);
        again = choice.answer == ADMISSION_START;
        if (!again && (part = next_windowed(model)) >= 0) {
            choice.part = (unsigned)part;
            again = true;
        }
        if (again) {
            if (admission_started(model->admission, choice.part, model->now) != 0)
                model_broken("a choice cannot be started");
            model->exempt -= model->messages[model->held[choice.part]].exempt;
            server_takes(model, model->held[choice.part]);
            continue;
        }
        wake_at(model, choice.again);
        while ((part = admission_expire(model->admission, model->now, &due)) >= 0)
            defer_part(model, part);
        wake_at(model, due);
        make_room(model);
        while (model->connected.count > 0 && model->spare_count > 0 &&
               !full(model, admission_spared(model->admission, model->now))) {
            accept_one(model);
            again = true;
            make_room(model);
        }
    }
}

static void stock_pump(struct model *model)
{
    while (model->connected.count > 0 && model->busy < model->plan->processes)
        server_takes(model, model_queue_take(model, &model->connected));
}

/* qmgr(8): hands over as many as the window of the next hop lets. */
static void hand_over(struct model *model, struct hop *hop)
{
    while (hop->todo.count > 0 && !hop->dead && hop->in_flight < (unsigned)hop->window) {
        hop->in_flight++;
        model_queue_add(model, &model->connected, model_queue_take(model, &hop->todo));
    }
}

/* qmgr(8) has the answer. `failed`: with a DSN. */
static void ended(struct model *model, int index, bool failed)
{
    struct hop *hop = hop_of(model, &model->messages[index]);

    model->here--;
    model->flow.answered++;
    if (model->messages[index].deferred)
        model->messages[index].put_off = model->now;
    hop->in_flight--;
    if (failed) {
        hop->cohorts += 1.0 / fmax(hop->window, 1);
        hop->window = fmax(hop->window - 1, 1);
        hop->dead = hop->dead || hop->cohorts >= 1;
    } else {
        hop->cohorts = 0;
        if (hop->window < model->plan->limit)
            hop->window += 1;
    }
    while (hop->dead && hop->todo.count > 0)
        model->messages[model_queue_take(model, &hop->todo)].deferred = true;
    hand_over(model, hop);
}

void model_end(struct model *model, int index)
{
    struct message *message = &model->messages[index];
    int64_t service = model->now - message->begun;
    bool failed = message->outcome == ADMISSION_UNREACHED || message->outcome == ADMISSION_FAILED;
    int result;

    model->busy--;
    model->domains[message->domain].busy--;
    model->dead -= model->domains[message->domain].server == SERVER_DEAD;
    message->answered = model->now;
    message->deferred = message->outcome != ADMISSION_DELIVERED;
    if (!message->deferred)
        message->ended = model->now;
    if (!model->stock) {
        result = admission_finished(model->admission, message->part, message->outcome, service,
                                    model->now);
        if (result < 0)
            model_broken("what ran cannot be finished");
        failed = failed && result == 0;
        model->held[message->part] = -1;
        model->spare[model->spare_count++] = message->part;
    }
    ended(model, index, failed);
}

/* Everybody delivered something a minute ago. */
static void warm(struct model *model)
{
    for (int i = 0; i < model->domain_count; i++) {
        struct admission_memory memory = {.success_age = 60 * SECOND,
                                          .failure_age = ADMISSION_NEVER,
                                          .answer_age = ADMISSION_NEVER,
                                          .service = model->domains[i].time,
                                          .least = model->domains[i].time,
                                          .window =
                                              model->plan->limit < 20 ? model->plan->limit : 20};
        memcpy(memory.key, model->domains[i].name, sizeof model->domains[i].name);
        if (model->domains[i].server != SERVER_DEAD)
            admission_teach(model->admission, &memory, 0);
    }
}

void model_create(struct model *model)
{
    *model = (struct model){
        .events = calloc(EVENTS, sizeof *model->events),
        .messages = calloc(MESSAGES, sizeof *model->messages),
        .held = calloc(PARTS, sizeof *model->held),
        .spare = calloc(PARTS, sizeof *model->spare),
        .line = calloc(MESSAGES, sizeof *model->line),
    };
    if (!model->line || !model->events || !model->messages || !model->held || !model->spare)
        model_broken("no memory");
}

void model_destroy(struct model *model)
{
    free(model->events);
    free(model->messages);
    free(model->held);
    free(model->spare);
    free(model->line);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* How much was delivered in the second after `from`, in parts of what arrived in it. */
static double rate_at(const struct model *model, int64_t from)
{
    unsigned arrived = 0, delivered = 0;

    for (int i = 0; i < model->message_count; i++) {
        const struct message *message = &model->messages[i];
        arrived += message->arrived >= from && message->arrived < from + SECOND;
        delivered += message->ended >= from && message->ended < from + SECOND;
    }
    return arrived > 0 ? (double)delivered / arrived : 0;
}

static double full_after(const struct model *model, int64_t back)
{
    int64_t at = back;

    while (at < model->plan->until - SECOND && rate_at(model, at) < 0.9)
        at += SECOND / 10;
    return (double)(at - back) / 1e6;
}

/* Postfix tries again together what was deferred together. */
static double spread(const struct model *model)
{
    static double when[MESSAGES];
    size_t count = 0, first = 0, most = 0;

    for (int i = 0; i < model->message_count; i++)
        if (model->messages[i].put_off > 0)
            when[count++] = (double)model->messages[i].put_off / 1e6;
    qsort(when, count, sizeof *when, ascending);
    for (size_t i = 0; i < count; i++) {
        while (when[i] - when[first] >= 30)
            first++;
        if (i + 1 - first > most)
            most = i + 1 - first;
    }
    return count > 0 ? 100.0 * (double)most / (double)count : 0;
}

static void figures_take(const struct model *model, struct figures *figures)
{
    static double waits[MESSAGES];
    size_t count = 0;

    *figures = (struct figures){
        .peak = model->peak, .late_peak = model->late_peak, .dead_peak = model->dead_peak};
    if (model->plan->down_until > 0)
        figures->full = full_after(model, model->plan->down_until);
    for (int i = 0; i < model->message_count; i++) {
        const struct message *message = &model->messages[i];
        if (message->kind == KIND_OTHER) {
            figures->others = fmax(figures->others, (double)message->answered / 1e6);
            figures->others_waiting += message->answered == 0;
        }
        if (message->kind != KIND_GOOD)
            continue;
        figures->good++;
        figures->deferred += message->deferred;
        figures->refused += message->refused;
        figures->own += message->given_up;
        if (message->ended == 0)
            continue;
        figures->delivered++;
        figures->time = fmax(figures->time, (double)message->ended / 1e6);
        if (message->arrived >= model->plan->judged_from)
            waits[count++] = (double)(message->ended - message->arrived) / 1e6;
    }
    figures->spread = spread(model);
    qsort(waits, count, sizeof *waits, ascending);
    if (count == 0)
        return;
    figures->p50 = waits[count / 2];
    figures->p99 = waits[count * 99 / 100];
    figures->most = waits[count - 1];
}

void model_run(struct model *model, struct plan *plan, bool stock, struct figures *figures)
{
    struct admission_settings settings;
    struct model keep = *model;

    *model = (struct model){.events = keep.events,
                            .messages = keep.messages,
                            .held = keep.held,
                            .spare = keep.spare,
                            .line = keep.line,
                            .plan = plan,
                            .stock = stock,
                            .random = 1,
                            .room = {.waiting_max = ROOM,
                                     .clients_max = CLIENTS,
                                     .bytes_max = UINT64_C(64) << 20,
                                     .active_max = 20000,
                                     .hop_max = (unsigned)plan->limit},
                            .workers = plan->workers};
    admission_defaults(&settings);
    settings.waiting_most = 9000 * SECOND;
    settings.stock = plan->processes;
    model->admission = admission_create(&settings, PARTS, DOMAINS);
    if (model->admission == NULL)
        model_broken("no memory");
    for (unsigned i = 0; i < PARTS; i++) {
        model->held[i] = -1;
        model->spare[model->spare_count++] = i;
    }
    plan->set_up(plan, model);
    model_push(model, GROWTH_EVERY, EVENT_WAKE, 0);
    for (int i = 0; i < DOMAINS; i++)
        model->hops[i].window = plan->warm ? plan->limit : plan->initial;
    if (plan->warm || plan->known)
        warm(model);
    while (model->event_count > 0 && model->events[1].at <= plan->until) {
        struct event event = pop(model);
        model->now = event.at;
        if (event.kind == EVENT_ARRIVE) {
            struct hop *hop = hop_of(model, &model->messages[event.index]);
            if (hop->dead) {
                model->messages[event.index].deferred = true;
            } else {
                model_queue_add(model, &hop->todo, event.index);
                hand_over(model, hop);
            }
        } else if (event.kind == EVENT_END) {
            model_end(model, event.index);
        } else if (event.kind == EVENT_REACH) {
            server_reached(model, event.index);
        } else if (event.kind == EVENT_SHARED) {
            server_shares(model, event.index, event.order);
        }
        if (stock)
            stock_pump(model);
        else
            pump(model);
    }
    admission_destroy(model->admission);
    figures_take(model, figures);
}

/* The model: see simulation.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/queueing/simulation.h"

_Noreturn void simulation_broken(const char *what)
{
    fprintf(stderr, "queueing: the core broke its promise: %s\n", what);
    exit(2);
}

uint64_t simulation_random(struct simulation *sim)
{
    uint64_t z = sim->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

double simulation_uniform(struct simulation *sim)
{
    return (double)(simulation_random(sim) >> 11) / 9007199254740992.0;
}

int64_t simulation_between(struct simulation *sim, int64_t low, int64_t high)
{
    return low + (int64_t)(simulation_uniform(sim) * (double)(high - low));
}

static bool earlier(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct simulation *sim, int64_t at, enum event_kind kind, int index)
{
    struct event event = {at, sim->order++, kind, index};
    size_t i = ++sim->event_count;

    if (i >= EVENTS)
        simulation_broken("too many events");
    for (; i > 1 && earlier(&event, &sim->events[i / 2]); i /= 2)
        sim->events[i] = sim->events[i / 2];
    sim->events[i] = event;
}

static struct event pop(struct simulation *sim)
{
    struct event top = sim->events[1], last = sim->events[sim->event_count--];
    size_t i = 1;

    for (size_t child = 2; child <= sim->event_count; child = 2 * i) {
        if (child < sim->event_count && earlier(&sim->events[child + 1], &sim->events[child]))
            child++;
        if (earlier(&last, &sim->events[child]))
            break;
        sim->events[i] = sim->events[child];
        i = child;
    }
    sim->events[i] = last;
    return top;
}

int simulation_domain(struct simulation *sim, enum server server)
{
    struct domain *domain = &sim->domains[sim->domain_count];

    if (sim->domain_count == DOMAINS)
        simulation_broken("too many domains");
    snprintf(domain->name, sizeof domain->name, "d%d.example", sim->domain_count);
    domain->server = server;
    return sim->domain_count++;
}

void simulation_mail(struct simulation *sim, int64_t at, int domain, bool first, bool good)
{
    if (sim->message_count == MESSAGES)
        simulation_broken("too many messages");
    sim->messages[sim->message_count] =
        (struct message){.domain = domain, .arrived = at, .first = first, .good = good};
    sim->domains[domain].offered++;
    push(sim, at, EVENT_ARRIVE, sim->message_count++);
}

static void serve(struct simulation *sim, struct message *message)
{
    enum server server = sim->domains[message->domain].server;

    if (server == DEAD && sim->heal != 0 && sim->now >= sim->heal)
        server = HEALTHY;
    if (server == DYING)
        server = sim->now < sim->dies ? HEALTHY : DEAD;
    message->outcome = ADMISSION_DELIVERED;
    switch (server) {
    case HEALTHY:
        message->service = simulation_between(sim, 5 * MS, 20 * MS);
        break;
    case SECOND:
        message->service = simulation_between(sim, 500 * MS, 1500 * MS);
        break;
    case SLOW:
        message->service = simulation_between(sim, 7900 * MS, 8100 * MS);
        break;
    case DEAD:
        message->service = simulation_between(sim, 30000 * MS, 30100 * MS);
        message->outcome = ADMISSION_DEFERRED;
        break;
    case DYING:
        break;
    case BUSY:
        message->service = simulation_between(sim, 3 * MS, 10 * MS);
        message->outcome = ADMISSION_FAILED;
        break;
    case LATE: /* delivers, with bursts of 421: two seconds in ten */
        message->service = simulation_between(sim, 5 * MS, 20 * MS);
        if (sim->now / ADMISSION_SECOND % 10 < 2)
            message->outcome = ADMISSION_FAILED;
        break;
    }
}

static void deferred(struct simulation *sim, int part)
{
    struct message *message = &sim->messages[sim->held[part]];

    if (sim->held[part] < 0 || message->deferred || message->ended != 0)
        simulation_broken("a part was deferred that does not wait");
    message->deferred = true;
    sim->held[part] = -1;
    sim->free_parts[sim->free_count++] = (unsigned)part;
    sim->deferrals[sim->deferral_count++] = sim->now;
}

void simulation_account(struct simulation *sim)
{
    struct admission_counters counters;

    admission_count(sim->admission, &counters);
    sim->busy_time += (sim->now - sim->busy_since) * sim->in_flight;
    if (counters.waiting > 0 || sim->in_flight > 0)
        sim->wanted_time += sim->now - sim->busy_since;
    sim->busy_since = sim->now;
}

static void wake_at(struct simulation *sim, int64_t when)
{
    if (when == ADMISSION_NEVER || (sim->wake > sim->now && sim->wake <= when))
        return;
    if (when <= sim->now)
        when = sim->now + 1;
    sim->wake = when;
    push(sim, when, EVENT_WAKE, 0);
}

/* What the dispatcher does after every event. */
static void pump(struct simulation *sim)
{
    struct admission_counters counters;
    struct admission_leave leave;
    int64_t again;
    int part;

    for (;;) {
        struct admission_choice choice = admission_next(sim->admission, sim->workers, sim->now);
        if (choice.answer != ADMISSION_START) {
            wake_at(sim, choice.again);
            break;
        }
        int index = sim->held[choice.part];
        if (index < 0 || sim->in_flight >= sim->workers)
            simulation_broken("started twice, or more than the limit");
        if (admission_started(sim->admission, choice.part, sim->now) != 0)
            simulation_broken("a choice cannot be started");
        serve(sim, &sim->messages[index]);
        sim->messages[index].part = choice.part;
        simulation_account(sim);
        if (++sim->in_flight > sim->peak)
            sim->peak = sim->in_flight;
        push(sim, sim->now + sim->messages[index].service, EVENT_END, index);
    }
    admission_count(sim->admission, &counters);
    while (
        (leave = admission_leave(sim->admission, false, counters.waiting < ROOM, sim->now)).part >=
        0) {
        if (!leave.stays)
            deferred(sim, leave.part);
        admission_count(sim->admission, &counters);
    }
    wake_at(sim, leave.again);
    while ((part = admission_expire(sim->admission, sim->now, &again)) >= 0)
        deferred(sim, part);
    wake_at(sim, again);
}

static void arrive(struct simulation *sim, int index)
{
    struct message *message = &sim->messages[index];
    const char *name = sim->domains[message->domain].name;
    struct admission_arrival arrival = {
        .key = name, .key_length = strlen(name), .first = message->first};
    struct admission_counters counters;

    admission_count(sim->admission, &counters);
    if (counters.waiting - admission_spared(sim->admission, sim->now) >= ROOM &&
        admission_victim(sim->admission, sim->now) < 0)
        simulation_broken("no victim in a full room");
    unsigned part = sim->free_parts[--sim->free_count];
    sim->held[part] = index;
    if (admission_arrive(sim->admission, part, &arrival, sim->now) != 0)
        simulation_broken("an arrival was refused");
}

static void end(struct simulation *sim, int index)
{
    struct message *message = &sim->messages[index];

    simulation_account(sim);
    sim->in_flight--;
    if (admission_finished(sim->admission, message->part, message->outcome, message->service,
                           sim->now) != 0)
        simulation_broken("what ran cannot be finished");
    sim->held[message->part] = -1;
    sim->free_parts[sim->free_count++] = message->part;
    if (message->outcome == ADMISSION_DELIVERED) {
        message->ended = sim->now;
        sim->domains[message->domain].delivered++;
        if (sim->now < sim->until)
            sim->domains[message->domain].share++;
    } else {
        message->deferred = true;
    }
}

void simulation_create(struct simulation *sim)
{
    *sim = (struct simulation){
        .events = calloc(EVENTS, sizeof *sim->events),
        .domains = calloc(DOMAINS, sizeof *sim->domains),
        .messages = calloc(MESSAGES, sizeof *sim->messages),
        .deferrals = calloc(MESSAGES, sizeof *sim->deferrals),
    };
    if (sim->events == NULL || sim->domains == NULL || sim->messages == NULL ||
        sim->deferrals == NULL)
        simulation_broken("no memory");
}

void simulation_destroy(struct simulation *sim)
{
    free(sim->events);
    free(sim->domains);
    free(sim->messages);
    free(sim->deferrals);
}

void simulation_run(struct simulation *sim, const struct scenario *scenario, uint64_t seed)
{
    struct event *events = sim->events;
    struct domain *domains = sim->domains;
    struct message *messages = sim->messages;
    int64_t *deferrals = sim->deferrals;
    struct admission_settings settings;

    *sim = (struct simulation){
        .events = events, .domains = domains, .messages = messages, .deferrals = deferrals};
    memset(domains, 0, DOMAINS * sizeof *domains);
    sim->random = seed * 0x2545f4914f6cdd1dU;
    admission_defaults(&settings);
    settings.seed[0] = seed;
    sim->admission = admission_create(&settings, PARTS, DOMAINS);
    if (sim->admission == NULL)
        simulation_broken("no memory");
    for (unsigned i = 0; i < PARTS; i++) {
        sim->held[i] = -1;
        sim->free_parts[sim->free_count++] = i;
    }
    sim->workers = scenario->workers > 0 ? scenario->workers : WORKERS;
    scenario->set_up(sim);
    while (sim->event_count > 0 && sim->events[1].at <= END) {
        struct event event = pop(sim);
        sim->now = event.at;
        if (event.kind == EVENT_ARRIVE)
            arrive(sim, event.index);
        else if (event.kind == EVENT_END)
            end(sim, event.index);
        pump(sim);
    }
    sim->now = END;
}

void simulation_end(struct simulation *sim)
{
    admission_destroy(sim->admission);
    sim->admission = NULL;
}

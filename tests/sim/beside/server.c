/* The servers: see model.h. */

#include "tests/sim/beside/model.h"

#define REFUSAL (3 * MS)     /* a server's quick answer */
#define TIMEOUT (2 * SECOND) /* an agent waits so long for a greeting */

static void refuse(struct message *message, int64_t *service)
{
    message->outcome = ADMISSION_DEFERRED;
    message->refused = true;
    *service = REFUSAL;
}

/* A line of the server that is free first; the message waits for it, or is refused. */
static void serve_in_order(struct model *model, struct domain *domain, struct message *message,
                           int64_t *service)
{
    unsigned best = 0;
    int64_t wait;

    for (unsigned i = 1; i < domain->lines; i++)
        if (domain->free_at[i] < domain->free_at[best])
            best = i;
    wait = domain->free_at[best] > model->now ? domain->free_at[best] - model->now : 0;
    if (domain->queue > 0 && wait * domain->lines > (int64_t)domain->queue * domain->time) {
        refuse(message, service);
        return;
    }
    *service = wait + domain->time;
    domain->free_at[best] = model->now + *service;
}

void server_reached(struct model *model, int index)
{
    struct message *message = &model->messages[index];
    int64_t service;

    serve_in_order(model, &model->domains[message->domain], message, &service);
    model_push(model, model->now + service, EVENT_END, index);
}

/* How much of a processor each has. */
static double part_of(const struct domain *domain)
{
    unsigned count = (unsigned)domain->running.count;

    return count > domain->lines ? (double)domain->lines / count : 1;
}

static void work(struct model *model, struct domain *domain)
{
    domain->work += (double)(model->now - domain->work_time) * part_of(domain);
    domain->work_time = model->now;
}

/* The first of them ends, if nothing else happens. */
static void arm(struct model *model, struct domain *domain)
{
    double left;

    if (domain->running.count == 0)
        return;
    left = model->messages[domain->running.head].done - domain->work;
    domain->armed = model_push(model, model->now + (int64_t)(left / part_of(domain)) + 1,
                               EVENT_SHARED, (int)(domain - model->domains));
}

void server_shares(struct model *model, int number, uint64_t order)
{
    struct domain *domain = &model->domains[number];

    if (order != domain->armed)
        return;
    work(model, domain);
    while (domain->running.count > 0 && model->messages[domain->running.head].done <= domain->work)
        model_end(model, model_queue_take(model, &domain->running));
    arm(model, domain);
}

static void be_down(const struct plan *plan, int64_t now, struct message *message, int64_t *service)
{
    if (plan->trouble == TROUBLE_SILENT) {
        *service += plan->down_until - now;
        return;
    }
    *service = plan->trouble == TROUBLE_TIMEOUT ? TIMEOUT : REFUSAL;
    message->outcome = ADMISSION_UNREACHED;
}

static void count(struct model *model, struct domain *domain)
{
    domain->busy++;
    if (++model->busy > model->peak)
        model->peak = model->busy;
    if (model->now >= model->plan->settled && model->busy > model->late_peak)
        model->late_peak = model->busy;
    model->dead += domain->server == SERVER_DEAD;
    if (model->dead > model->dead_peak)
        model->dead_peak = model->dead;
}

void server_takes(struct model *model, int index)
{
    const struct plan *plan = model->plan;
    struct message *message = &model->messages[index];
    struct domain *domain = &model->domains[message->domain];
    int64_t service = domain->time;

    message->begun = model->now;
    message->outcome = ADMISSION_DELIVERED;
    count(model, domain);
    if (model->now >= plan->down_from && model->now < plan->down_until) {
        be_down(plan, model->now, message, &service);
    } else if (plan->refused_percent > 0 && model_uniform(model) * 100 < plan->refused_percent) {
        service = REFUSAL;
        message->outcome = ADMISSION_UNREACHED;
    } else if (message->kind == KIND_POISON) {
        service = plan->poison;
        message->outcome = ADMISSION_DEFERRED;
    } else if (message->kind == KIND_BUSY) {
        service = REFUSAL;
        message->outcome = ADMISSION_DEFERRED;
    } else if (domain->server == SERVER_DELAY && domain->queue > 0 &&
               domain->busy > domain->queue) {
        refuse(message, &service);
    } else if (message->kind == KIND_BOUNCE) {
        service = REFUSAL;
    } else if (domain->server == SERVER_ORDER && domain->jitter > 0) {
        service = (int64_t)(model_uniform(model) * (double)domain->jitter);
        model_push(model, model->now + service, EVENT_REACH, index);
        return;
    } else if (domain->server == SERVER_ORDER) {
        serve_in_order(model, domain, message, &service);
    } else if (domain->server == SERVER_SHARED) {
        work(model, domain);
        message->done = domain->work + (double)domain->time;
        model_queue_add(model, &domain->running, index);
        arm(model, domain);
        return;
    } else if (domain->server == SERVER_DEAD) {
        message->outcome = ADMISSION_DEFERRED;
    }
    model_push(model, model->now + service, EVENT_END, index);
}

/* The mail of the cases: see model.h. */

#include "tests/sim/beside/mail.h"

static void burst(struct model *model, int64_t at, int domain, int count, enum kind kind)
{
    for (int i = 0; i < count; i++)
        model_mail(model, at + i * MS / 2, domain, kind);
}

static void stream(struct model *model, int64_t from, int64_t until, double rate, int domain,
                   int domains, enum kind kind)
{
    for (int64_t at = from + model_gap(model, rate); at < until; at += model_gap(model, rate))
        model_mail(model, at, domain + (int)(model_uniform(model) * domains), kind);
}

void one_site_burst(struct plan *plan, struct model *model)
{
    (void)plan;
    burst(model, 0, model_domain(model, SERVER_DELAY, 150 * MS), 300, KIND_GOOD);
}

void two_bursts(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_DELAY, 150 * MS);

    burst(model, 0, domain, 300, KIND_GOOD);
    burst(model, plan->judged_from, domain, 300, KIND_GOOD);
}

void slow_200(struct plan *plan, struct model *model)
{
    (void)plan;
    burst(model, 0, model_domain(model, SERVER_DELAY, 8 * SECOND), 200, KIND_GOOD);
}

void slow_400(struct plan *plan, struct model *model)
{
    (void)plan;
    burst(model, 0, model_domain(model, SERVER_DELAY, 10 * SECOND), 400, KIND_GOOD);
}

void slow_many(struct plan *plan, struct model *model)
{
    (void)plan;
    for (int i = 0; i < 40; i++) {
        int domain = model_domain(model, SERVER_DELAY, (50 + 204 * i) * MS);
        for (int wave = 0; wave < 4; wave++)
            burst(model, (int64_t)wave * 10 * SECOND, domain, 10, KIND_GOOD);
    }
}

/* Each to a domain of its own, which nobody has seen before. */
static void newcomers(struct model *model, int count, int64_t time)
{
    int first = model->domain_count;

    for (int i = 0; i < count; i++)
        model_domain(model, SERVER_DELAY, time);
    for (int i = 0; i < count; i++)
        model_mail(model, i * MS / 2, first + i, KIND_GOOD);
}

void newcomers_20(struct plan *plan, struct model *model)
{
    (void)plan;
    newcomers(model, 20, 4 * SECOND);
}

void newcomers_50(struct plan *plan, struct model *model)
{
    (void)plan;
    newcomers(model, 50, 4 * SECOND);
}

void newcomers_500(struct plan *plan, struct model *model)
{
    (void)plan;
    newcomers(model, 500, 300 * MS);
}

/* The primary hangs for `poison`, then the relay behind it takes the message. */
void fallback(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_DELAY, plan->poison);

    burst(model, 0, domain, 50, KIND_GOOD);
    for (int i = 1; i <= 120; i++)
        model_mail(model, i * SECOND, domain, KIND_GOOD);
}

static void poison(struct plan *plan, struct model *model, int count, double rate)
{
    int domain = model_domain(model, SERVER_DELAY, 20 * MS);

    (void)plan;
    burst(model, 0, domain, count, KIND_POISON);
    stream(model, 10 * MS, 2 * MINUTE, rate, domain, 1, KIND_GOOD);
}

void poison_1(struct plan *plan, struct model *model)
{
    poison(plan, model, 1, 5);
}

void poison_4(struct plan *plan, struct model *model)
{
    poison(plan, model, 4, 20);
}

void poison_5(struct plan *plan, struct model *model)
{
    poison(plan, model, 5, 10);
}

void poison_10(struct plan *plan, struct model *model)
{
    poison(plan, model, 10, 20);
}

void poison_middle(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_DELAY, 20 * MS);

    (void)plan;
    stream(model, 0, 2 * MINUTE, 20, domain, 1, KIND_GOOD);
    burst(model, 30 * SECOND, domain, 10, KIND_POISON);
}

void locked(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_DELAY, 50 * MS);

    (void)plan;
    stream(model, 0, 2 * MINUTE, 10, domain, 1, KIND_GOOD);
    burst(model, 5 * SECOND, domain, 15, KIND_POISON);
    burst(model, 90 * SECOND, domain, 15, KIND_POISON);
}

void refused_user(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_DELAY, 200 * MS);

    (void)plan;
    stream(model, 0, MINUTE, 80, domain, 1, KIND_GOOD);
    stream(model, 0, MINUTE, 10, domain, 1, KIND_BUSY);
}

void restarted(struct plan *plan, struct model *model)
{
    int first = model->domain_count;

    (void)plan;
    for (int i = 0; i < 100; i++)
        model_domain(model, SERVER_DELAY, 20 * MS);
    stream(model, 0, 3 * MINUTE, 50, first, 100, KIND_GOOD);
}

void restarted_one(struct plan *plan, struct model *model)
{
    (void)plan;
    stream(model, 0, 3 * MINUTE, 50, model_domain(model, SERVER_DELAY, 20 * MS), 1, KIND_GOOD);
}

void own_queue(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_ORDER, 200 * MS);

    (void)plan;
    model->domains[domain].queue = 30;
    burst(model, 0, domain, 500, KIND_GOOD);
}

void own_lines(struct plan *plan, struct model *model)
{
    own_queue(plan, model);
    model->domains[model->domain_count - 1].lines = 3;
}

/* Agents and server have their own work to do. */
void own_jitter(struct plan *plan, struct model *model)
{
    own_queue(plan, model);
    model->domains[model->domain_count - 1].jitter = 300 * MS;
}

/* So many sessions; the time of each does not depend on the others. One in ten is a quick bounce. */
void sessions_20(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_DELAY, 2 * SECOND);

    (void)plan;
    model->domains[domain].queue = 20;
    for (int i = 0; i < 1000; i++)
        model_mail(model, i * MS / 2, domain, i % 10 == 9 ? KIND_BOUNCE : KIND_GOOD);
}

void shared_1200(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_SHARED, 40 * MS);

    (void)plan;
    model->domains[domain].lines = 2;
    burst(model, 0, domain, 1200, KIND_GOOD);
}

/* As busy as that a hundred of them take longer than `slow_after`. */
void shared_slow(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_SHARED, 120 * MS);

    (void)plan;
    model->domains[domain].lines = 2;
    burst(model, 0, domain, 1200, KIND_GOOD);
}

/* Postfix brings all of it back at once. */
void flushed(struct plan *plan, struct model *model)
{
    int good;

    (void)plan;
    for (int i = 0; i < 1000; i++)
        burst(model, 0, model_domain(model, SERVER_DEAD, 30 * SECOND), 3, KIND_OTHER);
    for (int i = 0; i < model->message_count; i++)
        model->messages[i].first = false;
    good = model->domain_count;
    for (int i = 0; i < 20; i++)
        model_domain(model, SERVER_DELAY, 20 * MS);
    stream(model, SECOND, 5 * MINUTE, 10, good, 20, KIND_GOOD);
}

void over_age(struct plan *plan, struct model *model)
{
    int dead = model_domain(model, SERVER_DEAD, 30 * SECOND);
    int good = model->domain_count;
    int from = model->message_count;

    (void)plan;
    for (int i = 0; i < 5; i++)
        model_domain(model, SERVER_DELAY, 20 * MS);
    burst(model, 0, dead, 2500, KIND_OTHER);
    for (int i = from; i < model->message_count; i++) {
        model->messages[i].exempt = true;
        model->messages[i].first = false;
    }
    stream(model, 5 * SECOND, 10 * MINUTE, 5, good, 5, KIND_GOOD);
}

void full_room(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_ORDER, 10 * MS);

    (void)plan;
    model->domains[domain].lines = 2;
    burst(model, 0, domain, 5000, KIND_GOOD);
}

void cold_3(struct plan *plan, struct model *model)
{
    (void)plan;
    burst(model, 0, model_domain(model, SERVER_DELAY, 3 * SECOND), 5000, KIND_GOOD);
}

void cold_8(struct plan *plan, struct model *model)
{
    (void)plan;
    burst(model, 0, model_domain(model, SERVER_DELAY, 8 * SECOND), 5000, KIND_GOOD);
}

/* 500 for each of 40 dead domains, one after the other, in ten seconds; good mail. */
void forty_dead_new(struct plan *plan, struct model *model)
{
    int dead = model->domain_count, good;

    (void)plan;
    for (int i = 0; i < 40; i++)
        model_domain(model, SERVER_DEAD, 30 * SECOND);
    for (int i = 0; i < 20000; i++)
        model_mail(model, i * MS / 2, dead + i % 40, KIND_POISON);
    good = model->domain_count;
    for (int i = 0; i < 20; i++)
        model_domain(model, SERVER_DELAY, 20 * MS);
    stream(model, SECOND, 5 * MINUTE, 10, good, 20, KIND_GOOD);
}

void forty_dead(struct plan *plan, struct model *model)
{
    forty_dead_new(plan, model);
    for (int i = 0; i < 20000; i++)
        model->messages[i].first = false;
}

/* Dead mail, and good mail at one a second behind it. */
static void behind_dead(struct model *model, int count, int64_t time)
{
    int dead = model_domain(model, SERVER_DEAD, time);
    int good = model->domain_count;

    burst(model, 0, dead, count, KIND_OTHER);
    for (int i = 0; i < 10; i++)
        model_domain(model, SERVER_DELAY, 20 * MS);
    stream(model, 2 * SECOND, 32 * SECOND, 1, good, 10, KIND_GOOD);
}

void dead_120(struct plan *plan, struct model *model)
{
    (void)plan;
    behind_dead(model, 120, 8 * SECOND);
}

void dead_300(struct plan *plan, struct model *model)
{
    (void)plan;
    behind_dead(model, 300, 8 * SECOND);
}

void dead_1500(struct plan *plan, struct model *model)
{
    (void)plan;
    behind_dead(model, 1500, 30 * SECOND);
}

void dead_24(struct plan *plan, struct model *model)
{
    (void)plan;
    behind_dead(model, 24, 8 * SECOND);
}

void dead_200(struct plan *plan, struct model *model)
{
    (void)plan;
    behind_dead(model, 200, 30 * SECOND);
}

/* The cases: see model.h. */

#include "tests/sim/beside/model.h"

#define MINUTE (60 * SECOND)

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

static void one_site_burst(struct plan *plan, struct model *model)
{
    (void)plan;
    burst(model, 0, model_domain(model, SERVER_DELAY, 150 * MS), 300, KIND_GOOD);
}

static void two_bursts(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_DELAY, 150 * MS);

    burst(model, 0, domain, 300, KIND_GOOD);
    burst(model, plan->judged_from, domain, 300, KIND_GOOD);
}

static void slow_200(struct plan *plan, struct model *model)
{
    (void)plan;
    burst(model, 0, model_domain(model, SERVER_DELAY, 8 * SECOND), 200, KIND_GOOD);
}

static void slow_400(struct plan *plan, struct model *model)
{
    (void)plan;
    burst(model, 0, model_domain(model, SERVER_DELAY, 10 * SECOND), 400, KIND_GOOD);
}

/* The primary hangs for `poison`, then the relay behind it takes the message. */
static void fallback(struct plan *plan, struct model *model)
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

static void poison_1(struct plan *plan, struct model *model)
{
    poison(plan, model, 1, 5);
}

static void poison_4(struct plan *plan, struct model *model)
{
    poison(plan, model, 4, 20);
}

static void poison_5(struct plan *plan, struct model *model)
{
    poison(plan, model, 5, 10);
}

static void poison_10(struct plan *plan, struct model *model)
{
    poison(plan, model, 10, 20);
}

static void locked(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_DELAY, 50 * MS);

    (void)plan;
    stream(model, 0, 2 * MINUTE, 10, domain, 1, KIND_GOOD);
    burst(model, 5 * SECOND, domain, 15, KIND_POISON);
    burst(model, 90 * SECOND, domain, 15, KIND_POISON);
}

static void refused_user(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_DELAY, 200 * MS);

    (void)plan;
    stream(model, 0, MINUTE, 80, domain, 1, KIND_GOOD);
    stream(model, 0, MINUTE, 10, domain, 1, KIND_BUSY);
}

static void restarted(struct plan *plan, struct model *model)
{
    int first = model->domain_count;

    (void)plan;
    for (int i = 0; i < 100; i++)
        model_domain(model, SERVER_DELAY, 20 * MS);
    stream(model, 0, 3 * MINUTE, 50, first, 100, KIND_GOOD);
}

static void restarted_one(struct plan *plan, struct model *model)
{
    (void)plan;
    stream(model, 0, 3 * MINUTE, 50, model_domain(model, SERVER_DELAY, 20 * MS), 1, KIND_GOOD);
}

static void own_queue(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_ORDER, 200 * MS);

    (void)plan;
    model->domains[domain].queue = 30;
    burst(model, 0, domain, 500, KIND_GOOD);
}

static void over_age(struct plan *plan, struct model *model)
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

static void full_room(struct plan *plan, struct model *model)
{
    int domain = model_domain(model, SERVER_ORDER, 10 * MS);

    (void)plan;
    model->domains[domain].lines = 2;
    burst(model, 0, domain, 5000, KIND_GOOD);
}

#define DEFAULTS .initial = 5, .limit = 20, .processes = 100, .workers = 100, .workers_most = 500
#define LIMIT_100 .initial = 5, .limit = 100, .processes = 500, .workers = 500, .workers_most = 500
#define OPEN_WIDE                                                                                  \
    .relay = true, .initial = 10000, .limit = 10000, .processes = 100, .workers = 100,             \
    .workers_most = 500

/*
 * Not reached yet: in 9 thirty are
 * parked at a server that serves one at a time, where four would do; in 12 as many as there are.
 */
static struct plan plans[] = {
    {.name = "2d",
     .what = "300 at once to a new site, 150 ms; Postfix's defaults",
     .set_up = one_site_burst,
     DEFAULTS,
     .until = MINUTE,
     .none_more = true,
     .p50_ratio = 1.1,
     .p99_ratio = 1.1},
    {.name = "2l",
     .what = "  limit 100, 500 processes",
     .set_up = one_site_burst,
     LIMIT_100,
     .until = MINUTE,
     .none_more = true,
     .p50_ratio = 1.1,
     .p99_ratio = 1.1},
    {.name = "2w",
     .what = "  the same, and the site is known",
     .set_up = one_site_burst,
     LIMIT_100,
     .warm = true,
     .until = MINUTE,
     .none_more = true,
     .p50_ratio = 1.1,
     .p99_ratio = 1.1},
    {.name = "2r",
     .what = "  after a reload",
     .set_up = one_site_burst,
     LIMIT_100,
     .known = true,
     .until = MINUTE,
     .none_more = true,
     .p50_ratio = 1.1,
     .p99_ratio = 1.1},
    {.name = "2i",
     .what = "  after ten idle minutes",
     .set_up = two_bursts,
     .initial = 5,
     .limit = 100,
     .processes = 500,
     .workers = 100,
     .workers_most = 500,
     .judged_from = 10 * MINUTE,
     .until = 11 * MINUTE,
     .none_more = true,
     .p50_ratio = 1.1,
     .p99_ratio = 1.1},
    {.name = "3a",
     .what = "200 of 8 s at once, concurrency 10000",
     .set_up = slow_200,
     OPEN_WIDE,
     .until = 5 * MINUTE,
     .none_more = true,
     .time_ratio = 1.1},
    {.name = "3b",
     .what = "400 of 10 s",
     .set_up = slow_400,
     OPEN_WIDE,
     .until = 5 * MINUTE,
     .none_more = true,
     .time_ratio = 1.1},
    {.name = "3d",
     .what = "200 of 8 s, Postfix's defaults",
     .set_up = slow_200,
     DEFAULTS,
     .until = 5 * MINUTE,
     .none_more = true,
     .time_ratio = 1.1},
    {.name = "4a",
     .what = "fallback behind 20 s, 50 at once, then one a second",
     .set_up = fallback,
     OPEN_WIDE,
     .poison = 20 * SECOND,
     .until = 20 * MINUTE,
     .none_more = true,
     .time_ratio = 1.1},
    {.name = "4b",
     .what = "  behind 60 s",
     .set_up = fallback,
     OPEN_WIDE,
     .poison = MINUTE,
     .until = 20 * MINUTE,
     .none_more = true,
     .time_ratio = 1.1},
    {.name = "4c",
     .what = "  behind 130 s",
     .set_up = fallback,
     OPEN_WIDE,
     .poison = 130 * SECOND,
     .until = 20 * MINUTE,
     .none_more = true,
     .time_ratio = 1.1},
    {.name = "6.1",
     .what = "new site, 1 hangs 120 s, good mail 5/s",
     .set_up = poison_1,
     DEFAULTS,
     .poison = 2 * MINUTE,
     .until = 5 * MINUTE,
     .none_more = true,
     .p99_more = 5},
    {.name = "6.4",
     .what = "  4 hang, 20/s",
     .set_up = poison_4,
     DEFAULTS,
     .poison = 2 * MINUTE,
     .until = 5 * MINUTE,
     .none_more = true,
     .p99_more = 5},
    {.name = "6.5",
     .what = "  5 hang, 10/s",
     .set_up = poison_5,
     OPEN_WIDE,
     .poison = 2 * MINUTE,
     .until = 5 * MINUTE,
     .none_more = true,
     .p99_more = 5},
    {.name = "6.10",
     .what = "  10 hang, 20/s",
     .set_up = poison_10,
     OPEN_WIDE,
     .poison = 2 * MINUTE,
     .until = 5 * MINUTE,
     .none_more = true,
     .p99_more = 5},
    {.name = "6w",
     .what = "  10 hang, known site",
     .set_up = poison_10,
     DEFAULTS,
     .warm = true,
     .poison = 2 * MINUTE,
     .until = 5 * MINUTE,
     .none_more = true,
     .p99_more = 5},
    {.name = "7h",
     .what = "a locked mailbox hangs 60 s, twice 15 messages",
     .set_up = locked,
     DEFAULTS,
     .poison = MINUTE,
     .until = 5 * MINUTE,
     .none_more = true,
     .p99_more = 1},
    {.name = "7r",
     .what = "one in nine is refused at once, 90/s",
     .set_up = refused_user,
     OPEN_WIDE,
     .until = 2 * MINUTE,
     .none_more = true,
     .p99_ratio = 1.1},
    {.name = "8a",
     .what = "connections are refused for 5 s, 100 domains, 50/s",
     .set_up = restarted,
     OPEN_WIDE,
     .warm = true,
     .down_from = MINUTE,
     .none_more = true,
     .none_own = true,
     .full_most = 2,
     .down_until = 65 * SECOND,
     .until = 5 * MINUTE,
     .judged_from = 67 * SECOND,
     .p99_ratio = 1.1},
    {.name = "8b",
     .what = "  for 60 s",
     .set_up = restarted,
     OPEN_WIDE,
     .warm = true,
     .down_from = MINUTE,
     .none_more = true,
     .none_own = true,
     .full_most = 2,
     .down_until = 2 * MINUTE,
     .until = 5 * MINUTE,
     .judged_from = 122 * SECOND,
     .p99_ratio = 1.1},
    {.name = "8c",
     .what = "  for 60 s, Postfix's defaults",
     .set_up = restarted,
     DEFAULTS,
     .relay = true,
     .warm = true,
     .down_from = MINUTE,
     .none_more = true,
     .none_own = true,
     .full_most = 2,
     .down_until = 2 * MINUTE,
     .until = 5 * MINUTE,
     .judged_from = 122 * SECOND,
     .p99_most = 1.5},
    {.name = "8d",
     .what = "  for 60 s, domains never seen",
     .set_up = restarted,
     OPEN_WIDE,
     .down_from = MINUTE,
     .none_more = true,
     .none_own = true,
     .full_most = 2,
     .down_until = 2 * MINUTE,
     .until = 5 * MINUTE,
     .judged_from = 122 * SECOND,
     .p99_ratio = 1.1},
    {.name = "8e",
     .what = "no greeting for 60 s, a failure after 2 s",
     .set_up = restarted,
     OPEN_WIDE,
     .warm = true,
     .trouble = TROUBLE_TIMEOUT,
     .down_from = MINUTE,
     .none_more = true,
     .none_own = true,
     .full_most = 2,
     .down_until = 2 * MINUTE,
     .until = 5 * MINUTE,
     .judged_from = 122 * SECOND,
     .p99_ratio = 1.1},
    {.name = "8f",
     .what = "no greeting for 60 s, and no failure",
     .set_up = restarted,
     OPEN_WIDE,
     .warm = true,
     .trouble = TROUBLE_SILENT,
     .down_from = MINUTE,
     .none_more = true,
     .none_own = true,
     .full_most = 2,
     .down_until = 2 * MINUTE,
     .until = 5 * MINUTE,
     .judged_from = 122 * SECOND,
     .p99_ratio = 1.1},
    {.name = "8g",
     .what = "30 % of all connections are refused",
     .set_up = restarted,
     OPEN_WIDE,
     .warm = true,
     .refused_percent = 30,
     .until = 5 * MINUTE,
     .none_own = true,
     .deferred_ratio = 1.05,
     .p99_ratio = 1.1},
    {.name = "8h",
     .what = "one domain, refused for 60 s",
     .set_up = restarted_one,
     OPEN_WIDE,
     .warm = true,
     .down_from = MINUTE,
     .none_more = true,
     .none_own = true,
     .full_most = 2,
     .down_until = 2 * MINUTE,
     .until = 5 * MINUTE,
     .judged_from = 122 * SECOND,
     .p99_ratio = 1.1},
    {.name = "8i",
     .what = "  each of 100 domains has a next hop of its own",
     .set_up = restarted,
     DEFAULTS,
     .warm = true,
     .down_from = MINUTE,
     .none_more = true,
     .none_own = true,
     .down_until = 2 * MINUTE,
     .until = 5 * MINUTE,
     .judged_from = 122 * SECOND,
     .p99_ratio = 1.1},
    {.name = "9",
     .what = "a server with a queue of 30, 200 ms each, 500 at once",
     .set_up = own_queue,
     OPEN_WIDE,
     .until = 10 * MINUTE,
     .refused_most = 30,
     .none_more = true},
    {.name = "10",
     .what = "2500 over-age to a dead domain, L 64; good mail",
     .set_up = over_age,
     .relay = true,
     .initial = 10000,
     .limit = 10000,
     .processes = 64,
     .workers = 64,
     .workers_most = 64,
     .warm = true,
     .until = 400 * MINUTE,
     .none_more = true,
     .p99_most = 0.25},
    {.name = "10w",
     .what = "  stock with as many processes as those may have of our 64: 8",
     .set_up = over_age,
     .relay = true,
     .initial = 10000,
     .limit = 10000,
     .processes = 8,
     .workers = 64,
     .workers_most = 64,
     .warm = true,
     .until = 400 * MINUTE,
     .none_more = true,
     .p99_most = 0.25,
     .others_ratio = 2},
    {.name = "10g",
     .what = "  L grows to 500, stock has 100 processes",
     .set_up = over_age,
     .relay = true,
     .initial = 10000,
     .limit = 10000,
     .processes = 100,
     .workers = 100,
     .workers_most = 500,
     .warm = true,
     .until = 400 * MINUTE,
     .none_more = true,
     .p99_most = 0.25,
     .others_ratio = 2},
    {.name = "12",
     .what = "5000 at once to a quick server, two at a time",
     .set_up = full_room,
     OPEN_WIDE,
     .warm = true,
     .until = 5 * MINUTE,
     .none_more = true,
     .time_ratio = 1.1},
};

struct plan *cases_at(size_t number)
{
    return number < sizeof plans / sizeof *plans ? &plans[number] : NULL;
}

/*
 * How many a lane may start: shares, what is kept free for the lanes above, and tokens.
 */

#include "supervisor/admission/admission_share.h"

/*
 * The constants were chosen with tests/sim/queueing.c (64 workers, dead servers hold 30 s); at the end of this file is what
 * it printed. All are in 64ths of the limit, so that they grow with it.
 */
#define SIXTY_FOURTHS 64

/* A token, in the unit that makes the refill exact per microsecond. */
#define TOKEN ADMISSION_SECOND

/*
 * A part for a destination of which nothing is known costs a token, given back when the answer is quick. Three a second: with
 * two the first message to a good domain could wait for minutes in 3f5t below; four gain nothing.
 */
#define BUCKET 8
#define BUCKET_RATE 3

/*
 * When more newcomers than this wait, it is a flood: all of them are passed over at once, so that who comes after it finds
 * the lane free. Without it p99 of good mail to new domains was 0.28 s instead of 0.02 s.
 */
#define NEWCOMERS 8

/*
 * Who goes beyond his window leaves three eighths of the lane's share free. With half 200 messages of 8 s to a new site took 1.12
 * times as long as with stock (3a of tests/sim/beside.c), now 1.0; the floods below are the same with both.
 */
#define SPARE 5
#define SPARE_OF 8

/*
 * While fewer than an eighth of the limit run, tokens do not bind: a newcomer behind a few that fail at once waited for
 * seconds beside idle workers. With a quarter good mail of 3fnt within 1 s falls from 93 to 90 %, with an eighth not at all:
 * the bucket lets so many start in any case.
 */
#define QUIET 8

/*
 * Nor where all of whom nothing is known fit into half of the limit: twenty messages of 4 s to twenty new domains took 5.7 s
 * beside idle workers, and 4.0 with stock (n20 of tests/sim/beside.c). Those who find no token gather for a quarter of a second,
 * in which a flood shows its size. Once a sixteenth of the limit gave no answer for two seconds, tokens bind again.
 * Now it takes 4.3 s, and none of the figures below changes.
 *
 * Tried and rejected: half, or a quarter, of the limit without tokens until that many give no answer. It takes 4.0 s; but good
 * mail of 3f+ within 1 s falls from 100 to 88 % with a half, and that of 3f5t to 94 % with a quarter.
 */
#define FEW_OF 2
#define GATHER (ADMISSION_SECOND / 4)
#define SILENT_AFTER (2 * ADMISSION_SECOND)
#define SILENT_OF 16

/*
 * A quick delivery to one of them lets one more be tried, up to half of the limit beyond the bucket, and is forgotten within
 * about a second; with a quarter nothing is kept free for newcomers: they are answered. 500 messages to 500 new domains that
 * take 0.3 s each took 7.2 s, now 2.5; stock with 100 processes 1.6 (n500).
 */
#define CREDIT_OF 2
#define CREDIT_DECAY 10 /* a tenth each tick */
#define CREDIT_KEEP 4

/* With fewer workers than this no slot can be kept for anybody. */
#define RESERVE_FROM 8

/* Decay goes by ticks: by microseconds it would be rounded away. */
#define TICK (ADMISSION_SECOND / 10)
#define PEAK_TICKS 600 /* 60 s: so long the proven keep what they have used */

/*
 * The slow are bounded as the others are. With a half of their own, 200 messages of 8 s to a site known to be slow took 1.43 times
 * as long as with stock, now 1.06 (3w of tests/sim/beside.c); the floods below are the same with both.
 */
static const struct {
    const char *name;
    unsigned share; /* together with the lanes below */
    unsigned
        keep; /* left free for newcomers, not counting what the proven hold; without it 60 % within 1 s in 3fnt */
} lanes[ADMISSION_LANES] = {
    [ADMISSION_PROVEN] = {"proven", 64, 0},    [ADMISSION_FIRST] = {"first", 64, 0},
    [ADMISSION_PASSED] = {"passed", 48, 32},   [ADMISSION_SLOW] = {"slow", 40, 0},
    [ADMISSION_UNKNOWN] = {"unknown", 16, 40}, [ADMISSION_DEAD] = {"dead", 8, 40},
};

const char *admission_lane_name(enum admission_lane lane)
{
    return lanes[lane].name;
}

/* A slot for every lane that shares it, as far as the limit goes. */
unsigned admission_share(enum admission_lane lane, unsigned limit)
{
    uint64_t share = (uint64_t)limit * lanes[lane].share / SIXTY_FOURTHS;
    unsigned below = ADMISSION_LANES - (unsigned)lane;

    if (share < below)
        share = below;
    return share < limit ? (unsigned)share : limit;
}

static int64_t bucket_size(unsigned limit)
{
    int64_t size = (int64_t)limit * BUCKET * TOKEN / SIXTY_FOURTHS;

    return size > 2 * TOKEN ? size : 2 * TOKEN;
}

/* Millionths of a token per us, that is tokens a second. */
static int64_t bucket_rate(unsigned limit)
{
    int64_t rate = (int64_t)limit * BUCKET_RATE / SIXTY_FOURTHS;

    return rate > 1 ? rate : 1;
}

static void decay(struct admission *admission, int64_t now)
{
    int64_t proven = (int64_t)admission->lane[ADMISSION_PROVEN].in_flight * TOKEN;
    int64_t ticks = (now - admission->tick_time) / TICK;

    if (ticks > 0) {
        admission->tick_time += ticks * TICK;
        admission->credit -=
            admission->credit / CREDIT_DECAY * (ticks < CREDIT_DECAY ? ticks : CREDIT_DECAY);
        admission->proven_peak -=
            admission->proven_peak / PEAK_TICKS * (ticks < PEAK_TICKS ? ticks : PEAK_TICKS);
    }
    if (admission->proven_peak < proven)
        admission->proven_peak = proven;
}

/* Those who are tried answer. */
static bool answered(const struct admission *admission, unsigned limit)
{
    return admission->silent <= limit / SILENT_OF;
}

bool share_answered(const struct admission *admission)
{
    return answered(admission, admission->limit);
}

bool share_hopes(const struct admission *admission)
{
    return share_answered(admission) && admission->credit >= TOKEN;
}

void share_advance(struct admission *admission, unsigned limit, int64_t now)
{
    int64_t size = bucket_size(limit), passed;

    if (admission->token_time == ADMISSION_NEVER) {
        admission->token_time = now;
        admission->tick_time = now;
        admission->tokens = size;
    }
    passed = now - admission->token_time;
    if (passed > 3600 * ADMISSION_SECOND)
        passed = 3600 * ADMISSION_SECOND;
    admission->tokens += passed * bucket_rate(limit);
    admission->token_time = now;
    decay(admission, now);
    if (admission->tokens > size + admission->credit)
        admission->tokens = size + admission->credit;
}

/* The lower half of the bucket is for newcomers only. */
static int64_t token_floor(enum admission_lane lane, unsigned limit)
{
    return lane == ADMISSION_FIRST ? 0 : bucket_size(limit) / 2;
}

unsigned share_tokens(const struct admission *admission, enum admission_lane lane, unsigned limit,
                      unsigned spent)
{
    int64_t left = admission->tokens - token_floor(lane, limit) - (int64_t)spent * TOKEN;
    unsigned tokens = left > 0 ? (unsigned)(left / TOKEN) : 0;
    unsigned busy = admission->in_flight + spent;
    unsigned quiet = limit / QUIET > busy ? limit / QUIET - busy : 0;

    if (admission->few && admission->token_time >= admission->gathered)
        return limit;
    return tokens > quiet ? tokens : quiet;
}

int64_t share_token_due(const struct admission *admission, enum admission_lane lane, unsigned limit,
                        int64_t now)
{
    int64_t missing = TOKEN + token_floor(lane, limit) - admission->tokens;
    int64_t due = now + missing / bucket_rate(limit) + 1;

    if (missing <= 0 || (admission->few && now >= admission->gathered))
        return ADMISSION_NEVER;
    return admission->few && admission->gathered < due ? admission->gathered : due;
}

unsigned share_newcomers(unsigned limit)
{
    return (unsigned)((uint64_t)limit * NEWCOMERS / SIXTY_FOURTHS) + 2;
}

void share_spend(struct admission *admission, struct part *part, enum admission_lane lane)
{
    part->token = share_takes_token(lane) && admission->tokens >= TOKEN;
    if (part->token)
        admission->tokens -= TOKEN;
}

void share_give_back(struct admission *admission, struct part *part)
{
    if (part->token)
        admission->tokens += TOKEN; /* share_advance() cuts what is too much */
}

void share_credit(struct admission *admission, const struct part *part)
{
    if (!part->trying || !answered(admission, admission->limit) ||
        admission->credit >= admission->limit * TOKEN / CREDIT_OF)
        return;
    admission->credit += TOKEN;
    admission->tokens += TOKEN;
}

void share_try(struct admission *admission, struct part *part, enum admission_lane lane)
{
    part->trying = share_takes_token(lane);
    part->silent = false;
    admission->trying += part->trying;
}

void share_end(struct admission *admission, struct part *part)
{
    admission->trying -= part->trying;
    admission->silent -= part->silent;
    part->trying = part->silent = false;
}

void share_sweep(struct admission *admission, int64_t now)
{
    int64_t after = admission->settings.slow_after;

    if (after > SILENT_AFTER)
        after = SILENT_AFTER;
    for (int i = 0; i < SWEEP && !list_empty(&admission->started); i++) {
        struct part *part = LIST_ENTRY(admission->started.next, struct part, time);
        if (now - part->since < after)
            break;
        part->silent = part->trying;
        admission->silent += part->silent;
        admission->changed = true;
        list_remove(&part->time);
        list_push_tail(&admission->unanswered, &part->time);
    }
}

void share_gather(struct admission *admission, unsigned limit, int64_t now)
{
    unsigned waiting = 0;

    for (int lane = 0; lane < ADMISSION_LANES; lane++)
        if (share_takes_token(lane))
            waiting += admission->lane[lane].startable;
    if (waiting == 0)
        admission->gathered = ADMISSION_NEVER;
    else if (admission->gathered == ADMISSION_NEVER)
        admission->gathered = now + GATHER;
    admission->few =
        waiting > 0 && waiting + admission->trying <= limit / FEW_OF && answered(admission, limit);
}

unsigned share_nested(const struct admission *admission, enum admission_lane lane)
{
    unsigned sum = 0;

    for (int i = lane; i < ADMISSION_LANES; i++)
        sum += admission->lane[i].in_flight;
    return sum;
}

/* Slots that nobody but the proven may take: as many as they used lately, an eighth at most, one at least. */
static unsigned kept_for_proven(const struct admission *admission, unsigned limit)
{
    unsigned used = admission->lane[ADMISSION_PROVEN].in_flight;
    unsigned keep = (unsigned)((admission->proven_peak + TOKEN - 1) / TOKEN);

    if (limit < RESERVE_FROM)
        return 0;
    if (keep > limit / 8)
        keep = limit / 8;
    if (keep < 1)
        keep = 1;
    return keep > used ? keep - used : 0;
}

unsigned share_room(const struct admission *admission, enum admission_lane lane, unsigned limit,
                    unsigned total, unsigned sum)
{
    unsigned own = admission->lane[lane].in_flight;
    unsigned share = admission_share(lane, limit);
    unsigned least = lane == ADMISSION_PROVEN ? 0 : kept_for_proven(admission, limit);
    unsigned keep = (unsigned)((uint64_t)limit * lanes[lane].keep / SIXTY_FOURTHS);
    unsigned hoping = total - admission->lane[ADMISSION_PROVEN].in_flight;
    unsigned room;

    if (lane == ADMISSION_PASSED && admission->credit >= limit * TOKEN / CREDIT_KEEP) {
        share = limit;
        keep = 0;
    }
    if (total >= limit || sum >= share || limit - total <= least)
        return 0;
    /* Slots of the proven turn over: what is kept for newcomers is counted without them. */
    room = limit > hoping + keep ? limit - hoping - keep : 0;
    if (room == 0 && own == 0)
        room = 1; /* a lane's first slot needs nothing to be kept */
    if (room > limit - total - least)
        room = limit - total - least;
    return room < share - sum ? room : share - sum;
}

bool share_has_room(const struct admission *admission, enum admission_lane lane, unsigned limit)
{
    if (share_takes_token(lane) && share_tokens(admission, lane, limit, 0) == 0)
        return false;
    return share_room(admission, lane, limit, admission->in_flight, share_nested(admission, lane)) >
           0;
}

unsigned share_spare(const struct admission *admission, enum admission_lane lane, unsigned limit,
                     unsigned total, unsigned sum)
{
    unsigned room = share_room(admission, lane, limit, total, sum);
    unsigned most = (unsigned)((uint64_t)admission_share(lane, limit) * SPARE / SPARE_OF);

    bool delivers = lane == ADMISSION_PROVEN || lane == ADMISSION_SLOW;
    bool alone = list_empty(&admission->lane[ADMISSION_FIRST].ring) &&
                 list_empty(&admission->lane[ADMISSION_PASSED].ring);

    if (most == 0)
        most = 1;
    if (sum >= most || !(delivers || (lane == ADMISSION_FIRST && alone)))
        return 0;
    return room < most - sum ? room : most - sum;
}

/*
 * What `queueing -n 50` printed: seconds from arrival to delivery. The goals are 0.25 s for p99 in 1, 2, 3a and 6, and 1 s in 3f.
 *
 * case                                                   good     p50     p99     max in 1 s  util
 * 1     2000 to one dead domain                     497/497     0.013   0.020   0.020 100.0%    2%
 * 1f      fresh                                     497/497     0.013   0.020   0.020 100.0%   14%
 * 1p      that delivered until then                 497/497     0.013   0.020   0.020 100.0%   14%
 * 2     40 dead domains x 100                       502/502     0.012   0.020   0.020 100.0%   22%
 * 3a5   300 dead x 5, aged; good to five            435/435     0.013   0.020   0.020 100.0%   25%
 * 3an     good to a new domain each                 444/444     0.013   0.020   0.020 100.0%   25%
 * 3a5t    five, 2 new dead a second on top          434/434     0.013   0.020   0.020 100.0%   25%
 * 3ant    new, 2 new dead a second on top           436/436     0.013   0.020   0.020 100.0%   25%
 * 3m5t    five, those on top are fresh              434/434     0.013   0.020   0.034 100.0%   69%
 * 3mnt    new, those on top are fresh               436/436     0.014  79.985  82.238  92.3%   68%
 * 3f5   300 dead x 5, fresh; good to five           435/435     0.013   0.020   0.364 100.0%   49%
 * 3fn     good to a new domain each                 444/444     0.013   0.020   0.373 100.0%   49%
 * 3f5t    five, 2 new dead a second on top          434/434     0.013   0.147   1.309 100.0%   72%
 * 3fnt    new, 2 new dead a second on top           436/436     0.014  89.050 111.372  93.2%   72%
 * 3f+     the same with 96 workers                  436/436     0.013   0.020   0.221 100.0%   58%
 * 4     slow (8 s), 2.5 a second, one domain        225/225     8.000   8.098   8.100   0.0%   29%
 * 4f      five domains                              225/225     8.000   8.098   8.100   0.0%   29%
 * 4a      beside 300 dead, aged                     225/225     8.000   8.098   8.100   0.0%   38%
 * 4b      beside 300 dead, fresh                    225/225     8.018  14.827  15.767   0.0%   53%
 * 5     421 at once: 300 domains x 7                500/500     0.012   0.020   0.020 100.0%    1%
 * 5b    good ones answer 421 in bursts, 300 dead    397/496     0.013   0.020   2.295  80.0%   25%
 * 6     30 recipients in 30 domains, one dead      3108/3108    0.013   0.020   0.050 100.0%   11%
 * 7     as 3a5, all healthy from 70 s on            435/435     0.013   0.020   0.020 100.0%   23%
 * 8     ten healthy domains, overloaded               0/0       0.000   0.000   0.000 100.0%   98%
 *
 * The same with the rules of the first model (first attempts 7/8, two tokens a second, nothing kept free for newcomers, no
 * flood seen, retries need no token):
 *
 * 3a5   300 dead x 5, aged; good to five            435/435     0.013   0.020   0.027 100.0%   25%
 * 3an     good to a new domain each                 444/444     0.013   0.020   0.020 100.0%   25%
 * 3a5t    five, 2 new dead a second on top          434/434     0.012   0.020   0.025 100.0%   25%
 * 3ant    new, 2 new dead a second on top           436/436     0.013   0.020   0.020 100.0%   25%
 * 3f5   300 dead x 5, fresh; good to five           435/435     0.013   0.157   0.534 100.0%   82%
 * 3fn     good to a new domain each                 444/444     0.458  19.979  24.485  57.7%   82%
 * 3f5t    five, 2 new dead a second on top          434/434     0.014  26.427  34.516  87.6%   83%
 * 3fnt    new, 2 new dead a second on top           308/436     5.303  81.699  90.007  17.2%   84%
 * 3f+     the same with 96 workers                  435/436     5.287 117.665 122.799  24.7%   84%
 *
 * In 3fnt and 3mnt two new dead domains a second hold 60 of the 64 workers, and nothing tells them from good ones before they
 * are tried: no rule can reach the goal there; with 96 workers (3f+) it is reached.
 */

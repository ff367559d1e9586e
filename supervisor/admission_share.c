/*
 * How many a lane may start: shares, what is kept free for the lanes above, and tokens.
 */

#include "supervisor/destination.h"

/*
 * The constants were chosen with tests/sim/queueing.c (64 workers, dead servers hold 30 s); at the end of this file is what
 * it printed. All are in 64ths of the limit, so that they grow with it.
 */
#define SIXTY_FOURTHS 64

/* A token, in the unit that makes the refill exact per microsecond. */
#define TOKEN ADMISSION_SECOND

/*
 * A part for a destination of which nothing is known costs a token, given back when the answer is quick. Three a second: with
 * two, p99 of good mail to new domains was 0.4 s instead of 0.02 s beside 300 dead domains.
 */
#define BUCKET 8
#define BUCKET_RATE 3

/*
 * When more newcomers than this wait, it is a flood: all of them are passed over at once, so that who comes after it finds
 * the lane free. Without it p99 of good mail to new domains was 0.28 s instead of 0.02 s.
 */
#define NEWCOMERS 8

/* With fewer workers than this no slot can be kept for anybody. */
#define RESERVE_FROM 8

/* Decay goes by ticks: by microseconds it would be rounded away. */
#define TICK (ADMISSION_SECOND / 10)
#define PEAK_TICKS 600 /* 60 s: so long the proven keep what they have used */

static const struct {
    const char *name;
    unsigned share; /* together with the lanes below */
    unsigned own;   /* alone */
    unsigned keep;  /* left free for the lanes above */
} lanes[ADMISSION_LANES] = {
    [ADMISSION_PROVEN] = {"proven", 64, 64, 0},    [ADMISSION_FIRST] = {"first", 64, 64, 0},
    [ADMISSION_PASSED] = {"passed", 48, 48, 32},   [ADMISSION_SLOW] = {"slow", 40, 32, 0},
    [ADMISSION_UNKNOWN] = {"unknown", 16, 16, 16}, [ADMISSION_DEAD] = {"dead", 8, 8, 16},
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

static unsigned own_share(enum admission_lane lane, unsigned limit)
{
    unsigned share = (unsigned)((uint64_t)limit * lanes[lane].own / SIXTY_FOURTHS);

    return share > 0 ? share : 1;
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
        admission->proven_peak -=
            admission->proven_peak / PEAK_TICKS * (ticks < PEAK_TICKS ? ticks : PEAK_TICKS);
    }
    if (admission->proven_peak < proven)
        admission->proven_peak = proven;
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
    if (admission->tokens > size)
        admission->tokens = size;
    decay(admission, now);
}

bool share_takes_token(enum admission_lane lane)
{
    return lane == ADMISSION_FIRST || lane == ADMISSION_PASSED || lane == ADMISSION_UNKNOWN;
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

    return left > 0 ? (unsigned)(left / TOKEN) : 0;
}

int64_t share_token_due(const struct admission *admission, enum admission_lane lane, unsigned limit,
                        int64_t now)
{
    int64_t missing = TOKEN + token_floor(lane, limit) - admission->tokens;

    return missing > 0 ? now + missing / bucket_rate(limit) + 1 : ADMISSION_NEVER;
}

unsigned share_newcomers(unsigned limit)
{
    return (unsigned)((uint64_t)limit * NEWCOMERS / SIXTY_FOURTHS) + 2;
}

void share_spend(struct admission *admission, struct part *part, enum admission_lane lane)
{
    part->token = share_takes_token(lane);
    if (part->token)
        admission->tokens -= TOKEN;
}

void share_give_back(struct admission *admission, struct part *part)
{
    if (part->token)
        admission->tokens += TOKEN; /* share_advance() cuts what is too much */
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
    unsigned alone = own_share(lane, limit);
    unsigned least = lane == ADMISSION_PROVEN ? 0 : kept_for_proven(admission, limit);
    unsigned keep = (unsigned)((uint64_t)limit * lanes[lane].keep / SIXTY_FOURTHS);
    unsigned room;

    if (keep < least)
        keep = least;

    if (total >= limit || sum >= share || own >= alone)
        return 0;
    room = limit - total > keep ? limit - total - keep : 0;
    if (room == 0 && own == 0 && limit - total > least)
        room = 1; /* a lane's first slot needs no more than that */
    if (room > share - sum)
        room = share - sum;
    return room < alone - own ? room : alone - own;
}

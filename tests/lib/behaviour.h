#ifndef TESTS_LIB_BEHAVIOUR_H
#define TESTS_LIB_BEHAVIOUR_H

/*
 * How the LMTP server (lmtpd.c) treats a recipient: a table of names. A name is looked for at the beginning of the
 * recipient's local part, then at the beginning of its domain; the longest name wins, without one it is `ok`.
 *
 *     name      by default
 *     ok        250
 *     slow      250 after 8 s
 *     dead      451 after 30 s, in answer to the message
 *     deadrcpt  451 after 30 s, in answer to RCPT
 *     silent    no answer to the message, ever
 *     reset     the connection is reset in answer to the message
 *     bounce    550 in answer to RCPT
 *     defer     451 in answer to RCPT
 *     busy      421 in answer to RCPT, and the connection is closed
 *     burst     as busy for 3 s out of every 10 s, else as ok; which 3 s, differs by domain and by turn
 *
 * The table can be changed while the server runs, so that a test can make ill destinations well.
 * Header only: a few tools and their unit test have a use for it. Pure: no I/O, no clock.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define BEHAVIOUR_BURST_PERIOD 10000000U /* us */
#define BEHAVIOUR_BURST_LENGTH 3000000U  /* us */

enum behaviour_action {
    BEHAVIOUR_ACCEPT,           /* 250 to the message, after `hold` */
    BEHAVIOUR_DEFER_MESSAGE,    /* 451 to the message, after `hold` */
    BEHAVIOUR_DEFER_RECIPIENT,  /* 451 to RCPT, after `hold` */
    BEHAVIOUR_SILENT,           /* nothing to the message */
    BEHAVIOUR_RESET,            /* a reset after the message */
    BEHAVIOUR_REJECT_RECIPIENT, /* 550 to RCPT */
    BEHAVIOUR_BUSY,             /* 421 to RCPT */
    BEHAVIOUR_BURST             /* BUSY or ACCEPT, depending on the time */
};

enum { BEHAVIOUR_OK, BEHAVIOUR_COUNT = 10 };

struct behaviour {
    const char *name;
    enum behaviour_action action;
    uint64_t hold; /* us */
};

static inline void behaviour_defaults(struct behaviour table[BEHAVIOUR_COUNT])
{
    static const struct behaviour defaults[BEHAVIOUR_COUNT] = {
        {"ok", BEHAVIOUR_ACCEPT, 0},
        {"slow", BEHAVIOUR_ACCEPT, 8000000},
        {"dead", BEHAVIOUR_DEFER_MESSAGE, 30000000},
        {"deadrcpt", BEHAVIOUR_DEFER_RECIPIENT, 30000000},
        {"silent", BEHAVIOUR_SILENT, 0},
        {"reset", BEHAVIOUR_RESET, 0},
        {"bounce", BEHAVIOUR_REJECT_RECIPIENT, 0},
        {"defer", BEHAVIOUR_DEFER_RECIPIENT, 0},
        {"busy", BEHAVIOUR_BUSY, 0},
        {"burst", BEHAVIOUR_BURST, 0},
    };

    memcpy(table, defaults, sizeof(defaults));
}

/* The row with exactly this name, or -1. */
static inline int behaviour_find(const struct behaviour table[BEHAVIOUR_COUNT], const char *name)
{
    for (int i = 0; i < BEHAVIOUR_COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return i;
    return -1;
}

/* The row with the longest name at the beginning of text, or -1. */
static inline int behaviour_prefix(const struct behaviour table[BEHAVIOUR_COUNT], const char *text)
{
    size_t best_length = 0;
    size_t length;
    int best = -1;

    for (int i = 0; i < BEHAVIOUR_COUNT; i++) {
        length = strlen(table[i].name);
        if (length > best_length && strncasecmp(text, table[i].name, length) == 0) {
            best = i;
            best_length = length;
        }
    }
    return best;
}

/* The row of a recipient. */
static inline int behaviour_of(const struct behaviour table[BEHAVIOUR_COUNT], const char *recipient)
{
    const char *at = strrchr(recipient, '@');
    int row = behaviour_prefix(table, recipient);

    if (row < 0 && at != NULL)
        row = behaviour_prefix(table, at + 1);
    return row < 0 ? BEHAVIOUR_OK : row;
}

/* Is the domain in a burst of refusals at this time (us)? The place of the burst in each period is a hash of both. */
static inline bool behaviour_in_burst(const char *domain, uint64_t now)
{
    uint64_t turn = now / BEHAVIOUR_BURST_PERIOD;
    uint64_t hash = 14695981039346656037U ^ turn; /* FNV-1a */
    uint64_t start;

    for (; *domain != '\0'; domain++)
        hash = (hash ^ (unsigned char)*domain) * 1099511628211U;
    hash ^= hash >> 32;
    start = hash % (BEHAVIOUR_BURST_PERIOD - BEHAVIOUR_BURST_LENGTH);
    now %= BEHAVIOUR_BURST_PERIOD;
    return now >= start && now - start < BEHAVIOUR_BURST_LENGTH;
}

/*
 * Makes the recipients of one name be treated as those of another are by default. hold is in us; UINT64_MAX is what
 * that other has by default. 0, or -EINVAL for a name that there is not.
 */
static inline int behaviour_set(struct behaviour table[BEHAVIOUR_COUNT], const char *name,
                                const char *as, uint64_t hold)
{
    struct behaviour defaults[BEHAVIOUR_COUNT];
    int row = behaviour_find(table, name);
    int other;

    behaviour_defaults(defaults);
    other = behaviour_find(defaults, as);
    if (row < 0 || other < 0)
        return -EINVAL;
    table[row].action = defaults[other].action;
    table[row].hold = hold == UINT64_MAX ? defaults[other].hold : hold;
    return 0;
}

/* Everybody is well from now on. */
static inline void behaviour_heal(struct behaviour table[BEHAVIOUR_COUNT])
{
    for (int i = 0; i < BEHAVIOUR_COUNT; i++) {
        table[i].action = BEHAVIOUR_ACCEPT;
        table[i].hold = 0;
    }
}

#endif

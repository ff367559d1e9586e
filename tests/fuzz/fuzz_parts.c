/*
 * A request for up to 24 recipients in up to 6 domains is split; parts go together, with a leader, as
 * the input says, and each gets a reply as the input says. Against a model that knows only the list
 * of recipients: each is in exactly one outgoing request, those of a domain in the client's order,
 * and the client is told success only when every part was.
 *
 * Input: number of recipients, their domains, then for each part the leader that it joins (an
 * earlier part, or none) and the reply to it.
 */

#include "agents/merge.h"
#include "agents/split.h"
#include "supervisor/dispatcher/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECIPIENTS 24
#define DOMAINS 6

static void check(bool holds)
{
    if (!holds)
        abort();
}

struct input {
    const uint8_t *data;
    size_t size, at;
};

static unsigned next(struct input *input)
{
    return input->at < input->size ? input->data[input->at++] : 0;
}

/* `|` stands for NUL. */
static size_t put(char *to, const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++)
        to[i] = text[i] == '|' ? '\0' : text[i];
    return length;
}

static size_t request_make(char *bytes, unsigned count, const unsigned *domain, unsigned mixed)
{
    char line[256];
    size_t at = put(bytes, "flags|3|queue_name|active|queue_id|E5825A72641|offset|726|size|285|"
                           "nexthop|next.example|encoding||smtputf8|0|sender|s@example.com|");

    snprintf(line, sizeof line, "envelope_id||ret_flags|0|recipient_count|%u||", count);
    at += put(bytes + at, line);
    for (unsigned i = 0; i < count; i++) {
        snprintf(line, sizeof line,
                 "original_recipient|r|recipient|u%u@%c%u.example|offset|%u|dsn_orig_rcpt||"
                 "notify_flags|0||",
                 i, (mixed >> i % 8) & 1 ? 'D' : 'd', domain[i], 100 + i);
        at += put(bytes + at, line);
    }
    return at;
}

/* Which recipients a request has, bit by bit; those of a domain are in the client's order. */
static uint32_t recipients_of(const char *bytes, size_t length)
{
    struct request request;
    struct request_recipient recipient;
    uint32_t set = 0;
    size_t at;
    int last[DOMAINS] = {-1, -1, -1, -1, -1, -1};

    request_init(&request);
    check(request_parse(&request, bytes, length) == 0 && request.length == length);
    at = request.recipients;
    while (request_recipient(&request, bytes, &at, &recipient) == 1) {
        int number = atoi(recipient.recipient + 1);
        int domain = strchr(recipient.recipient, '@')[2] - '0';

        check(number > last[domain] && number < RECIPIENTS);
        last[domain] = number;
        set |= UINT32_C(1) << number;
    }
    check((unsigned)__builtin_popcount(set) == request.recipient_count);
    return set;
}

struct shares {
    struct part *part[DOMAINS];
    unsigned count;
};

static void on_each(void *context, struct part *part, uint32_t n)
{
    struct shares *shares = context;

    check(n == shares->count && n < DOMAINS);
    shares->part[shares->count++] = part;
}

enum { DONE, FAILED, DEFERRED, LOST, OUTCOMES };

static size_t reply_make(char *bytes, int outcome)
{
    char line[256];

    snprintf(line, sizeof line,
             "status|%s|diag_type||diag_text||mta_type||mta_mname||action||reason|%s|status|%s||",
             outcome == FAILED ? "4.4.1" : "", outcome == FAILED ? "refused" : "",
             outcome == DONE ? "0" : "4294967295");
    return put(bytes, line);
}

static void answer(struct merge *merge, int outcome)
{
    char bytes[256];
    size_t length = reply_make(bytes, outcome);
    struct reply reply;

    if (outcome == LOST) {
        check(merge_add_deferred(merge) == 0);
        return;
    }
    check(reply_parse(bytes, length, &reply) == 0 && reply.length == length);
    check(merge_add(merge, &reply, bytes) == 0);
}

/* The model: what the client must be told when the parts ended so. */
static void check_merged(const struct merge *merge, const int *outcome, unsigned count)
{
    unsigned of[OUTCOMES] = {0};
    const char *bytes;
    struct reply reply;
    size_t length;

    for (unsigned i = 0; i < count; i++)
        of[outcome[i]]++;
    check(merge_done(merge, &bytes, &length) == 0);
    check(reply_parse(bytes, length, &reply) == 0);
    check((reply.status == 0) == (of[DONE] == count));
    check((reply.dsn[0] != '\0') == (of[FAILED] == count));
}

/* Joins, sends and answers; then all must have had exactly one worker. */
static void run(struct parts *parts, struct job *job, struct shares *shares, struct input *input,
                const struct request *request, const char *bytes, unsigned recipients)
{
    int outcome[DOMAINS] = {0};
    uint32_t seen = 0;

    for (unsigned i = 1; i < shares->count; i++) {
        struct part *leader = shares->part[next(input) % shares->count];

        if (leader != shares->part[i] && !leader->leader && shares->part[i]->members == 0)
            parts_join(parts, leader, shares->part[i]);
    }
    for (unsigned i = 0; i < shares->count; i++) {
        struct part *part = shares->part[i];
        const char *outgoing;
        uint32_t set;

        if (part->leader)
            continue;
        if (part->members > 0)
            check(parts_outgoing(parts, part, request, bytes));
        parts_reuse(parts, part, request);
        outgoing = part->outgoing ? part->outgoing : part->bytes;
        set = recipients_of(outgoing, part->outgoing ? part->outgoing_length : part->length);
        check((seen & set) == 0);
        seen |= set;
    }
    check(seen == (UINT32_C(1) << recipients) - 1);
    for (unsigned i = 0; i < shares->count; i++) {
        outcome[i] = (int)(next(input) % OUTCOMES);
        answer(&job->merge, outcome[i]);
    }
    check_merged(&job->merge, outcome, shares->count);
}

static void in_parts(struct parts *parts, struct input *input, const char *bytes, size_t length,
                     unsigned recipients)
{
    struct request request;
    struct shares shares = {.count = 0};
    struct split split;
    struct job *job;
    struct part *part;

    request_init(&request);
    check(request_parse(&request, bytes, length) == 0);
    check(split_plan(&split, &request, bytes, split_key_domain) == 0);
    job = parts_job(parts, NULL, length);
    if (parts_divide(parts, job, &split, &request, bytes, on_each, &shares))
        run(parts, job, &shares, input, &request, bytes, recipients);
    else
        check(false);
    split_free(&split);
    for (unsigned i = 0; i < shares.count; i++)
        if (shares.part[i]->leader)
            parts_leave(parts, shares.part[i]);
    TAILQ_FOREACH(part, &job->parts, of_job)
    parts_step(parts, part, PART_CANCELLED);
    parts_free(parts, job);
    check(parts_view(parts).waiting == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .size = size};
    struct budget budget = {.clients_max = 1};
    unsigned count = next(&input) % RECIPIENTS + 1, mixed = next(&input);
    unsigned domain[RECIPIENTS];
    struct parts *parts;
    char bytes[8192];

    for (unsigned i = 0; i < count; i++)
        domain[i] = next(&input) % DOMAINS;
    check(parts_create(&parts, &budget, NULL, DOMAINS) == 0);
    in_parts(parts, &input, bytes, request_make(bytes, count, domain, mixed), count);
    check(budget.held == 0);
    parts_destroy(parts);
    return 0;
}

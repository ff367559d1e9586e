#include "supervisor/dispatcher/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agents/reuse.h"
#include "supervisor/limits.h"

struct parts {
    struct budget *budget;
    struct journal *journal;
    struct job *job;
    struct part *part;
    unsigned jobs_max;
    unsigned size;
    unsigned jobs;         /* in use */
    unsigned used;         /* parts in use */
    unsigned jobs_touched; /* used ever: the memory of the others is not there yet */
    unsigned touched;
    struct parts_view view;
    TAILQ_HEAD(, part) line; /* those that wait */
    SLIST_HEAD(, job) free_jobs;
    SLIST_HEAD(, part) free;
};

int parts_create(struct parts **out, struct budget *budget, struct journal *journal, unsigned extra)
{
    struct parts *parts = calloc(1, sizeof *parts);

    *out = parts;
    if (!parts)
        return -ENOMEM;
    parts->budget = budget;
    parts->journal = journal;
    parts->jobs_max = budget->clients_max;
    parts->size = budget->clients_max + extra;
    TAILQ_INIT(&parts->line);
    SLIST_INIT(&parts->free_jobs);
    SLIST_INIT(&parts->free);
    parts->job = calloc(parts->jobs_max, sizeof *parts->job);
    parts->part = calloc(parts->size, sizeof *parts->part);
    return parts->job && parts->part ? 0 : -ENOMEM;
}

void parts_destroy(struct parts *parts)
{
    if (!parts)
        return;
    for (unsigned i = 0; i < parts->touched; i++) {
        free(parts->part[i].own);
        free(parts->part[i].made);
    }
    for (unsigned i = 0; i < parts->jobs_touched; i++)
        merge_free(&parts->job[i].merge);
    free(parts->part);
    free(parts->job);
    free(parts);
}

unsigned parts_size(const struct parts *parts)
{
    return parts->size;
}

struct part *parts_at(struct parts *parts, unsigned handle)
{
    return &parts->part[handle];
}

const struct part *parts_look(const struct parts *parts, unsigned handle)
{
    return &parts->part[handle];
}

unsigned parts_handle(const struct parts *parts, const struct part *part)
{
    return (unsigned)(part - parts->part);
}

struct part *parts_oldest(const struct parts *parts)
{
    return TAILQ_FIRST(&parts->line);
}

struct parts_view parts_view(const struct parts *parts)
{
    return parts->view;
}

/* The part is WAITING from now on. */
static void waits(struct parts *parts, const struct part *part)
{
    struct job *job = part->job;

    parts->view.waiting++;
    if (job->waiting++ == 0)
        parts->view.jobs++;
    if (job->exempt)
        return;
    if (part->own)
        parts->view.bytes += part->length;
    if (job->waiting > 1)
        return;
    parts->view.requests++;
    parts->view.bytes += job->length;
}

static void waits_no_more(struct parts *parts, const struct part *part)
{
    struct job *job = part->job;

    parts->view.waiting--;
    if (--job->waiting == 0)
        parts->view.jobs--;
    if (job->exempt)
        return;
    if (part->own)
        parts->view.bytes -= part->length;
    if (job->waiting > 0)
        return;
    parts->view.requests--;
    parts->view.bytes -= job->length;
}

void parts_exempt(struct parts *parts, struct job *job)
{
    struct part *part;

    if (job->exempt)
        return;
    TAILQ_FOREACH(part, &job->parts, of_job)
    if (part->state == PART_WAITING)
        waits_no_more(parts, part);
    job->exempt = true;
    TAILQ_FOREACH(part, &job->parts, of_job)
    if (part->state == PART_WAITING)
        waits(parts, part);
}

struct job *parts_job(struct parts *parts, struct client *client, size_t length)
{
    struct job *job = SLIST_FIRST(&parts->free_jobs);

    if (job)
        SLIST_REMOVE_HEAD(&parts->free_jobs, link);
    else
        job = &parts->job[parts->jobs_touched++];
    parts->jobs++;
    *job = (struct job){.client = client, .length = length};
    TAILQ_INIT(&job->parts);
    return job;
}

/* `own`: the bytes belong to the part. */
static struct part *part_new(struct parts *parts, struct job *job, const char *bytes, size_t length,
                             char *own)
{
    struct part *part = SLIST_FIRST(&parts->free);

    if (part)
        SLIST_REMOVE_HEAD(&parts->free, link);
    else
        part = &parts->part[parts->touched++];
    parts->used++;
    *part = (struct part){
        .state = PART_WAITING,
        .job = job,
        .worker = -1,
        .bytes = bytes,
        .length = length,
        .own = own,
    };
    TAILQ_INSERT_TAIL(&job->parts, part, of_job);
    TAILQ_INSERT_TAIL(&parts->line, part, in_line);
    job->count++;
    job->left++;
    if (own)
        parts->budget->held += length;
    waits(parts, part);
    return part;
}

struct part *parts_whole(struct parts *parts, struct job *job, const char *bytes)
{
    merge_init(&job->merge, 1);
    return part_new(parts, job, bytes, job->length, NULL);
}

/* Parts beside the one that each job may still need. */
static unsigned spare(const struct parts *parts)
{
    unsigned promised = parts->used + parts->jobs_max - parts->jobs;

    return promised < parts->size ? parts->size - promised : 0;
}

/* Each share has a copy of what is common to all recipients. */
static bool room_for(const struct parts *parts, const struct split *split)
{
    uint64_t bytes = parts->budget->held;

    for (uint32_t i = 0; i < split->part_count; i++)
        bytes += split->parts[i].size;
    return split->part_count <= spare(parts) && bytes <= HELD_BYTES_MAX;
}

bool parts_divide(struct parts *parts, struct job *job, const struct split *split,
                  const struct request *request, const char *bytes,
                  void (*each)(void *context, struct part *part, uint32_t n), void *context)
{
    bool done = false;
    char **own;

    if (!room_for(parts, split))
        return false;
    own = calloc(split->part_count, sizeof *own);
    if (!own)
        return false;
    for (uint32_t i = 0; i < split->part_count; i++) {
        own[i] = malloc(split->parts[i].size);
        if (!own[i] || split_write(split, request, bytes, i, own[i], split->parts[i].size) < 0)
            goto out;
    }
    merge_init(&job->merge, split->part_count);
    for (uint32_t i = 0; i < split->part_count; i++) {
        struct part *part = part_new(parts, job, own[i], split->parts[i].size, own[i]);

        part->recipients = split->parts[i].recipient_count;
        own[i] = NULL;
        each(context, part, i);
    }
    done = true;
out:
    for (uint32_t i = 0; i < split->part_count; i++)
        free(own[i]);
    free(own);
    return done;
}

enum part_action parts_step(struct parts *parts, struct part *part, enum part_event event)
{
    struct part_step step;
    enum part_state before = part->state;

    if (states_part(before, event, &step) < 0)
        states_broken(parts->journal, "part", (int)before, (int)event);
    part->state = step.state;
    if (before == PART_WAITING && step.state != PART_WAITING) {
        TAILQ_REMOVE(&parts->line, part, in_line);
        waits_no_more(parts, part);
    }
    if (before != PART_WAITING && step.state == PART_WAITING) {
        TAILQ_INSERT_HEAD(&parts->line, part, in_line);
        waits(parts, part);
    }
    return step.action;
}

void parts_join(struct parts *parts, struct part *leader, struct part *part)
{
    parts_step(parts, part, PART_JOINS);
    part->leader = leader;
    leader->members++;
}

/* The bytes of a share that are its own: its recipient lists. */
static const char *lists(const struct part *part, const struct request *request, size_t *length)
{
    size_t common = split_common_size(request, part->recipients);

    *length = part->length - common;
    return part->bytes + common;
}

/* The size of a request for the leader's recipients and those of all that go along. */
static size_t joint_size(const struct part *leader, const struct request *request,
                         uint32_t *recipients)
{
    const struct part *part;
    size_t sum = 0, length;

    *recipients = 0;
    TAILQ_FOREACH(part, &leader->job->parts, of_job)
    if (part == leader || part->leader == leader) {
        lists(part, request, &length);
        sum += length;
        *recipients += part->recipients;
    }
    return split_common_size(request, *recipients) + sum;
}

static void forget_outgoing(struct parts *parts, struct part *leader)
{
    if (leader->made)
        parts->budget->held -= leader->outgoing_length;
    free(leader->made);
    leader->made = NULL;
    leader->outgoing = NULL;
}

bool parts_outgoing(struct parts *parts, struct part *leader, const struct request *request,
                    const char *bytes)
{
    struct job *job = leader->job;
    const struct part *part;
    uint32_t recipients;
    size_t size, length;
    char *to;

    forget_outgoing(parts, leader);
    if (leader->members + 1 == job->count) {
        leader->outgoing = bytes;
        leader->outgoing_length = job->length;
        return true;
    }
    size = joint_size(leader, request, &recipients);
    if (parts->budget->held + size > HELD_BYTES_MAX)
        return false;
    leader->made = malloc(size);
    if (!leader->made)
        return false;
    parts->budget->held += size;
    leader->outgoing = leader->made;
    leader->outgoing_length = size;
    to = split_common(request, bytes, recipients, leader->made);
    TAILQ_FOREACH(part, &job->parts, of_job)
    if (part == leader || part->leader == leader) {
        const char *from = lists(part, request, &length);

        to = mempcpy(to, from, length);
    }
    return true;
}

void parts_reuse(struct parts *parts, struct part *part, const struct request *request)
{
    const char *bytes = part->outgoing ? part->outgoing : part->bytes;
    size_t length = part->outgoing ? part->outgoing_length : part->length;
    size_t size = reuse_size(request, length);
    char *made;

    /* One that did not get its worker, and waited again, has them. */
    if ((part->made && part->members == 0) || parts->budget->held + size > HELD_BYTES_MAX)
        return;
    made = malloc(size);
    if (!made)
        return;
    reuse_write(request, bytes, length, made);
    forget_outgoing(parts, part);
    part->made = made;
    part->outgoing = made;
    part->outgoing_length = size;
    parts->budget->held += size;
}

void parts_leave(struct parts *parts, struct part *part)
{
    struct part *leader = part->leader;

    part->leader = NULL;
    if (part->state == PART_JOINED)
        parts_step(parts, part, PART_LEAVES);
    if (--leader->members == 0)
        forget_outgoing(parts, leader);
}

void parts_end(struct parts *parts, struct part *part)
{
    TAILQ_REMOVE(&part->job->parts, part, of_job);
    forget_outgoing(parts, part);
    if (part->own)
        parts->budget->held -= part->length;
    free(part->own);
    part->own = NULL;
    SLIST_INSERT_HEAD(&parts->free, part, link);
    parts->used--;
}

void parts_free(struct parts *parts, struct job *job)
{
    while (!TAILQ_EMPTY(&job->parts))
        parts_end(parts, TAILQ_FIRST(&job->parts));
    merge_free(&job->merge);
    SLIST_INSERT_HEAD(&parts->free_jobs, job, link);
    parts->jobs--;
}

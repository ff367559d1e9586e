/*
 * How a request becomes parts that wait: one for each destination where that can be done, or one in all; by which name
 * admission knows each, and what it has to know of it.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agents/split.h"
#include "supervisor/dispatcher/dispatch.h"

/* What a destination may be called here; admission folds what is longer than it keeps. */
#define NAME_MAX_BYTES 1024

/*
 * Deferring a message at the end of its lifetime would bounce it, and deferring a probe is an answer
 * to somebody: neither is ever done by us (postfix-protocol.md 4.8, 6.4).
 */
bool parts_exempt(const struct client *client)
{
    const struct postconf *postconf = client->dispatcher->settings->postconf;
    const struct request *request = &client->request;
    int64_t lifetime = postconf->maximal_queue_lifetime;

    if (request->sender.len == 0 && postconf->bounce_queue_lifetime < lifetime)
        lifetime = postconf->bounce_queue_lifetime;
    return request_is_probe(request) || request->incoming_arrival <= 0 ||
           (int64_t)time(NULL) + LIFETIME_MARGIN >= request->incoming_arrival / 1000000 + lifetime;
}

static bool first_attempt(const struct request *request)
{
    return request->incoming_arrival > 0 &&
           request->active_arrival - request->incoming_arrival < FIRST_ATTEMPT_MAX;
}

/* A recipient's pace is that of its domain. */
static int64_t pace_of(const struct config *config, const char *key, size_t length)
{
    const char *at = memrchr(key, '@', length);
    size_t skip = at ? (size_t)(at - key) + 1 : 0;

    return (int64_t)config_pace(config, key + skip, length - skip);
}

static void arrive_as(struct part *part, const char *key, size_t length)
{
    struct client *client = part->client;
    const struct admission_arrival arrival = {
        .key = key,
        .key_length = length,
        .first = first_attempt(&client->request),
        .exempt = parts_exempt(client),
        .pace = pace_of(client->dispatcher->settings->config, key, length),
    };

    part_wait(part, &arrival);
}

/* A free part of the client's, waiting. There is always one for a client (parts_create). */
static struct part *part_new(struct client *client)
{
    struct dispatcher *dispatcher = client->dispatcher;
    struct part *part = TAILQ_FIRST(&dispatcher->parts_free);

    if (part)
        TAILQ_REMOVE(&dispatcher->parts_free, part, link);
    else
        part = &dispatcher->part[dispatcher->parts_touched++];
    dispatcher->parts++;
    *part = (struct part){
        .state = PART_WAITING,
        .client = client,
        .worker = POOL_NONE,
        .bytes = client->bytes,
        .length = client->length,
    };
    SLIST_INSERT_HEAD(&client->parts, part, of_client);
    client->parts_left++;
    part_waits(part);
    return part;
}

/* Parts that a client may have which has none yet: each one that is free or still being read needs one, too. */
static unsigned parts_spare(const struct dispatcher *dispatcher)
{
    return dispatcher->parts_max - dispatcher->parts -
           (dispatcher->clients_max - dispatcher->clients) - dispatcher->reading_count;
}

static split_key *key_of(const struct config *config)
{
    if (config->destination_key == CONFIG_DESTINATION_RECIPIENT)
        return split_key_recipient;
    if (config->destination_key == CONFIG_DESTINATION_NEXTHOP)
        return split_key_none;
    return split_key_domain;
}

/* A text in lower case, as destinations are known. Returns its length, cut to the room. */
static size_t lower(const char *text, size_t length, char name[NAME_MAX_BYTES])
{
    if (length > NAME_MAX_BYTES)
        length = NAME_MAX_BYTES;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)tolower((unsigned char)text[i]);
    return length;
}

void part_arrive(struct part *part, const struct request *request)
{
    const struct config *config = part->client->dispatcher->settings->config;
    struct request_recipient recipient;
    struct request_text key = {0};
    size_t at = request->recipients, length = 0;
    char name[NAME_MAX_BYTES];

    if (config->destination_key == CONFIG_DESTINATION_NEXTHOP) {
        length = lower(part->bytes + request->nexthop.offset, request->nexthop.len, name);
    } else if (request_recipient(request, part->bytes, &at, &recipient) == 1) {
        key_of(config)(recipient.recipient, recipient.recipient_len, &key);
        length = lower(recipient.recipient + key.offset, key.len, name);
    }
    arrive_as(part, name, length);
}

/* The request runs as one part. */
static void admit_whole(struct client *client)
{
    merge_init(&client->merge, 1);
    part_arrive(part_new(client), &client->request);
}

/* Is there room for its parts, and for their bytes? Each has a copy of what is common to all recipients. */
static bool room_for(const struct dispatcher *dispatcher, const struct split *split)
{
    uint64_t bytes = dispatcher->held_bytes;

    for (uint32_t i = 0; i < split->part_count; i++)
        bytes += split->parts[i].size;
    return split->part_count <= parts_spare(dispatcher) && bytes <= HELD_BYTES_MAX;
}

/* One part for each destination. False when that can't be done; nothing has happened then. */
static bool admit_split(struct client *client, const struct split *split)
{
    char name[NAME_MAX_BYTES];
    char **own;

    if (!room_for(client->dispatcher, split))
        return false;
    own = calloc(split->part_count, sizeof *own);
    if (!own)
        return false;
    for (uint32_t i = 0; i < split->part_count; i++) {
        own[i] = malloc(split->parts[i].size);
        if (!own[i] || split_write(split, &client->request, client->bytes, i, own[i],
                                   split->parts[i].size) < 0) {
            for (uint32_t j = 0; j <= i; j++)
                free(own[j]);
            free(own);
            return false;
        }
    }
    merge_init(&client->merge, split->part_count);
    for (uint32_t i = 0; i < split->part_count; i++) {
        struct part *part = part_new(client);
        const struct request_text *key = &split->parts[i].key;

        part->bytes = part->own = own[i];
        part->length = split->parts[i].size;
        client->dispatcher->held_bytes += part->length;
        client->dispatcher->waiting_bytes += part->length;
        arrive_as(part, name, lower(client->bytes + key->offset, key->len, name));
    }
    free(own);
    return true;
}

void parts_admit(struct client *client)
{
    const struct config *config = client->dispatcher->settings->config;
    struct split split;
    bool done = false;

    if (config->destination_split && config->destination_key != CONFIG_DESTINATION_NEXTHOP &&
        client->request.recipient_count > 1 &&
        split_plan(&split, &client->request, client->bytes, key_of(config)) == 0) {
        done = split.part_count > 1 && admit_split(client, &split);
        split_free(&split);
    }
    /* Also when there is no room for more parts: then it waits for the slowest of its domains. */
    if (!done)
        admit_whole(client);
}

#include "supervisor/dispatcher/arrival.h"

#include <ctype.h>
#include <string.h>

#include "supervisor/limits.h"

bool arrival_exempt(const struct postconf *postconf, const struct request *request, int64_t wall)
{
    int64_t lifetime = postconf->maximal_queue_lifetime;

    int64_t margin = postconf->daemon_timeout;

    if (request->sender.len == 0 && postconf->bounce_queue_lifetime < lifetime)
        lifetime = postconf->bounce_queue_lifetime;
    if (margin > lifetime / 2)
        margin = lifetime / 2;
    return request_is_probe(request) || request->incoming_arrival <= 0 ||
           wall / 1000000 + margin >= request->incoming_arrival / 1000000 + lifetime;
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

static split_key *key_of(const struct config *config)
{
    if (config->destination_key == CONFIG_DESTINATION_RECIPIENT)
        return split_key_recipient;
    if (config->destination_key == CONFIG_DESTINATION_NEXTHOP)
        return split_key_none;
    return split_key_domain;
}

split_key *arrival_key(const struct config *config)
{
    if (!config->destination_split || config->destination_key == CONFIG_DESTINATION_NEXTHOP)
        return NULL;
    return key_of(config);
}

/* Destinations are known in lower case. */
static size_t lower(const char *text, size_t length, char name[ARRIVAL_NAME_SIZE])
{
    if (length > ARRIVAL_NAME_SIZE)
        length = ARRIVAL_NAME_SIZE;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)tolower((unsigned char)text[i]);
    return length;
}

static void fill(const struct config *config, const struct request *request, const char *bytes,
                 const char *name, size_t length, struct admission_arrival *arrival)
{
    *arrival = (struct admission_arrival){
        .key = name,
        .key_length = length,
        .nexthop = bytes + request->nexthop.offset,
        .nexthop_length = request->nexthop.len,
        .first = first_attempt(request),
        .pace = pace_of(config, name, length),
    };
}

void arrival_share(const struct config *config, const struct request *request, const char *bytes,
                   const struct request_text *key, char name[ARRIVAL_NAME_SIZE],
                   struct admission_arrival *arrival)
{
    fill(config, request, bytes, name, lower(bytes + key->offset, key->len, name), arrival);
}

void arrival_whole(const struct config *config, const struct request *request, const char *bytes,
                   char name[ARRIVAL_NAME_SIZE], struct admission_arrival *arrival)
{
    struct request_recipient recipient;
    struct request_text key;
    size_t at = request->recipients, length = 0;

    if (config->destination_key == CONFIG_DESTINATION_NEXTHOP) {
        length = lower(bytes + request->nexthop.offset, request->nexthop.len, name);
    } else if (request_recipient(request, bytes, &at, &recipient) == 1) {
        key_of(config)(recipient.recipient, recipient.recipient_len, &key);
        length = lower(recipient.recipient + key.offset, key.len, name);
    }
    fill(config, request, bytes, name, length, arrival);
}
